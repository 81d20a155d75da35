"""Task vectors of bfloat16 operands straight from their storage bits, in blocks that stay in the cache.

Steps and their order are those of ``task_kernels``, ``selection`` and ``brackets``, whose loops run here
on a block at a time: no decoded copy of a chunk is written to memory, and the same bits come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.methods.brackets import Numbers, keep_marked
from parentage.methods.grids import decode_bf16, store_bf16
from parentage.methods.method import BitsReader, Reader, Values, bits_reader
from parentage.methods.selection import Cut
from parentage.methods.task_kernels import GRIDS, combine, differences, on_grid_of
from parentage.methods.task_vectors import Deltas
from parentage.numerics.storage.rounding_kernels import bits_of, from_bits

__all__ = ["StoredDeltas", "Trims", "merge_stored", "passes_over"]

# Elements of a block, as in ``task_kernels``.
BLOCK: Final = 2048
# Elements that a pass reads at a time.
CHUNK: Final = 1 << 18
SIZE: Final = np.uint32(0x7FFFFFFF)
HALF: Final = np.uint32(16)
WHOLE: Final = 0
LARGEST: Final = 1
NOTHING: Final = 2
Stored = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class StoredDeltas:
    """Task vectors [others, n] of operands' storage bits [models, n], made where they are asked for."""

    deltas: Deltas
    bits: Stored

    @property
    def shape(self) -> tuple[int, int]:
        """Task vectors, elements."""
        return len(self.deltas.others), self.bits.shape[1]

    def __getitem__(self, row: int) -> Values:
        """One of them, whole."""
        out = np.empty(self.bits.shape[1], np.float32)
        own, base = self.bits[self.deltas.others[row]], self.bits[self.deltas.base]
        _apart_stored(own, base, GRIDS[self.deltas.dtype], out)
        return out

    def gather(
        self,
        row: int,
        start: int,
        low: int,
        high: int,
        sizes: NDArray[np.uint32],
        places: NDArray[np.int64],
        filled: int,
        below: int,
    ) -> tuple[int, int]:
        """``brackets.gather`` of one of them."""
        own, base = self.bits[self.deltas.others[row]], self.bits[self.deltas.base]
        grid = GRIDS[self.deltas.dtype]
        done: tuple[int, int] = _gather_stored(
            own, base, grid, start, low, high, sizes, places, filled, below
        )
        return done


@njit(cache=True, nogil=True, error_model="numpy")
def _apart_stored(own: Stored, base: Stored, grid: int, out: Values) -> None:
    x, ours = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for begin in range(0, out.size, BLOCK):
        n = min(BLOCK, out.size - begin)
        decode_bf16(own[begin : begin + n], x)
        decode_bf16(base[begin : begin + n], ours)
        differences(x[:n], ours[:n], out[begin : begin + n], grid)


@njit(cache=True, nogil=True, error_model="numpy")
def _mark_on(
    own: Stored,
    base: Stored,
    grid: int,
    least: np.uint32,
    span: np.uint32,
    patterns: NDArray[np.uint32],
    inside: NDArray[np.uint8],
) -> np.uint32:
    # One loop from bits to marks stays in registers.
    under = np.uint32(0)
    for i in range(own.size):
        x = on_grid_of(from_bits(np.uint32(np.uint32(own[i]) << HALF)), grid)
        ours = on_grid_of(from_bits(np.uint32(np.uint32(base[i]) << HALF)), grid)
        size = np.uint32(bits_of(on_grid_of(np.float32(x - ours), grid)) & SIZE)
        over = np.uint32(size - least)
        patterns[i] = size
        inside[i] = np.uint8(over <= span)
        under += over >> np.uint32(31)
    return under


@njit(cache=True, nogil=True, error_model="numpy")
def _mark(
    own: Stored,
    base: Stored,
    grid: int,
    least: np.uint32,
    span: np.uint32,
    patterns: NDArray[np.uint32],
    inside: NDArray[np.uint8],
) -> np.uint32:
    """Magnitudes of a block's task vector, which of them lie in a bracket; how many lie below."""
    if grid == 0:
        return _mark_on(own, base, 0, least, span, patterns, inside)
    if grid == 1:
        return _mark_on(own, base, 1, least, span, patterns, inside)
    return _mark_on(own, base, 2, least, span, patterns, inside)


@njit(cache=True, nogil=True, error_model="numpy")
def _gather_stored(
    own: Stored,
    base: Stored,
    grid: int,
    start: int,
    low: int,
    high: int,
    sizes: NDArray[np.uint32],
    places: NDArray[np.int64],
    filled: int,
    below: int,
) -> tuple[int, int]:
    least, span = np.uint32(low), np.uint32(high - low)
    patterns, inside = np.empty(BLOCK, np.uint32), np.zeros(BLOCK, np.uint8)
    for begin in range(0, own.size, BLOCK):
        n = min(BLOCK, own.size - begin)
        if filled + n > sizes.size:
            return sizes.size, below
        theirs, ours = own[begin : begin + n], base[begin : begin + n]
        below += int(_mark(theirs, ours, grid, least, span, patterns, inside))
        filled = keep_marked(patterns[:n], inside, start + begin, sizes, places, filled)
    return filled, below


def passes_over(reader: Reader, deltas: Deltas) -> Callable[[], Iterator[tuple[int, Numbers]]]:
    """What makes a pass over a tensor's task vectors: (first element, those of a chunk), of bfloat16
    operands as they are stored."""
    stored = bits_reader(reader)

    def decoded() -> Iterator[tuple[int, Numbers]]:
        for start, values in reader.chunks():
            yield start, deltas(values)

    def undecoded(source: BitsReader) -> Iterator[tuple[int, Numbers]]:
        for start in range(0, reader.elements, CHUNK):
            count = min(CHUNK, reader.elements - start)
            yield start, StoredDeltas(deltas, source.read_bits(start, count))

    return decoded if stored is None else lambda: undecoded(stored)


@dataclass(frozen=True, slots=True)
class Trims:
    """What of each task vector stays, as arrays [others]: ``kinds`` (whole, its largest, nothing), and for
    its largest the cut's magnitude and index."""

    kinds: NDArray[np.int64]
    magnitudes: NDArray[np.int64]
    indices: NDArray[np.int64]

    @classmethod
    def of(cls, keeps: Sequence[Cut | bool]) -> Trims | None:
        """From a cut, True (whole) or False (nothing) for each; None where a cut goes by a tool's order."""
        cuts = [k for k in keeps if isinstance(k, Cut)]
        if any(c.first.size for c in cuts):
            return None
        kinds = [LARGEST if isinstance(k, Cut) else WHOLE if k else NOTHING for k in keeps]
        return cls(
            np.array(kinds, np.int64),
            np.array([k.magnitude if isinstance(k, Cut) else 0 for k in keeps], np.int64),
            np.array([k.index if isinstance(k, Cut) else 0 for k in keeps], np.int64),
        )


@njit(cache=True, nogil=True, error_model="numpy")
def _trim(x: Values, magnitude: int, index: int) -> None:
    """Zero what lies behind the cut; ``index``: counted from the block's first element. A product, as
    masks are applied elsewhere: what is not a number stays none."""
    bits, size, last = x.view(np.uint32), np.uint32(magnitude), np.int32(min(max(index, -1), BLOCK))
    for i in range(x.size):
        own = np.uint32(bits[i] & SIZE)
        stays = (own > size) | ((own == size) & (np.int32(i) < last))
        x[i] = x[i] * (np.float32(1) if stays else np.float32(0))


@njit(cache=True, nogil=True, error_model="numpy")
def _merge_stored(
    bits: Stored,
    base: int,
    others: NDArray[np.int64],
    trims: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    weights: Values,
    scale: Values,
    elect: bool,
    normalize: bool,
    grid: int,
    power: int,
    odd: int,
    start: int,
    out: Stored,
) -> None:
    kinds, magnitudes, indices = trims
    x, ours, made = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    deltas = np.empty((others.size, BLOCK), np.float32)
    for begin in range(0, out.size, BLOCK):
        n = min(BLOCK, out.size - begin)
        decode_bf16(bits[base, begin : begin + n], ours)
        for j in range(others.size):
            decode_bf16(bits[others[j], begin : begin + n], x)
            row = deltas[j, :n]
            differences(x[:n], ours[:n], row, grid)
            if kinds[j] == LARGEST:
                _trim(row, magnitudes[j], indices[j] - start - begin)
            elif kinds[j] == NOTHING:
                for i in range(n):
                    row[i] = row[i] * np.float32(0)
        combine(deltas, ours[:n], weights, scale, elect, normalize, grid, power, odd - begin, made[:n])
        store_bf16(made[:n], out[begin : begin + n])


def merge_stored(
    bits: Stored,
    deltas: Deltas,
    trims: Trims,
    weights: Values,
    scale: Values,
    *,
    elect: bool,
    normalize: bool,
    power: int,
    odd: int,
    start: int,
    out: Stored,
) -> Stored:
    """Storage bits of a merge of task vectors in bfloat16, of elements ``start`` on, in ``out`` [n];
    ``power`` and ``odd`` as ``task_kernels.combine`` takes them."""
    arrays = (trims.kinds, trims.magnitudes, trims.indices)
    others = np.array(deltas.others, np.int64)
    grid = GRIDS[deltas.dtype]
    _merge_stored(
        bits, deltas.base, others, arrays, weights, scale, elect, normalize, grid, power, odd, start, out
    )
    return out
