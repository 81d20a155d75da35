"""A blend of several models, quantised: weights whose sum is not assumed, from what every code allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.codes.quantized import CodedSample
from parentage.evidence.codes.quantized_replays import (
    CANDIDATES,
    STORED,
    Blends,
    Parents,
    Recipe,
    codes_given,
    parts_of,
    recipes_for,
    replay,
)
from parentage.numerics.feasible import candidates
from parentage.numerics.feasible.programme import WeightRanges, feasible_weights
from parentage.numerics.storage.quantizers import CodeCells
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.quantized import QuantizedBlend, QuantizedControl

__all__ = ["measure_set"]

Floats = NDArray[np.float64]
# Codes for the linear programme, over all tensors, and of one tensor at least.
MOST, LEAST = 65_536, 256
# Of all weights together so many combinations are looked at.
COMBINATIONS = 512


@dataclass(frozen=True, slots=True)
class _Codes:
    """Parents [K, n], and what the codes allow, low and high [n]."""

    parents: Floats
    low: Floats
    high: Floats

    def within(self, stored: int) -> WeightRanges:
        """Weights that all of them allow, if the blend was stored in a format first."""
        _, half, least = STORED[stored]
        slack = np.maximum(half * np.maximum(np.abs(self.low), np.abs(self.high)), least)
        found = np.linalg.lstsq(self.parents.T, (self.low + self.high) / 2, rcond=None)[0]
        start: Floats = found.astype(np.float64)
        return feasible_weights(self.parents, self.low - slack, self.high + slack, start)


def measure_set(own: Blends, parents: Parents, controls: Sequence[int]) -> QuantizedBlend | None:
    """The parents that are needed, all of their weights' ranges, and the replay; None where no weights
    are allowed by all codes that were asked."""
    drawn = _drawn(own, parents)
    if drawn is None:
        return None
    exact = {d: f for k, (d, _, _) in enumerate(STORED) if (f := drawn.within(k)).feasible}
    if not exact:
        return None
    widest = list(exact.values())[-1]
    needed = [not low <= 0 <= high for low, high in zip(widest.low, widest.high, strict=True)]
    if not all(needed):
        kept = tuple(p for p, used in zip(parents, needed, strict=True) if used)
        return measure_set(own, kept, controls) if len(kept) > 1 else None
    weights = {d: _simple(f) for d, f in exact.items()}
    recipes = recipes_for({d: several for d, several in weights.items() if several})
    if not recipes:
        return None
    told, recipe = replay(own, parents, recipes)
    found = _range_of({told.stored, *told.stored_alike}, exact)
    return QuantizedBlend(
        parents=parents,
        informative=drawn.low.size,
        consistent=drawn.low.size,
        low=float(found.low[0]),
        high=float(found.high[0]),
        replay=told,
        controls=tuple(_control(own, parents, c, recipe) for c in controls),
        ranges=tuple((float(a), float(b)) for a, b in zip(found.low, found.high, strict=True)),
    )


def _range_of(formats: set[str], exact: Mapping[DType, WeightRanges]) -> WeightRanges:
    kept = [f for d, f in exact.items() if d.value in formats] or list(exact.values())
    return kept[-1]


def _drawn(own: Blends, parents: Parents, control: int = 0, recipe: Recipe | None = None) -> _Codes | None:
    """Inner codes in which the parents differ, evenly from every tensor; a control's where one is named."""
    each = max(LEAST, MOST // max(1, len(own.groups)))

    def work(sample: CodedSample) -> _Codes | None:
        parts, coded = parts_of(sample, parents), sample.coded
        if control:
            values = sample.others[control - 1]
            if values is None or recipe is None:
                return None
            coded = coded.coded_as(values, recipe.rule_for(coded))
        return None if parts is None else _telling(np.array(parts, np.float64), coded.cells(), each)

    found = [c for c in own.each(work) if c is not None and c.low.size]
    if not found or sum(c.low.size for c in found) < LEAST:
        return None
    return _Codes(
        np.concatenate([c.parents for c in found], axis=1),
        np.concatenate([c.low for c in found]),
        np.concatenate([c.high for c in found]),
    )


def _telling(parts: Floats, cells: CodeCells, most: int) -> _Codes:
    use = cells.inner & np.isfinite(parts).all(axis=0) & (np.ptp(parts, axis=0) > 0)
    places = np.flatnonzero(use)
    places = places[:: max(1, -(-places.size // most))]
    return _Codes(parts[:, places], cells.low[places], cells.high[places])


def _simple(found: WeightRanges) -> list[tuple[float, ...]]:
    """Simple weights in all ranges at once: what the first leave of one where one is a possible sum."""
    count = found.low.size
    one = found.sum_low <= 1 <= found.sum_high
    free = count - 1 if one else count
    most = max(2, int(COMBINATIONS ** (1 / free)))
    sides = [
        candidates.simplest_in(float(a), float(b), most) for a, b in zip(found.low, found.high, strict=True)
    ]
    rows = product(*sides[:free])
    several = [(*row, candidates.rest_of_one(row)) if one else row for row in rows]
    inside = [w for w in several if found.low[-1] <= w[-1] <= found.high[-1]]
    return sorted(inside, key=_length)[:CANDIDATES]


def _length(weights: Sequence[float]) -> float:
    return sum(candidates.description_length(w) for w in weights)


def _control(own: Blends, parents: Parents, control: int, recipe: Recipe) -> QuantizedControl:
    """Another model, quantised as the suspect is, as a blend of the same parents with any weights."""

    def work(sample: CodedSample) -> tuple[int, int]:
        values = sample.others[control - 1]
        if values is None:
            return 0, 0
        coded = sample.coded.coded_as(values, recipe.rule_for(sample.coded))
        return int(coded.codes.size), codes_given(recipe, sample, parents, coded)

    drawn = _drawn(own, parents, control, recipe)
    consistency = 0.0 if drawn is None else drawn.within(len(STORED) - 1).consistency
    codes, matches = (sum(c) for c in zip(*own.each(work), strict=True))
    return QuantizedControl(
        control, consistency, matches / codes if codes else Absent("it shares no tensor of codes")
    )
