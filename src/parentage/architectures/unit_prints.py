"""What of a matrix is read to find its rows or columns again: bounded, the same places of both models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.numerics.matrices.assignment import MOST_UNITS, RowMatch, least_correlation, row_correlations
from parentage.numerics.storage.formats import to_float64
from parentage.records.tensors import TensorRef

__all__ = ["Side", "in_place", "print_columns", "print_rows", "read_vector"]

Floats = NDArray[np.float64]
# So many numbers of each row or column: 32,768 rows take 64 MB as float64.
PLACES = 256
# Rows that are looked at to see whether a matrix is in place, in runs of four (a turned matrix is read by
# whole runs): 32 runs see an order that moves a tenth of the heads in all but one of thirty matrices, one
# that moves a tenth of the neurons always.
LOOKED_AT = 128
NEIGHBOURS = 4
IN_PLACE = 0.99
# A matrix with other lengths of rows than its counterpart is looked at more closely.
RATIO = 1.15


@dataclass(frozen=True, slots=True)
class Side:
    """A tensor of one model."""

    checkpoint: Checkpoint
    ref: TensorRef

    @property
    def turned(self) -> bool:
        """Is the matrix, or a part of it, stored the other way round? Its single rows are dear to read."""
        return self.ref.transposed or any(p.source.transposed for p in self.ref.pieces)

    def read(self, start: int, count: int) -> Floats:
        """Numbers as float64; what is not finite as 0."""
        values = to_float64(self.checkpoint.read(self.ref, start, count), self.ref.dtype)
        return np.where(np.isfinite(values), values, 0.0)


def _rows(side: Side, rows: NDArray[np.int64], first: int, width: int) -> Floats:
    """Some numbers of some rows [rows, width]."""
    columns = side.ref.shape[1]
    if width == columns and rows.size == side.ref.shape[0]:
        return side.read(0, side.ref.elements).reshape(side.ref.shape)
    if width < columns and not side.turned:
        return np.stack([side.read(int(row) * columns + first, width) for row in rows])
    found = [
        side.read(int(run[0]) * columns, run.size * columns).reshape(run.size, columns)[
            :, first : first + width
        ]
        for run in _neighbours(rows)
    ]
    return np.concatenate(found)


def _neighbours(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Rows that lie one after the other, at most 256 together."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    runs = np.split(rows, breaks)
    return [run[k : k + PLACES] for run in runs for k in range(0, run.size, PLACES)]


def _spread(rows: int, count: int, together: int) -> NDArray[np.int64]:
    """``count`` rows, spread evenly in runs of neighbours."""
    if rows <= count:
        return np.arange(rows, dtype=np.int64)
    starts = np.linspace(0, rows - together, count // together).astype(np.int64)
    return np.unique(starts[:, None] + np.arange(together))


def in_place(own: Side, other: Side) -> bool:
    """Do the rows and columns of two matrices stand in one order, with one scale? Read from a few rows, of
    whose columns the first 1,024 take part: an order of all columns shows in them."""
    rows, columns = own.ref.shape
    chosen = _spread(rows, LOOKED_AT, NEIGHBOURS)
    width = min(columns, 4 * PLACES)
    a, b = (_rows(side, chosen, 0, width) for side in (own, other))
    with np.errstate(over="ignore", invalid="ignore"):
        return _agree(a, b, min(least_correlation(rows, width), 0.9))


def _agree(a: Floats, b: Floats, wanted: float) -> bool:
    full = a.any(axis=1) | b.any(axis=1)
    if not full.any():
        return True
    alike = row_correlations(a, b)[full] >= wanted
    lengths = np.linalg.norm(a, axis=1)[full], np.linalg.norm(b, axis=1)[full]
    steady = (lengths[0] < RATIO * lengths[1]) & (lengths[1] < RATIO * lengths[0])
    return float(np.mean(alike & steady)) >= IN_PLACE and _columns_steady(a, b)


def _columns_steady(a: Floats, b: Floats) -> bool:
    """The same of the columns, as far as those few rows show them."""
    one, two = np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0)
    full = (one > 0) & (two > 0)
    steady = (one < 2 * two) & (two < 2 * one) & (np.einsum("ij,ij->j", a, b) > 0)
    return bool(np.mean(steady[full]) >= IN_PLACE) if full.any() else True


def print_rows(side: Side, columns: RowMatch | None = None) -> Floats:
    """Some numbers of every row [n, 256 or fewer]; of columns in another order where one is given."""
    rows, width = side.ref.shape
    if rows > MOST_UNITS:
        return np.zeros((rows, 0))
    everywhere = np.arange(rows, dtype=np.int64)
    if columns is None:
        first = max(0, (width - PLACES) // 2)
        return _rows(side, everywhere, first, min(PLACES, width))
    first = max(0, (width - PLACES) // 2)
    picked = columns.order[first : first + PLACES]
    factors = columns.factors[first : first + PLACES]
    blocks = (_rows(side, run, 0, width)[:, picked] for run in _neighbours(everywhere))
    return np.asarray(np.concatenate(list(blocks)) * factors)


def print_columns(side: Side, order: RowMatch | None = None) -> Floats:
    """Some numbers of every column [m, 256 or fewer]; of rows in another order where one is given."""
    rows, width = side.ref.shape
    if width > MOST_UNITS:
        return np.zeros((width, 0))
    chosen = _spread(rows, PLACES, 2 * NEIGHBOURS)
    if order is None:
        return np.ascontiguousarray(_rows(side, chosen, 0, width).T)
    moved = np.stack([side.read(int(row) * width, width) for row in order.order[chosen]])
    return np.ascontiguousarray((moved * order.factors[chosen, None]).T)


def read_vector(side: Side) -> Floats:
    """All of it."""
    return side.read(0, side.ref.elements)
