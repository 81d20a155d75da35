"""Weights of three to eight parents on one tensor, their sum not assumed to be one."""

from __future__ import annotations

import numpy as np

from parentage.evidence.mixtures import MINIMUM_INFORMATIVE, cast_operand, plausible_casts
from parentage.evidence.reading import ModelSlice, TensorSample
from parentage.numerics import programme
from parentage.numerics.cells import rounding_cells
from parentage.numerics.formats import round_to
from parentage.records.evidence import WeightSet

__all__ = ["measure_weight_set"]

# Constraints for the linear programme: 4,096 pin a weight to about 1e-4 at usual deltas.
PROGRAMME_ELEMENTS = 4_096


def measure_weight_set(sample: TensorSample, parents: tuple[int, ...]) -> WeightSet | None:
    """Ranges of the weights on one tensor; None when a parent lacks it or too little differs."""
    operands = [sample.models[i] for i in parents]
    known = [m for m in operands if m is not None]
    if len(known) != len(operands):
        return None
    found = [_solve(sample, parents, known, cast) for cast in _casts(known, sample.suspect)]
    solved = [w for w in found if w is not None]
    return max(solved, key=lambda w: (w.feasible, w.consistency), default=None)


def _casts(known: list[ModelSlice], suspect: ModelSlice) -> tuple[str, ...]:
    return plausible_casts(known[0], known[1], suspect)


def _solve(
    sample: TensorSample, parents: tuple[int, ...], known: list[ModelSlice], cast: str
) -> WeightSet | None:
    values = np.stack([cast_operand(m.values, cast) for m in known])
    suspect = sample.suspect
    usable = np.isfinite(values).all(axis=0) & np.isfinite(suspect.values)
    usable &= (values != values[-1]).any(axis=0)
    chosen = np.flatnonzero(usable)
    if chosen.size < MINIMUM_INFORMATIVE:
        return None
    if chosen.size > PROGRAMME_ELEMENTS:
        chosen = chosen[np.linspace(0, chosen.size - 1, PROGRAMME_ELEMENTS).astype(np.int64)]
    cells = rounding_cells(round_to(suspect.values[chosen], suspect.effective), suspect.effective)
    start = np.full(len(values), 1.0 / len(values))
    ranges = programme.feasible_weights(values[:, chosen], cells.low, cells.high, start)
    return WeightSet(
        parents=parents,
        cast=cast,
        elements=int(chosen.size),
        estimate=tuple(float(x) for x in ranges.estimate),
        low=tuple(float(x) for x in ranges.low),
        high=tuple(float(x) for x in ranges.high),
        sum_low=float(ranges.sum_low),
        sum_high=float(ranges.sum_high),
        consistency=float(ranges.consistency),
        feasible=ranges.feasible,
        slack=float(ranges.slack),
    )
