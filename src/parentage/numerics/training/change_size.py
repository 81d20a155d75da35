"""Root mean square of a change that was made to a stored blend, whatever its distribution.

A likelihood's scale is the standard deviation only where its family is the change's own: of a heavy-tailed
change, or one that differs by row, a Student t₂ reads half. Moments need no family, but they need elements
whose grid step is no coarser than the change, and those are the small weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.likelihoods.prediction import predict, rounding_code
from parentage.numerics.storage.cells import Cells, rounding_cells
from parentage.numerics.storage.formats import round_to
from parentage.records.dtypes import DType

__all__ = ["ChangeSize", "change_size", "size_around_blend"]

Floats = NDArray[np.float64]

# Rounding to steps w adds w²/12 to the second moment of a change of size s (Sheppard's correction), up to
# terms in exp(-2 pi² s²/w²): .7 % of them are left at two sizes a step.
_COARSEST: Final = 2.0
# Fewer elements say less than a fifth about a size.
_LEAST: Final = 30
_ROUNDS: Final = 60
_SETTLED: Final = 1e-6
# The t₂ scale is about half of the root mean square of what it is the better family for.
_FIRST_GUESS: Final = 2.0


@dataclass(frozen=True, slots=True)
class ChangeSize:
    """Root mean square of a change, its standard error (rows as clusters), and elements used."""

    rms: float
    error: float
    elements: int


def change_size(
    c: Floats,
    r: Floats,
    low: Floats,
    high: Floats,
    *,
    dtype: DType,
    scale: float,
    rows: NDArray[np.int32] | None = None,
) -> ChangeSize | None:
    """Root mean square of ``c - r`` before it was rounded.

    All arrays float64 ``[n]``: suspect, stored blend, the suspect's rounding cells. ``dtype``: what the
    blend was stored in; ``scale``: the likelihood's, where the search for the elements starts; ``rows``
    [n]: ids of groups that may share a scale. Elements are chosen by the blend's step alone, so that the
    change has no part in the choice. None where fewer than 30 elements have steps of up to twice the
    change, or rounding explains all of it.
    """
    if scale <= 0.0 or dtype is DType.F64:
        return None
    at = rounding_cells(round_to(r, dtype), dtype)
    steps = at.high - at.low
    order = np.argsort(steps, kind="stable")
    own = (high - low)[order]
    squares = (c - r)[order] ** 2 - own * own / 12.0
    found = _settled(steps[order], np.cumsum(squares), _FIRST_GUESS * scale)
    if found is None:
        return None
    size, count = found
    groups = np.arange(count) if rows is None else rows[order[:count]]
    return ChangeSize(size, _error(squares[:count], size, groups), count)


def size_around_blend(
    parents: Floats,
    weights: Floats,
    c: Floats,
    cells: Cells,
    *,
    dtype: DType,
    scale: float,
    rows: NDArray[np.int32],
) -> ChangeSize | None:
    """:func:`change_size` around the blend of ``parents`` [K, n], summed in float32 in this order."""
    r = np.empty(c.size)
    predict(np.ascontiguousarray(parents), weights, rounding_code(dtype), True, r)
    return change_size(c, r, cells.low, cells.high, dtype=dtype, scale=scale, rows=rows)


def _settled(steps: Floats, sums: Floats, size: float) -> tuple[float, int] | None:
    """The size at which the elements with steps of up to twice the size have it, and their number."""
    for _ in range(_ROUNDS):
        count = int(np.searchsorted(steps, _COARSEST * size, side="right"))
        if count < _LEAST or sums[count - 1] <= 0.0:
            return None
        found = float(np.sqrt(sums[count - 1] / count))
        if abs(found - size) <= _SETTLED * size:
            break
        # Halfway: the set of elements depends on the size, and may otherwise come and go.
        size = (size + found) / 2.0
    return found, count


def _error(squares: Floats, size: float, groups: NDArray[np.integer]) -> float:
    """Standard error of the root of the squares' mean; a group's elements may deviate together."""
    _, index = np.unique(groups, return_inverse=True)
    apart = np.bincount(index, weights=squares - size * size)
    variance = float(np.sum(apart * apart)) / squares.size**2
    return float(np.sqrt(variance)) / (2.0 * size)
