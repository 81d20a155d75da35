"""Reading a tensor whose rows and columns stand in another order than in the file: whole rows are read, and
what is wanted is picked from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.layouts import tiles_of
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.tensors import Order, TensorRef

__all__ = ["OrderedTile", "ordered_parts", "ordered_tiles", "read_ordered", "stored_way"]

# Elements of a turned matrix that are read at once.
BAND = 2**18
Bits = NDArray[np.unsignedinteger]
Read = Callable[[TensorRef, int, int], Bits]


def ordered_parts(tensor: TensorRef, start: int, count: int) -> Iterator[tuple[TensorRef, int, int]]:
    """What is read of the source for elements [start, start + count): (source, start, count)."""
    order = _order(tensor)
    columns = _width(tensor)
    for _, source, first, width in _rows(tensor, order, start, count):
        if order.columns is None:
            yield order.source, source * columns + first, width
        else:
            yield order.source, source * columns, columns


def read_ordered(tensor: TensorRef, start: int, count: int, read: Read) -> Bits:
    """Storage bits of elements [start, start + count)."""
    order, columns = _order(tensor), _width(tensor)
    if order.source.transposed and count > columns:
        return _read_turned(tensor, order, start, count, read)
    out = np.empty(count, tensor.dtype.storage)
    at = 0
    for row, source, first, width in _rows(tensor, order, start, count):
        part = out[at : at + width]
        if order.columns is None:
            part[:] = read(order.source, source * columns + first, width)
        else:
            part[:] = read(order.source, source * columns, columns)[order.columns[first : first + width]]
        _multiply(part, order, row, slice(first, first + width), tensor)
        at += width
    return out


def _read_turned(tensor: TensorRef, order: Order, start: int, count: int, read: Read) -> Bits:
    """Many rows of a matrix whose file holds it the other way round: they are picked from whole bands."""
    columns = _width(tensor)
    first, last = start // columns, (start + count - 1) // columns
    rows = np.arange(first, last + 1) if order.rows is None else order.rows[first : last + 1]
    stored = stored_way(order.source)
    height, width = stored.shape
    found = np.empty((rows.size, columns), tensor.dtype.storage)
    step = max(1, BAND // max(width, 1))
    for top in range(0, height, step):
        band = min(step, height - top)
        found[:, top : top + band] = read(stored, top * width, band * width).reshape(band, width)[:, rows].T
    if order.columns is not None:
        found = found[:, order.columns]
    for row, part in enumerate(found, start=first):
        _multiply(part, order, row, slice(0, columns), tensor)
    skip = start - first * columns
    return np.ascontiguousarray(found.reshape(-1)[skip : skip + count])


def stored_way(turned: TensorRef) -> TensorRef:
    """A turned matrix as its file has it."""
    return replace(turned, shape=turned.shape[::-1], transposed=False)


@dataclass(frozen=True, slots=True)
class OrderedTile:
    """Neighbouring rows and columns of a matrix in another order whose file holds it the other way round:
    its columns are rows of the file, of each of which a piece is read."""

    tensor: TensorRef
    first: int
    left: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    def parts(self) -> Iterator[tuple[TensorRef, int, int]]:
        """What is read, as the file has it: (source, start, count)."""
        stored = stored_way(_order(self.tensor).source)
        low, high = int(self.rows.min()), int(self.rows.max())
        for column in self.columns.tolist():
            yield stored, column * stored.shape[1] + low, high + 1 - low

    def read_into(self, out: Bits, read: Read) -> None:
        """Fill ``out`` [rows, columns]."""
        picked = self.rows - self.rows.min()
        for place, part in enumerate(self.parts()):
            out[:, place] = read(*part)[picked]
        across = slice(self.left, self.left + self.columns.size)
        for row, line in enumerate(out, start=self.first):
            _multiply(line, _order(self.tensor), row, across, self.tensor)


def ordered_tiles(tensor: TensorRef, starts: NDArray[np.int64], length: int) -> list[OrderedTile] | None:
    """``starts`` as tiles, one after the other; None where the tensor is another."""
    order = tensor.order
    tiles = None if order is None or not _plain(order.source) else tiles_of(order.source, starts, length)
    if order is None or tiles is None:
        return None
    found = []
    for begin, end in tiles:
        first, left = divmod(int(starts[begin]), _width(tensor))
        rows, columns = np.arange(first, first + end - begin), np.arange(left, left + length)
        rows = rows if order.rows is None else order.rows[rows]
        columns = columns if order.columns is None else order.columns[columns]
        found.append(OrderedTile(tensor, first, left, rows, columns))
    return found


def _plain(source: TensorRef) -> bool:
    made = (source.dequantised, source.packed, source.shifted, source.adapted, source.order)
    return source.transposed and all(m is None for m in made)


def _order(tensor: TensorRef) -> Order:
    assert tensor.order is not None
    return tensor.order


def _width(tensor: TensorRef) -> int:
    """Elements of a row; a vector is a matrix of one column."""
    return tensor.elements // max(tensor.shape[0], 1)


def _rows(tensor: TensorRef, order: Order, start: int, count: int) -> Iterator[tuple[int, int, int, int]]:
    """(row, its row in the source, first column, how many) for a run of elements."""
    width, end = _width(tensor), start + count
    while start < end:
        row, first = divmod(start, width)
        part = min(width - first, end - start)
        yield row, row if order.rows is None else int(order.rows[row]), first, part
        start += part


def _multiply(part: Bits, order: Order, row: int, columns: slice, tensor: TensorRef) -> None:
    """By powers of two, so that only the exponent changes; what overflows becomes infinite."""
    factor = 1.0 if order.row_factors is None else order.row_factors[row]
    several = order.column_factors
    if several is None and factor == 1.0:
        return
    by = factor if several is None else factor * several[columns]
    with np.errstate(over="ignore", invalid="ignore"):
        part[:] = round_to(to_float64(part, tensor.dtype) * by, tensor.dtype)
