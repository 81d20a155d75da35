"""Where a tensor's elements lie: runs of bytes, through pieces, transposition and block formats."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.byte_files import ByteFile, Span
from parentage.checkpoints.formats.encodings import encoding_of
from parentage.records.tensors import TensorRef

__all__ = ["Run", "read_tile", "runs_of", "tiles_of"]

Bits = NDArray[np.unsignedinteger]
# Pieces of a turned matrix's rows are told one by one where more than this lies between them: so much is
# fetched with what lies on both sides of it (remote.extents).
FAR = 32 * 2**10
# Columns of a transposed matrix are read as bands of whole rows of the file, this many bytes at a time.
BAND = 2**20


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` elements of ``source`` from ``start`` on, to be put at ``at`` of what is read."""

    source: TensorRef
    start: int
    count: int
    at: int

    @property
    def span(self) -> Span:
        """The bytes of the file that hold them, and where transposed or in blocks some more."""
        source = self.source
        if source.transposed:
            return source.begin, source.end - source.begin
        if source.encoding:
            return _block_span(self)
        size = source.dtype.itemsize
        return source.begin + self.start * size, self.count * size

    @property
    def spans(self) -> Iterator[Span]:
        """The same, of a turned matrix without what lies far between: a piece of each row of the file."""
        source = self.source
        if not source.transposed or not self.count:
            yield self.span
            return
        rows, size = source.shape[0], source.dtype.itemsize
        box = _Box.of(self)
        piece = (box.last - box.first) * size
        begins = range(box.left, box.right)
        if (rows * size) - piece <= FAR:
            yield box.begin(source, box.left), (box.right - 1 - box.left) * rows * size + piece
            return
        yield from ((box.begin(source, column), piece) for column in begins)

    def read_into(self, file: ByteFile, out: Bits) -> int:
        """Fill ``out[at : at + count]``; the number of bytes read."""
        part = out[self.at : self.at + self.count]
        if self.source.transposed:
            return _read_transposed(self, file, part)
        if self.source.encoding:
            return _read_encoded(self, file, part)
        offset, _ = self.span
        file.read_into(offset, part.data.cast("B") if part.size else memoryview(b""))
        return part.nbytes


@dataclass(frozen=True, slots=True)
class _Box:
    """Rows ``first`` to ``last`` and columns ``left`` to ``right`` of a turned matrix that hold a run."""

    first: int
    last: int
    left: int
    right: int

    @staticmethod
    def of(run: Run) -> _Box:
        columns = run.source.shape[1]
        first, final = run.start // columns, (run.start + run.count - 1) // columns
        left, right = 0, columns
        if first == final:
            left = run.start - first * columns
            right = left + run.count
        return _Box(first, final + 1, left, right)

    def begin(self, source: TensorRef, column: int) -> int:
        return source.begin + (column * source.shape[0] + self.first) * source.dtype.itemsize

    def read(self, source: TensorRef, file: ByteFile, dtype: np.dtype[Any]) -> tuple[Bits, int]:
        """Its numbers [rows, columns], and how many bytes were read."""
        rows, columns, wanted = source.shape[0], self.right - self.left, self.last - self.first
        found = np.empty((wanted, columns), dtype)
        read = 0
        step = max(1, BAND // max(1, rows * source.dtype.itemsize))
        # Few rows of ours: one short read in each row of the file. Many: whole rows of the file.
        narrow = wanted * 8 < rows
        for top in range(0, columns, 1 if narrow else step):
            count = 1 if narrow else min(step, columns - top)
            band = np.empty((count, wanted if narrow else rows), dtype)
            begin = self.begin(source, self.left + top)
            begin -= 0 if narrow else self.first * source.dtype.itemsize
            file.read_into(begin, band.reshape(-1).data.cast("B"))
            read += band.nbytes
            found[:, top : top + count] = (band if narrow else band[:, self.first : self.last]).T
        return found, read


def runs_of(tensor: TensorRef, start: int, count: int) -> Iterator[Run]:
    """The runs that make up elements [start, start + count), in order."""
    if not tensor.pieces:
        yield Run(tensor, start, count, 0)
        return
    at, end = start, start + count
    k = bisect_right(tensor.pieces, start, key=lambda p: p.at) - 1
    while at < end:
        piece = tensor.pieces[k]
        inside = at - piece.at
        part = min(piece.count - inside, end - at)
        if part > 0:
            for run in runs_of(piece.source, piece.start + inside, part):
                yield Run(run.source, run.start, run.count, at - start + run.at)
        at, k = at + max(part, 0), k + 1


def _block_span(run: Run) -> Span:
    encoding = encoding_of(run.source.encoding)
    first = run.start // encoding.elements
    last = -(-(run.start + run.count) // encoding.elements)
    return run.source.begin + first * encoding.nbytes, (last - first) * encoding.nbytes


def _read_encoded(run: Run, file: ByteFile, part: Bits) -> int:
    """Decode the blocks that hold the elements; ``dtype`` is float32."""
    encoding = encoding_of(run.source.encoding)
    offset, count = _block_span(run)
    raw = np.empty(count, np.uint8)
    file.read_into(offset, raw.data)
    values = encoding.decode(raw)
    skip = run.start % encoding.elements
    part[:] = values[skip : skip + run.count].view(part.dtype)
    return count


def _read_transposed(run: Run, file: ByteFile, part: Bits) -> int:
    """Element (i, j) of ``shape`` [m, n] lies at j · m + i of the file: rows of ours are columns there."""
    if not run.count:
        return 0
    box = _Box.of(run)
    found, read = box.read(run.source, file, part.dtype)
    skip = run.start - box.first * run.source.shape[1] - box.left
    part[:] = found.reshape(-1)[skip : skip + run.count]
    return read


def tiles_of(tensor: TensorRef, starts: NDArray[np.int64], length: int) -> list[tuple[int, int]] | None:
    """Neighbouring ``starts`` (first, last) that are rows of one tile of a turned matrix, each within a row
    of it; None where the tensor is another."""
    if not tensor.transposed or tensor.encoding or not starts.size or not length:
        return None
    columns = tensor.shape[1]
    within = starts.min() >= 0 and starts.max() + length <= tensor.elements
    if not within or (starts % columns + length > columns).any():
        return None
    cuts = np.flatnonzero(np.diff(starts) != columns) + 1
    edges = [0, *cuts.tolist(), starts.size]
    return list(pairwise(edges))


def read_tile(tensor: TensorRef, file: ByteFile, start: int, out: Bits) -> int:
    """Fill ``out`` [rows, length] with a tile of a turned matrix whose first number is element ``start``;
    the number of bytes read."""
    columns = tensor.shape[1]
    first, left = divmod(start, columns)
    out[:], read = _Box(first, first + out.shape[0], left, left + out.shape[1]).read(
        tensor, file, out.dtype
    )
    return read
