"""Rounding cells: the reals that a stored value stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.storage.formats import to_float64
from parentage.records.dtypes import DType

__all__ = ["Cells", "rounding_cells"]


@dataclass(frozen=True, slots=True)
class Cells:
    """Intervals [low, high] of float64 [n]; ``closed`` tells whether both ends belong to them.

    Ends are exact for formats of at most 32 bits; for binary64 they are nearest doubles.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    closed: NDArray[np.bool_]


def rounding_cells(bits: NDArray[np.unsignedinteger], dtype: DType) -> Cells:
    """Cells of stored values [n] under round to nearest, ties to even.

    A tie goes to the even pattern, so the cell of an even pattern is closed. What is not finite has
    no cell: NaN ends.
    """
    one = bits.dtype.type(1)
    sign = bits.dtype.type(1 << (8 * bits.dtype.itemsize - 1))
    size = bits & ~sign
    value = to_float64(size, dtype)
    below = to_float64(np.where(size > 0, size - one, size), dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        above = to_float64(np.where(np.isfinite(value), size + one, size), dtype)
        # Past the largest finite value the grid would go on with the same step.
        above = np.where(np.isfinite(above), above, value + (value - below))
        outer = (value + above) / 2
        inner = np.where(size > 0, (value + below) / 2, -outer)
    negative = (bits & sign) != 0
    low = np.where(negative, -outer, inner)
    high = np.where(negative, -inner, outer)
    finite = np.isfinite(value)
    low, high = np.where(finite, low, np.nan), np.where(finite, high, np.nan)
    return Cells(low, high, finite & ((bits & one) == 0))
