"""Learning-rate schedules as training code writes them, and the recipes that one would try first.

Definitions follow ``transformers`` (``get_linear_schedule_with_warmup`` and its siblings): step 0 runs
at rate zero when there is a warm-up, so k optimiser steps use the rates of steps 0 ... k - 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "GRID",
    "Grid",
    "Schedule",
    "ScheduleKind",
    "multiplier",
    "multipliers",
    "plausible_schedules",
    "split_product",
    "splits",
]

# The spacing of float32 just below one: a factor 1 - lr x wd is a whole number of these below one.
GRID = 2.0**-24

_MANTISSAS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
_LEARNING_RATES = (*(float(f"{m:g}e{e}") for e in (-6, -5, -4) for m in _MANTISSAS), 1e-3)
# PyTorch's default first: where only the product shows, this reading is named.
_WEIGHT_DECAYS = (0.01, 0.1, 0.001, 0.05)
_WARMUPS = (0, 10, 50, 100, 200, 500, 1000, 2000)
_WARMUP_SHARES = (0.03, 0.05, 0.06, 0.1)
_LONGEST = 300_000
_MOST_TOTALS = 4_000
# The real fine-tunes that this was made on need 69,000 and 94,000; built at some 4 us each.
_MOST_SCHEDULES = 150_000


class ScheduleKind(IntEnum):
    """The shape of the rate after the warm-up."""

    LINEAR = 0
    COSINE = 1
    CONSTANT = 2


@dataclass(frozen=True, slots=True)
class Schedule:
    """``steps`` taken of a schedule planned for ``total`` steps."""

    kind: ScheduleKind
    steps: int
    total: int
    warmup: int
    learning_rate: float
    weight_decay: float

    def decays(self) -> NDArray[np.float64]:
        """lr x wd at each step taken, in the order of operations of LambdaLR and AdamW: [steps]."""
        return self.learning_rate * multipliers(self) * self.weight_decay

    def sentence(self) -> str:
        """In words."""
        if self.kind is ScheduleKind.CONSTANT:
            shape = f"{self.steps:,} steps at a constant rate"
        else:
            shape = f"{self.steps:,} steps of a {self.total:,}-step {self.kind.name.lower()} schedule"
        return (
            f"{shape}, warm-up {self.warmup:,}, learning rate {self.learning_rate:g}, "
            f"weight decay {self.weight_decay:g}"
        )


@dataclass(frozen=True, slots=True)
class Grid:
    """Schedules to try, as columns of equal length [n]; ``asked`` is the number of steps that makes one
    plausible, or -1 where any number is."""

    kind: NDArray[np.int64]
    total: NDArray[np.int64]
    warmup: NDArray[np.int64]
    product: NDArray[np.float64]
    asked: NDArray[np.int64]


@njit(cache=True, nogil=True)
def multiplier(kind: int, step: int, total: int, warmup: int) -> float:
    """The rate at ``step`` over its peak."""
    if step < warmup:
        return step / max(1, warmup)
    if kind == 2:
        return 1.0
    if kind == 0:
        return max(0.0, (total - step) / max(1, total - warmup))
    progress = (step - warmup) / max(1, total - warmup)
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * 2.0 * 0.5 * progress)))


def multipliers(schedule: Schedule) -> NDArray[np.float64]:
    """The rates over their peak of all steps taken: [steps]."""
    return _multipliers(int(schedule.kind), schedule.steps, schedule.total, schedule.warmup)


@njit(cache=True, nogil=True)
def _multipliers(kind: int, steps: int, total: int, warmup: int) -> NDArray[np.float64]:
    rates = np.empty(steps)
    for t in range(steps):
        rates[t] = multiplier(kind, t, total, warmup)
    return rates


def splits(product: float) -> tuple[tuple[float, float], ...]:
    """Usual (learning rate, weight decay) with this product; the first is the one to name."""
    return tuple(
        (rate, decay)
        for decay in _WEIGHT_DECAYS
        for rate in _LEARNING_RATES
        if math.isclose(rate * decay, product, rel_tol=1e-9)
    )


def split_product(product: float) -> tuple[float, float]:
    """The reading of a product of ``plausible_schedules`` that is named."""
    return splits(product)[0]


def _products() -> list[float]:
    found: dict[str, float] = {}
    for decay in _WEIGHT_DECAYS:
        for rate in _LEARNING_RATES:
            found.setdefault(f"{rate * decay:.9e}", rate * decay)
    return sorted(found.values())


def plausible_schedules(log_decay: float) -> Grid:
    """Schedules whose sum of lr x wd can reach ``log_decay`` (> 0).

    Two sorts: run to the end, with any total that gives this sum; stopped anywhere in a schedule of a
    round total (two leading digits). A constant rate needs no total. Peaks below 1.5 grid steps are
    left out: all their steps move a weight alike, so nothing but their number could be told.
    """
    # Short ones first, so that the cut takes the least plausible.
    rows: list[tuple[int, int, int, float, int]] = []
    for total, kind, product, asked in sorted(_unwarmed(log_decay)):
        rows += [(kind, total, w, product, asked) for w in _warmups(total, kind)]
        if len(rows) >= _MOST_SCHEDULES:
            break
    columns = list(zip(*rows, strict=True)) or [()] * 5
    return Grid(
        np.array(columns[0], dtype=np.int64),
        np.array(columns[1], dtype=np.int64),
        np.array(columns[2], dtype=np.int64),
        np.array(columns[3], dtype=np.float64),
        np.array(columns[4], dtype=np.int64),
    )


def _unwarmed(log_decay: float) -> Iterator[tuple[int, int, float, int]]:
    """(total, kind, product, asked) before any warm-up."""
    for product in _products():
        if not 1.5 * GRID < product <= 2 * log_decay:
            continue
        # Factors round to whole grid steps: of c grid steps at the peak, a ramp loses or gains at
        # most 1/8 step a unit of c, that is .25 / c^2 of its sum.
        slack = min(0.6, 0.01 + 0.25 * (GRID / product) ** 2 + 2 * GRID / log_decay)
        full = log_decay / product
        if full <= _LONGEST:
            yield (int(full * (1 + slack)) + 2, ScheduleKind.CONSTANT, product, -1)
        # Both shapes average half of the peak over a whole run, with or without warm-up.
        least, most = int(2 * full * (1 - slack)), int(2 * full * (1 + slack)) + 2
        ended = range(max(1, least), most if most <= _LONGEST and most - least <= _MOST_TOTALS else 1)
        for kind in (ScheduleKind.LINEAR, ScheduleKind.COSINE):
            yield from ((total, kind, product, -1) for total in _round_totals(full * (1 - slack)))
            yield from ((total, kind, product, total) for total in ended)


def _round_totals(least: float) -> Iterator[int]:
    for power in range(5):
        for digits in range(10, 100):
            total = digits * 10**power
            if least <= total <= min(_LONGEST, 20 * least):
                yield total


def _warmups(total: int, kind: int) -> list[int]:
    if kind == ScheduleKind.CONSTANT:
        return list(_WARMUPS)
    shares = {math.ceil(total * s) for s in _WARMUP_SHARES} | {int(total * s) for s in _WARMUP_SHARES}
    return sorted({w for w in _WARMUPS if w < total} | shares)
