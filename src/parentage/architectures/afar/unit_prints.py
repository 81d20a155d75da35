"""Prints of columns and rows, cheap to read by range: runs of whole rows, or every row's middle, which is
whole rows of a file that holds the matrix the other way round.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.unit_prints import PLACES, Side
from parentage.checkpoints.checkpoint import Slices
from parentage.checkpoints.orders import stored_way
from parentage.numerics.matrices.assignment import RowMatch

__all__ = ["column_print", "column_slices", "row_print", "row_slices"]

Floats = NDArray[np.float64]
# Rows of which whole columns are told apart, in runs of neighbours, which are one request each: with 17,408
# columns a cosine of .78 is asked for, and fine-tunes have more than .9.
ROWS = 128
TOGETHER = 16


def _chosen(rows: int) -> NDArray[np.int64]:
    """Up to 128 rows, in runs spread evenly."""
    if rows <= ROWS:
        return np.arange(rows, dtype=np.int64)
    starts = np.linspace(0, rows - TOGETHER, ROWS // TOGETHER).astype(np.int64)
    return np.asarray(starts[:, None] + np.arange(TOGETHER)).reshape(-1)


def column_slices(side: Side, order: RowMatch | None = None) -> Slices:
    """What :func:`column_print` reads."""
    rows, width = side.ref.shape
    if rows <= ROWS or (order is not None and side.turned):
        return _all(side)
    if order is not None:
        return Slices(side.ref, order.order[_chosen(rows)] * width, width)
    return Slices(side.ref, _chosen(rows)[::TOGETHER] * width, TOGETHER * width)


def column_print(side: Side, order: RowMatch | None = None) -> Floats:
    """The same places of every column [m, 128 or fewer]; of rows in another order where one is given."""
    rows, width = side.ref.shape
    chosen = _chosen(rows)
    wanted = column_slices(side, order)
    if order is not None and wanted.length == rows * width:
        found = _in_bands(side, slice(None))[order.order[chosen]]
    else:
        found = _read(side, wanted).reshape(-1, width)
    return np.ascontiguousarray((found if order is None else found * order.factors[chosen, None]).T)


def row_slices(side: Side, columns: RowMatch | None = None) -> Slices:
    """What :func:`row_print` reads: whole rows where their columns stand in another order."""
    rows, width = side.ref.shape
    if columns is not None or width <= PLACES:
        return _all(side)
    if _plainly_turned(side):
        return Slices(stored_way(side.ref), np.array([_first(width) * rows]), PLACES * rows)
    if side.turned:
        return _all(side)
    return Slices(side.ref, np.arange(rows, dtype=np.int64) * width + _first(width), PLACES)


def row_print(side: Side, columns: RowMatch | None = None) -> Floats:
    """The middle of every row [n, 256 or fewer]; of columns in another order where one is given."""
    rows, width = side.ref.shape
    middle = slice(_first(width), _first(width) + PLACES)
    if columns is not None:
        return np.asarray(_in_bands(side, columns.order[middle]) * columns.factors[middle])
    if width <= PLACES or not side.turned:
        return _read(side, row_slices(side)).reshape(rows, -1)
    if _plainly_turned(side):
        wanted = row_slices(side)
        stored = Side(side.checkpoint, wanted.tensor)
        return np.ascontiguousarray(_read(stored, wanted).reshape(PLACES, rows).T)
    return _in_bands(side, middle)


def _plainly_turned(side: Side) -> bool:
    """Does its file hold the matrix itself the other way round?"""
    made = (side.ref.dequantised, side.ref.packed, side.ref.shifted, side.ref.adapted, side.ref.order)
    return side.ref.transposed and not side.ref.pieces and all(m is None for m in made)


def _all(side: Side) -> Slices:
    return Slices(side.ref, np.zeros(1, np.int64), side.ref.elements)


def _in_bands(side: Side, picked: slice | NDArray[np.int64]) -> Floats:
    """Some columns of all rows, of which many are read at a time."""
    rows, width = side.ref.shape
    step = max(1, 2**20 // width)
    found = [
        side.read(top * width, min(step, rows - top) * width).reshape(-1, width)[:, picked]
        for top in range(0, rows, step)
    ]
    return np.concatenate(found)


def _first(width: int) -> int:
    return max(0, (width - PLACES) // 2)


def _read(side: Side, part: Slices) -> Floats:
    return np.stack([side.read(int(start), part.length) for start in part.starts])
