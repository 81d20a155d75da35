"""Rounding cells: the reals that a stored value stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType

__all__ = ["NARROW", "Cells", "Written", "as_written", "lies_on", "mostly_as_stored", "rounding_cells"]

NARROW: Final = (DType.BF16, DType.F16)
# Of float32 numbers that were never narrower 1 in 65,536 lies on the grid of bfloat16.
WRITTEN_NARROW: Final = 0.05


@dataclass(frozen=True, slots=True)
class Cells:
    """Intervals [low, high] of float64 [n]; ``closed`` tells whether both ends belong to them.

    Ends are exact for formats of at most 32 bits; for binary64 they are nearest doubles.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    closed: NDArray[np.bool_]

    def only(self, chosen: NDArray[np.int64]) -> Cells:
        """Those of some of the values."""
        return Cells(self.low[chosen], self.high[chosen], self.closed[chosen])


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


@dataclass(frozen=True, slots=True)
class Written:
    """How values [n] were written: their cells, and which of them lie on a narrower grid than stored in."""

    cells: Cells
    narrow: NDArray[np.bool_]

    def only(self, chosen: NDArray[np.int64]) -> Written:
        """The same of some of the values."""
        return Written(self.cells.only(chosen), self.narrow[chosen])


def as_written(values: NDArray[np.float64], dtype: DType) -> Written:
    """Cells of values [n] stored in ``dtype``; of a 32-bit tensor in which a share of the numbers lies on a
    16-bit grid, those numbers have that grid's cells.

    Such numbers were rounded to it once, whatever made them: a mean of 16-bit checkpoints keeps those that
    all of them agree on. Taken as exact to 32 bits they would speak for any recipe that rounds to that
    grid, and against every explanation that does not.
    """
    own = rounding_cells(round_to(values, dtype), dtype)
    none = Written(own, np.zeros(values.size, dtype=bool))
    if dtype is not DType.F32 or not values.size:
        return none
    narrow = max(NARROW, key=lambda d: np.count_nonzero(_lies_on(values, d)))
    on = _lies_on(values, narrow)
    if np.count_nonzero(on) < WRITTEN_NARROW * values.size:
        return none
    wide = rounding_cells(round_to(values, narrow), narrow)
    return Written(
        Cells(
            np.where(on, wide.low, own.low),
            np.where(on, wide.high, own.high),
            np.where(on, wide.closed, own.closed),
        ),
        on,
    )


def mostly_as_stored(values: NDArray[np.float64], narrow: DType) -> bool:
    """Do so many of the 32-bit numbers [n] lie on the grid of ``narrow`` that they are to be read as they
    would be in that format, where a blend is said to have been stored in it before the others changed?

    What such numbers say of a blend is then what those of a 16-bit model say, whose error rates are known.
    """
    return bool(values.size and np.count_nonzero(_lies_on(values, narrow)) >= WRITTEN_NARROW * values.size)


def lies_on(values: NDArray[np.float64], dtype: DType) -> NDArray[np.bool_]:
    """Which values [n] the format holds exactly."""
    found: NDArray[np.bool_] = to_float64(round_to(values, dtype), dtype) == values
    return found


def _lies_on(values: NDArray[np.float64], dtype: DType) -> NDArray[np.bool_]:
    """Zero lies on every grid and tells of none."""
    found: NDArray[np.bool_] = lies_on(values, dtype) & (values != 0.0) & np.isfinite(values)
    return found
