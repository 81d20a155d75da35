"""Task vectors of bfloat16 operands straight from their storage bits, in blocks that stay in the cache.

Steps and their order are those of ``task_kernels`` and ``brackets``, whose loops run here on a block at a
time: no decoded copy of a chunk is written to memory, and the same numbers come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.methods.brackets import Numbers
from parentage.methods.grids import decode_bf16
from parentage.methods.method import BitsReader, Reader, Values, bits_reader
from parentage.methods.task_kernels import GRIDS, differences, on_grid_of
from parentage.methods.task_vectors import Deltas
from parentage.numerics.storage.rounding_kernels import bits_of, from_bits

__all__ = ["StoredDeltas", "passes_over"]

# Elements of a block, as in ``task_kernels``.
BLOCK: Final = 2048
# Bytes of all operands that a pass reads at a time: they stay in a core's second-level cache.
NEAR: Final = 6 << 17
SIZE: Final = np.uint32(0x7FFFFFFF)
HALF: Final = np.uint32(16)
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
def _size(own: np.uint16, base: np.uint16, grid: int) -> np.uint32:
    """The magnitude of an element of a task vector, as a pattern."""
    x = on_grid_of(from_bits(np.uint32(np.uint32(own) << HALF)), grid)
    ours = on_grid_of(from_bits(np.uint32(np.uint32(base) << HALF)), grid)
    return np.uint32(bits_of(on_grid_of(np.float32(x - ours), grid)) & SIZE)


@njit(cache=True, nogil=True, error_model="numpy")
def _mark(
    own: Stored, base: Stored, grid: int, least: np.uint32, span: np.uint32, inside: NDArray[np.uint8]
) -> np.uint32:
    """Which of a block's magnitudes lie in a bracket; how many lie below."""
    # One loop from bits to marks stays in registers.
    under = np.uint32(0)
    for i in range(own.size):
        over = np.uint32(_size(own[i], base[i], grid) - least)
        inside[i] = np.uint8(over <= span)
        under += over >> np.uint32(31)
    return under


@njit(cache=True, nogil=True, error_model="numpy")
def _keep(
    own: Stored,
    base: Stored,
    grid: int,
    inside: NDArray[np.uint8],
    start: int,
    sizes: NDArray[np.uint32],
    places: NDArray[np.int64],
    filled: int,
) -> int:
    """Keep the elements of a block whose mark is 1; how many are kept then. Marks are looked at in eights,
    and few of them are set: to work a magnitude out again takes less than to have written all."""
    groups, n = inside.view(np.uint64), own.size
    for i in range(n, 8 * ((n + 7) // 8)):
        inside[i] = 0
    for group in range((n + 7) // 8):
        if groups[group]:
            for i in range(8 * group, min(8 * group + 8, n)):
                if inside[i]:
                    sizes[filled], places[filled] = _size(own[i], base[i], grid), start + i
                    filled += 1
    return filled


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _gather_on(
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
    least, span, inside = np.uint32(low), np.uint32(high - low), np.zeros(BLOCK, np.uint8)
    for begin in range(0, own.size, BLOCK):
        n = min(BLOCK, own.size - begin)
        if filled + n > sizes.size:
            return sizes.size, below
        theirs, ours = own[begin : begin + n], base[begin : begin + n]
        below += int(_mark(theirs, ours, grid, least, span, inside))
        filled = _keep(theirs, ours, grid, inside, start + begin, sizes, places, filled)
    return filled, below


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
    # A constant for each grid, so that every loop is compiled for its own.
    if grid == 0:
        return _gather_on(own, base, 0, start, low, high, sizes, places, filled, below)
    if grid == 1:
        return _gather_on(own, base, 1, start, low, high, sizes, places, filled, below)
    return _gather_on(own, base, 2, start, low, high, sizes, places, filled, below)


def passes_over(reader: Reader, deltas: Deltas) -> Callable[[], Iterator[tuple[int, Numbers]]]:
    """What makes a pass over a tensor's task vectors: (first element, those of a chunk), of bfloat16
    operands as they are stored; each good until the next is asked for."""
    stored = bits_reader(reader)

    def decoded() -> Iterator[tuple[int, Numbers]]:
        for start, values in reader.chunks():
            yield start, deltas(values)

    def undecoded(source: BitsReader) -> Iterator[tuple[int, Numbers]]:
        step = max(NEAR // (2 * reader.models), BLOCK)
        # One for all: memory that the system gives anew for each costs as much as reading it.
        room = np.empty(reader.models * min(step, reader.elements), np.uint16)
        for start in range(0, reader.elements, step):
            count = min(step, reader.elements - start)
            bits = source.read_bits(start, count, room[: reader.models * count])
            yield start, StoredDeltas(deltas, bits)

    return decoded if stored is None else lambda: undecoded(stored)
