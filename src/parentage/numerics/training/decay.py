"""Weight decay replayed bit by bit: x <- x (1 - lr wd) in float32, step after step.

AdamW decouples its decay from the gradient (arXiv 1711.05101), so a weight without gradient moves by
this product alone. In float32 just below one the factor is a whole number of 2^-24 steps, and each
product rounds to the grid of x: how far x moves depends on its mantissa, in a way that a replay gives
exactly and a ratio does not. Signs and powers of two change nothing outside the subnormals.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.numerics.training.schedules import GRID, Grid, multiplier

__all__ = [
    "DecayReplay",
    "Shrinkage",
    "Update",
    "measure_shrinkage",
    "order_witnesses",
    "replay_decay",
    "scan_schedules",
    "visible_decays",
]

SMALLEST_NORMAL = 2.0**-126
TABLE_SIZE = 2**23


class Update(IntEnum):
    """How an optimiser computes its decay."""

    # torch.optim.AdamW: param.mul_(1 - lr * wd), the factor cast to float32.
    FACTOR = 0
    # torch's fused AdamW: param -= lr * wd * param in double, stored as float32.
    DOUBLE = 1
    # transformers' AdamW: param.add_(param, alpha=-lr * wd) in float32.
    ADDED = 2


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """Rows of one block. ``shrunk`` [rows]: every element kept its sign and none grew, by much the same
    factor; ``unchanged`` [rows]: bit-equal. ``low``/``high`` [rows]: the factors seen, NaN elsewhere."""

    shrunk: NDArray[np.bool_]
    unchanged: NDArray[np.bool_]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def measure_shrinkage(
    before: NDArray[np.float32], after: NDArray[np.float32], *, least: int = 16
) -> Shrinkage:
    """Which rows of [rows, columns] may have seen decay alone; rows with fewer than ``least`` elements
    that moved prove nothing."""
    shrunk, unchanged, low, high = _shrinkage(
        np.ascontiguousarray(before), np.ascontiguousarray(after), least
    )
    return Shrinkage(shrunk, unchanged, low, high)


@njit(cache=True, nogil=True)
def _shrinkage(
    before: NDArray[np.float32], after: NDArray[np.float32], least: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    rows, columns = before.shape
    shrunk = np.zeros(rows, np.bool_)
    unchanged = np.zeros(rows, np.bool_)
    low, high = np.full(rows, np.nan), np.full(rows, np.nan)
    for r in range(rows):
        moved, normal, total = 0, 0, 0.0
        smallest, largest = 1.0, 0.0
        good, same = True, True
        for c in range(columns):
            x, y = float(before[r, c]), float(after[r, c])
            if not (np.isfinite(x) and np.isfinite(y)):
                good, same = False, False
                break
            if x != y:
                same = False
            if abs(x) < SMALLEST_NORMAL:
                good = good and abs(y) <= abs(x)
                continue
            ratio = y / x
            if not (0.0 < ratio <= 1.0):
                good, same = False, False
                break
            normal += 1
            if ratio < 1.0:
                moved += 1
            total += 1.0 - ratio
            smallest, largest = min(smallest, 1.0 - ratio), max(largest, 1.0 - ratio)
        unchanged[r] = same
        # A step rounds to between half and twice its size, in fused updates to nothing: a quarter of
        # the elements must move, and none by more than four times the mean.
        if good and moved >= least and 4 * moved >= normal and largest * normal <= 4.0 * total:
            shrunk[r] = True
            low[r], high[r] = 1.0 - largest, 1.0 - smallest
    return shrunk, unchanged, low, high


@njit(cache=True, nogil=True)
def _decayed(x: np.float32, decay: float, update: int) -> np.float32:
    if update == 0:
        return x * np.float32(1.0 - decay)
    if update == 1:
        return np.float32(np.float64(x) - decay * np.float64(x))
    return x + np.float32(-decay) * x


def replay_decay(
    values: NDArray[np.float32], decays: NDArray[np.float64], update: Update = Update.FACTOR
) -> NDArray[np.float32]:
    """``values`` (any shape) after the steps ``decays`` (lr x wd at each, [steps])."""
    flat = values.reshape(-1).copy()
    _replay(flat, decays, int(update))
    return flat.reshape(values.shape)


@njit(cache=True, nogil=True)
def _replay(values: NDArray[np.float32], decays: NDArray[np.float64], update: int) -> None:
    # Runs of 4,096 elements stay in the first cache through all steps.
    for start in range(0, values.size, 4096):
        part = values[start : start + 4096]
        for t in range(decays.size):
            decay = decays[t]
            if update == 0:
                factor = np.float32(1.0 - decay)
                if factor != np.float32(1.0):
                    for i in range(part.size):
                        part[i] = part[i] * factor
            else:
                for i in range(part.size):
                    part[i] = _decayed(part[i], decay, update)


def scan_schedules(
    grid: Grid,
    rate: NDArray[np.float64],
    weight_decay: NDArray[np.float64],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    *,
    update: Update = Update.FACTOR,
    budget: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """The first and last number of steps after which each schedule takes every ``before`` to ``after``
    ([n] probes, n >= 2; 0 where none), and how many schedules the budget of steps allowed."""
    return _scan(
        grid.kind,
        grid.total,
        grid.warmup,
        rate,
        weight_decay,
        np.abs(before),
        np.abs(after),
        int(update),
        budget,
    )


@njit(cache=True, nogil=True)
def _scan(
    kind: NDArray[np.int64],
    total: NDArray[np.int64],
    warmup: NDArray[np.int64],
    rate: NDArray[np.float64],
    weight_decay: NDArray[np.float64],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    update: int,
    budget: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    first = np.zeros(kind.size, np.int64)
    last = np.zeros(kind.size, np.int64)
    for g in range(kind.size):
        x, y = before[0], before[1]
        # A constant rate has no end: its total is the number of steps at the peak that suffice.
        most = total[g] + warmup[g] if kind[g] == 2 else total[g]
        for t in range(most):
            decay = rate[g] * multiplier(kind[g], t, total[g], warmup[g]) * weight_decay[g]
            x, y = _decayed(x, decay, update), _decayed(y, decay, update)
            budget -= 1
            if x < after[0] or y < after[1]:
                break
            if x == after[0] and y == after[1]:
                if first[g] == 0:
                    first[g] = t + 1
                last[g] = t + 1
        if first[g] > 0 and not _all_match(
            kind[g], total[g], warmup[g], rate[g], weight_decay[g], before, after, update, first[g]
        ):
            first[g], last[g] = 0, 0
        if budget <= 0:
            return first, last, g + 1
    return first, last, kind.size


@njit(cache=True, nogil=True)
def _all_match(
    kind: int,
    total: int,
    warmup: int,
    rate: float,
    weight_decay: float,
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    update: int,
    steps: int,
) -> bool:
    values = before.copy()
    for t in range(steps):
        decay = rate * multiplier(kind, t, total, warmup) * weight_decay
        for i in range(values.size):
            values[i] = _decayed(values[i], decay, update)
    return bool(np.array_equal(values, after))


class DecayReplay:
    """One sequence of steps, ready to be checked against many rows.

    Past 8 M elements every mantissa is replayed once and looked up after: the product of normal
    numbers does not depend on their sign and exponent.
    """

    def __init__(self, decays: NDArray[np.float64], update: Update, elements: int) -> None:
        self._decays, self._update = decays, update
        self._table: NDArray[np.uint32] | None = None
        if elements > TABLE_SIZE:
            ones = np.arange(TABLE_SIZE, dtype=np.uint32) | np.uint32(0x3F800000)
            self._table = replay_decay(ones.view(np.float32), decays, update).view(np.uint32)

    def exact(self, before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Elements (any shape) of ``after`` that are ``before`` after all steps, in every bit."""
        old, new = before.view(np.uint32), after.view(np.uint32)
        exponent = (old >> np.uint32(23)) & np.uint32(0xFF)
        if self._table is None or exponent.size == 0:
            plain = replay_decay(before, self._decays, self._update)
            return np.equal(plain.view(np.uint32), new)
        moved = self._table[old & np.uint32(0x7FFFFF)] + ((exponent - np.uint32(127)) << np.uint32(23))
        same: NDArray[np.bool_] = np.equal(moved | (old & np.uint32(0x80000000)), new)
        # The exponents near the subnormals, and zero, are replayed one by one.
        small = exponent < 64
        if small.any():
            replayed = replay_decay(before[small], self._decays, self._update)
            same[small] = replayed.view(np.uint32) == new[small]
        return same


def visible_decays(decays: NDArray[np.float64]) -> NDArray[np.int64]:
    """The decays as whole grid steps of the factor, steps that round to nothing left out: the part of a
    schedule that ``Update.FACTOR`` lets through."""
    steps: NDArray[np.int64] = np.rint(decays / GRID).astype(np.int64)
    return np.asarray(steps[steps != 0])


def order_witnesses(values: NDArray[np.float32], log_decay: float, most: int = 7) -> NDArray[np.bool_]:
    """Elements (any shape) that tell the order of steps, not only how many of each size there were.

    A factor of m grid steps moves a mantissa u in [1, 2) by m u / 2 units, rounded; on its way down an
    element passes a place where that rounds differently, u = (2 j + 1) / m for m <= ``most``. Told are
    those within ``log_decay`` of such a place: from above they may pass it, from below they must not
    have (a sibling's had, on its own way down from the common ancestor).
    """
    table = np.zeros(2**16, dtype=bool)
    for m in range(1, most + 1):
        for odd in range(m, 2 * m):
            if odd % 2:
                u = odd / m
                begin = max(0, int((u * (1 - log_decay) - 1) * 2**16))
                end = int((u * (1 + log_decay) - 1) * 2**16) + 1
                table[begin : min(end, 2**16)] = True
    mantissa = (values.view(np.uint32) & np.uint32(0x7FFFFF)) >> np.uint32(7)
    return np.asarray(table[mantissa])
