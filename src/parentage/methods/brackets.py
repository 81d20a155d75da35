"""One pass in place of three: a sample brackets a cut's magnitude, and the pass keeps what lies between.

Where the sample misled, or too much lies in the bracket, nothing is found and a sure way is taken.
What is found is exact: a bracket that holds the cut holds every element of the cut's magnitude.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.methods.method import Values

__all__ = ["Gathering", "Look", "Met", "Numbers", "gather", "met_at"]


class Gathering(Protocol):
    """Numbers [rows, n] that are kept in another form, a row of which is made where it is asked for, and
    that ``gather`` by themselves."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __getitem__(self, row: int) -> Values: ...
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
    ) -> tuple[int, int]: ...


Numbers = Values | Gathering
Look = Callable[[int, int], Values]
"""Numbers [rows, count] of elements from a place on."""
SIZE: Final = np.uint32(0x7FFFFFFF)
LARGEST: Final = 0x7FFFFFFF
# 65,536 elements: a quantile of as many independent ones has a standard error of .2 %. Neighbours are alike
# (rows of an embedding), so the error is taken from how places differ, and the bracket is ERRORS of it wide
# to either side: one in a thousand misses, which costs two passes; each error more, a tenth of every pass.
# Each place is a read of every model: twice as many of half the length take a tenth of a pass longer.
PLACES: Final = 32
RUN: Final = 2048
ERRORS: Final = 3.5
WIDE: Final = 0.04
NARROW: Final = 0.004
# Of 12 bytes, for all cuts together.
MOST: Final = 1 << 23
BLOCK: Final = 1024


@dataclass(frozen=True, slots=True)
class Met:
    """The magnitude at a rank, how many elements of that magnitude precede it, where all of them are."""

    magnitude: int
    rank: int
    places: NDArray[np.int64]


@dataclass(slots=True)
class _Kept:
    """Elements between ``low`` and ``high``, as patterns of float32 without sign."""

    row: int
    rank: int
    low: int
    high: int
    sizes: NDArray[np.uint32]
    places: NDArray[np.int64]
    filled: int = 0
    below: int = 0


def met_at(
    blocks: Callable[[], Iterator[tuple[int, Numbers]]],
    look: Look,
    wanted: Sequence[tuple[int, int]],
    elements: int,
) -> list[Met] | None:
    """What lies at each (row, ascending rank of magnitude); None where a bracket does not hold it."""
    kept = _brackets(look, wanted, elements, min(WIDE, 0.8 * MOST / (2 * elements * len(wanted))))
    if kept is None:
        return None
    for start, x in blocks():
        for one in kept:
            bracket = one.low, one.high, one.sizes, one.places, one.filled, one.below
            if isinstance(x, np.ndarray):
                one.filled, one.below = gather(x[one.row], start, *bracket)
            else:
                one.filled, one.below = x.gather(one.row, start, *bracket)
            if one.filled >= one.sizes.size:
                return None
    found = [_met(one) for one in kept]
    sure = [m for m in found if m is not None]
    return sure if len(sure) == len(kept) else None


def _brackets(
    look: Look, wanted: Sequence[tuple[int, int]], elements: int, most: float
) -> list[_Kept] | None:
    """None where one would have to be wider than ``most``, as a share of the elements."""
    room = min(elements, MOST // len(wanted)) + BLOCK
    if elements <= PLACES * RUN:
        return [
            _Kept(row, rank, 0, LARGEST, np.empty(room, np.uint32), np.empty(room, np.int64))
            for row, rank in wanted
        ]
    starts = np.linspace(0, elements - RUN, PLACES).astype(np.int64)
    seen = np.concatenate([look(int(s), RUN) for s in starts], axis=1)
    sizes = np.ascontiguousarray(seen).view(np.uint32) & SIZE
    kept = []
    for row, rank in wanted:
        bracket = _around(sizes[row].reshape(-1, RUN), (rank + 0.5) / elements, most)
        if bracket is None:
            return None
        kept.append(_Kept(row, rank, *bracket, np.empty(room, np.uint32), np.empty(room, np.int64)))
    return kept


def _around(sizes: NDArray[np.uint32], share: float, most: float) -> tuple[int, int] | None:
    """The magnitudes between which a share of a tensor's elements ends, by a sample [places, run]; None
    where they lie further apart than ``most`` to either side."""
    n, middle = sizes.size, min(int(share * sizes.size), sizes.size - 1)
    parted = np.partition(sizes, middle, axis=None)
    width = max(ERRORS * _error(sizes, parted[middle]), NARROW)
    if width > most:
        return None
    first, last = int((share - width) * n), int((share + width) * n) + 1
    low = int(np.partition(parted[: middle + 1], first)[first]) if first > 0 else 0
    high = int(np.partition(parted[middle:], last - middle)[last - middle]) if last < n else LARGEST
    return low, high


def _error(sizes: NDArray[np.uint32], size: np.uint32) -> float:
    """The standard error of the share of elements below ``size``: places are independent, their elements
    need not be."""
    below = np.mean(sizes < size, axis=1)
    return float(np.std(below, ddof=1) / np.sqrt(below.size)) if below.size > 1 else 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def gather(
    x: Values,
    start: int,
    low: int,
    high: int,
    sizes: NDArray[np.uint32],
    places: NDArray[np.int64],
    filled: int,
    below: int,
) -> tuple[int, int]:
    """Keep the numbers between ``low`` and ``high``: how many are kept, and how many lie below; as many as
    there is room for where there is too little.

    Numbers are compared block by block, which is vectorised, and only groups of eight with one inside are
    looked at: 2 to 4 times as fast as number by number.
    """
    bits = x.view(np.uint32)
    least, span = np.uint32(low), np.uint32(high - low)
    inside = np.zeros(BLOCK, np.uint8)
    for begin in range(0, bits.size, BLOCK):
        block = bits[begin : begin + BLOCK]
        if filled + block.size > sizes.size:
            return sizes.size, below
        under = np.uint32(0)
        for i in range(block.size):
            over = np.uint32((block[i] & SIZE) - least)
            inside[i] = np.uint8(over <= span)
            # What is below wraps round; magnitudes have 31 bits.
            under += over >> np.uint32(31)
        below += int(under)
        filled = _keep_marked(block, inside, start + begin, sizes, places, filled)
    return filled, below


@njit(cache=True, nogil=True, error_model="numpy")
def _keep_marked(
    block: NDArray[np.uint32],
    inside: NDArray[np.uint8],
    start: int,
    sizes: NDArray[np.uint32],
    places: NDArray[np.int64],
    filled: int,
) -> int:
    """Keep the patterns of a block whose mark in ``inside`` [a multiple of eight, at least as many] is 1;
    how many are kept then."""
    groups = inside.view(np.uint64)
    for i in range(block.size, 8 * ((block.size + 7) // 8)):
        inside[i] = 0
    for group in range((block.size + 7) // 8):
        if groups[group]:
            for i in range(8 * group, min(8 * group + 8, block.size)):
                sizes[filled] = block[i] & SIZE
                places[filled] = start + i
                filled += int(inside[i])
    return filled


def _met(one: _Kept) -> Met | None:
    rank = one.rank - one.below
    if not 0 <= rank < one.filled:
        return None
    sizes, places = one.sizes[: one.filled], one.places[: one.filled]
    magnitude = int(np.partition(sizes, rank)[rank])
    before = int(np.count_nonzero(sizes < magnitude))
    return Met(magnitude, rank - before, places[sizes == magnitude])
