"""What of a matrix is read to find its rows or columns again: bounded, the same places of both models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.numerics.assignment import MOST_UNITS, RowMatch, least_correlation, row_correlations
from parentage.numerics.formats import to_float64
from parentage.records.tensors import TensorRef

__all__ = ["Side", "in_place", "print_columns", "print_rows", "read_vector"]

Floats = NDArray[np.float64]
# So many numbers of each row or column: 32,768 rows take 64 MB as float64.
PLACES = 256
# Rows that are looked at to see whether a matrix is in place: with 128 of them, an order that moves a
# twentieth of the rows is seen in all but one of 700 matrices.
LOOKED_AT = 128
IN_PLACE = 0.99
# A matrix with other lengths of rows than its counterpart is looked at more closely.
RATIO = 1.15


@dataclass(frozen=True, slots=True)
class Side:
    """A tensor of one model."""

    checkpoint: Checkpoint
    ref: TensorRef

    def read(self, start: int, count: int) -> Floats:
        """Numbers as float64; what is not finite as 0."""
        values = to_float64(self.checkpoint.read(self.ref, start, count), self.ref.dtype)
        return np.where(np.isfinite(values), values, 0.0)


def _rows(side: Side, rows: NDArray[np.int64], first: int, width: int) -> Floats:
    """Some numbers of some rows [rows, width]."""
    columns = side.ref.shape[1]
    if width == columns and rows.size == side.ref.shape[0]:
        return side.read(0, side.ref.elements).reshape(side.ref.shape)
    return np.stack([side.read(int(row) * columns + first, width) for row in rows])


def in_place(own: Side, other: Side) -> bool:
    """Do the rows and columns of two matrices stand in one order, with one scale? Read from a few rows, all
    of whose columns take part where there are no more than 4,096."""
    rows, columns = own.ref.shape
    chosen = np.unique(np.linspace(0, rows - 1, min(LOOKED_AT, rows)).astype(np.int64))
    width = min(columns, 16 * PLACES)
    a, b = (_rows(side, chosen, 0, width) for side in (own, other))
    full = a.any(axis=1) | b.any(axis=1)
    if not full.any():
        return True
    wanted = min(least_correlation(rows, width), 0.9)
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
    return np.stack([side.read(int(r) * width, width)[picked] * factors for r in everywhere])


def print_columns(side: Side, order: RowMatch | None = None) -> Floats:
    """Some numbers of every column [m, 256 or fewer]; of rows in another order where one is given."""
    rows, width = side.ref.shape
    if width > MOST_UNITS:
        return np.zeros((width, 0))
    chosen = np.unique(np.linspace(0, rows - 1, min(PLACES, rows)).astype(np.int64))
    if order is None:
        return np.ascontiguousarray(_rows(side, chosen, 0, width).T)
    moved = np.stack([side.read(int(row) * width, width) for row in order.order[chosen]])
    return np.ascontiguousarray((moved * order.factors[chosen, None]).T)


def read_vector(side: Side) -> Floats:
    """All of it."""
    return side.read(0, side.ref.elements)
