"""Equalities and distances between all models on one tensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.sampling.reading import ModelSlice, TensorSample, recast
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import round_to

__all__ = ["Distances", "coding_noise", "measure_distances"]

STEP_RUN = 32


@dataclass(frozen=True, slots=True)
class Distances:
    """Counts of equal elements, and the Gram matrix of all models' deltas from the suspect."""

    finite: int
    spread: float
    square: float
    equal: tuple[int, ...]
    cast_equal: tuple[int, ...]
    correlation: tuple[float, ...]
    parents_all_equal: int
    gram: tuple[tuple[float, ...], ...]
    rounding: tuple[float, ...]


def measure_distances(
    sample: TensorSample, finite: NDArray[np.bool_], parents: tuple[int, ...]
) -> Distances:
    """Measure on the elements that are finite in every model that has the tensor.

    A model without the tensor counts 0 equal elements and a zero row in ``gram``; ``present`` in the
    evidence says which models those are.
    """
    suspect = sample.suspect.values[finite]
    others = [None if m is None else m.values[finite] for m in sample.models[1:]]
    equal = tuple(0 if v is None else int(np.count_nonzero(v == suspect)) for v in others)
    dtype = sample.suspect.effective
    cast_equal = tuple(
        0 if v is None else int(np.count_nonzero(recast(v, dtype) == suspect)) for v in others
    )
    known = [others[i - 1] for i in parents if others[i - 1] is not None]
    same = _all_equal([v for v in known if v is not None], suspect.size)
    spread = float(np.std(suspect)) if suspect.size else 0.0
    gram = _gram(suspect, others)
    related = tuple(0.0 if v is None else _correlation(suspect, v) for v in others)
    rounding = tuple(0.0 if m is None else _rounding(m, finite) for m in sample.models)
    square = _dot(suspect, suspect)
    return Distances(int(suspect.size), spread, square, equal, cast_equal, related, same, gram, rounding)


def _rounding(model: ModelSlice, finite: NDArray[np.bool_]) -> float:
    """What storage adds to a squared distance when the stored values are themselves rounded ones."""
    if model.encoding:
        return coding_noise(model.values[finite])
    cells = rounding_cells(round_to(model.values[finite], model.effective), model.effective)
    steps = cells.high - cells.low
    return _dot(steps, steps) / 12


def coding_noise(values: NDArray[np.float64]) -> float:
    """The same for numbers decoded from codes: a step is the least distance between numbers of a block, of
    which 32 neighbours hold two that are a step apart (in eight bits nearly so)."""
    count = values.size // STEP_RUN * STEP_RUN
    gaps = np.diff(np.sort(values[:count].reshape(-1, STEP_RUN), axis=1), axis=1)
    least = np.where(gaps > 0, gaps, np.inf).min(axis=1, initial=np.inf)
    steps = least[np.isfinite(least)]
    return _dot(steps, steps) / 12 * (values.size / max(steps.size, 1)) if steps.size else 0.0


def _all_equal(values: list[NDArray[np.float64]], size: int) -> int:
    if len(values) < 2:
        return 0
    same = np.ones(size, dtype=bool)
    for other in values[1:]:
        same &= other == values[0]
    return int(np.count_nonzero(same))


def _gram(
    suspect: NDArray[np.float64], others: list[NDArray[np.float64] | None]
) -> tuple[tuple[float, ...], ...]:
    deltas = [None if v is None else v - suspect for v in others]
    return tuple(tuple(0.0 if x is None or y is None else _dot(x, y) for y in deltas) for x in deltas)


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    if x.size < 2:
        return 0.0
    u, v = x - np.mean(x), y - np.mean(y)
    size = float(np.sqrt(_dot(u, u) * _dot(v, v)))
    return _dot(u, v) / size if size > 0 else 0.0


def _dot(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    # numpy's pairwise summation does not depend on the thread count, a BLAS dot product may.
    return float(np.sum(x * y))
