"""Where a tensor's elements lie: runs of bytes, through pieces, transposition and block formats."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.byte_files import ByteFile, Span
from parentage.checkpoints.formats.encodings import encoding_of
from parentage.records.tensors import TensorRef

__all__ = ["Run", "runs_of"]

Bits = NDArray[np.unsignedinteger]
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
    source = run.source
    rows, columns = source.shape
    size = source.dtype.itemsize
    first, last = run.start // columns, (run.start + run.count - 1) // columns if run.count else 0
    wanted = last - first + 1 if run.count else 0
    found = np.empty((wanted, columns), part.dtype)
    read = 0
    step = max(1, BAND // max(1, rows * size))
    # Few rows of ours: one short read in each row of the file. Many: whole rows of the file.
    narrow = wanted * 8 < rows
    for top in range(0, columns, 1 if narrow else step):
        count = 1 if narrow else min(step, columns - top)
        width = wanted if narrow else rows
        band = np.empty((count, width), part.dtype)
        begin = source.begin + (top * rows + (first if narrow else 0)) * size
        file.read_into(begin, band.reshape(-1).data.cast("B"))
        read += band.nbytes
        found[:, top : top + count] = (band if narrow else band[:, first : last + 1]).T
    skip = run.start - first * columns
    part[:] = found.reshape(-1)[skip : skip + run.count]
    return read
