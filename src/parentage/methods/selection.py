"""Which elements of a tensor are largest, found in passes that hold no tensor.

Elements are ordered by magnitude. Where the cut falls between equal magnitudes, ours takes the lower index
first; a tool takes what its sort happens to leave first (``tool_order``), which needs the tensor's
magnitudes and indices at once: 8 bytes an element while one cut is made, in a temporary file where that
is over 64 MB, then one bit. A histogram of the upper 16 bits finds the cut's bin, one of the lower 16 its
magnitude, a third pass the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.methods.brackets import Look, Numbers, met_at
from parentage.methods.method import Values
from parentage.methods.tool_order_room import Room, room

__all__ = ["Asked", "Cut", "cuts", "keys_of"]

HALF: Final = 1 << 16
SIZE: Final = np.uint32(0x7FFFFFFF)
NAN: Final = np.uint32(0x7FC00000)
Blocks = Callable[[], Iterator[tuple[int, Numbers]]]
Bitmap = NDArray[np.uint8]
NONE: Final = np.zeros(0, np.uint8)


@dataclass(frozen=True, slots=True)
class Asked:
    """A cut to be found in one row: ``count`` elements lie before it, in the order asked for."""

    row: int
    count: int
    descending: bool


@dataclass(frozen=True, slots=True)
class Cut:
    """A place in an order of magnitudes. ``magnitude``: a float32's pattern; of those elements that have
    it, those before ``index`` lie before the cut, or those whose bit is set in ``first`` [elements / 8]."""

    magnitude: int
    index: int
    first: Bitmap = field(default_factory=lambda: NONE)

    def before(self, x: Values, start: int, *, descending: bool) -> NDArray[np.bool_]:
        """Which of the numbers [n], elements ``start`` on, lie before the cut."""
        found = np.empty(x.size, np.bool_)
        _before(x, start, self.magnitude, self.index, self.first, descending, found)
        return found


@njit(cache=True, nogil=True, error_model="numpy")
def _before(
    x: Values,
    start: int,
    magnitude: int,
    index: int,
    first: Bitmap,
    descending: bool,
    found: NDArray[np.bool_],
) -> None:
    bits = x.view(np.uint32)
    for i in range(bits.size):
        size = np.int64(bits[i] & SIZE)
        found[i] = size > magnitude if descending else size < magnitude
        if size == magnitude:
            at = start + i
            found[i] = (first[at >> 3] >> (at & 7)) & 1 if first.size else at < index


@njit(cache=True, nogil=True, error_model="numpy")
def _upper(x: Values, counts: NDArray[np.int64]) -> None:
    bits = x.view(np.uint32)
    for i in range(bits.size):
        counts[(bits[i] & SIZE) >> np.uint32(16)] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _lower(x: Values, upper: int, counts: NDArray[np.int64]) -> None:
    bits = x.view(np.uint32)
    for i in range(bits.size):
        size = bits[i] & SIZE
        if size >> np.uint32(16) == upper:
            counts[size & np.uint32(0xFFFF)] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _find(x: Values, magnitude: int, skip: int) -> tuple[int, int]:
    """Where the element of this magnitude is that ``skip`` others precede (-1), and how many were met."""
    bits, met = x.view(np.uint32), 0
    for i in range(bits.size):
        if (bits[i] & SIZE) == magnitude:
            if met == skip:
                return i, met
            met += 1
    return -1, met


@dataclass(frozen=True, slots=True)
class _Found:
    """A cut's magnitude, how many elements have it, and how many of those lie before the cut."""

    magnitude: int
    ties: int
    before: int


def cuts(
    blocks: Blocks,
    asked: Sequence[Asked],
    rows: int,
    elements: int,
    *,
    as_tool: bool,
    topk: bool = False,
    look: Look | None = None,
) -> list[Cut]:
    """The cuts asked for. ``blocks()`` yields (first element, numbers [rows, n]), and is called three times
    or, ``as_tool``, once more for each row in which a cut falls between equal magnitudes. ``topk``: the
    tool takes one cut a row, in the order of its ``topk`` and not of its ``sort``. ``look``: reads
    anywhere, which makes one call out of three as a rule."""
    found, made = _once(blocks, asked, elements, look) or _thrice(blocks, asked, rows, elements)
    if not as_tool:
        return made
    split = [j for j, f in enumerate(found) if 0 < f.before < f.ties]
    for row, down in sorted({(asked[j].row, asked[j].descending) for j in split}):
        mine = [j for j in split if (asked[j].row, asked[j].descending) == (row, down)]
        prefixes = _prefixes(blocks, row, down, [asked[j].count for j in mine], elements, topk)
        for j, prefix in zip(mine, prefixes, strict=True):
            made[j] = Cut(found[j].magnitude, 0, prefix)
    return made


def _once(
    blocks: Blocks, asked: Sequence[Asked], elements: int, look: Look | None
) -> tuple[list[_Found], list[Cut]] | None:
    """In one pass, where a sample does not mislead."""
    if look is None:
        return None
    met = met_at(blocks, look, [(a.row, _rank(a, elements)) for a in asked], elements)
    if met is None:
        return None
    found = [
        _split(a, m.magnitude, m.rank, m.places.size, elements) for a, m in zip(asked, met, strict=True)
    ]
    ends = [
        int(m.places[f.before]) if f.before < f.ties else elements for f, m in zip(found, met, strict=True)
    ]
    return found, [Cut(f.magnitude, end) for f, end in zip(found, ends, strict=True)]


def _thrice(
    blocks: Blocks, asked: Sequence[Asked], rows: int, elements: int
) -> tuple[list[_Found], list[Cut]]:
    found = _magnitudes(blocks, asked, rows, elements)
    return found, _indices(blocks, asked, found, elements)


def _magnitudes(blocks: Blocks, asked: Sequence[Asked], rows: int, elements: int) -> list[_Found]:
    uppers = np.zeros((rows, HALF), np.int64)
    for _, x in blocks():
        for row in sorted({a.row for a in asked}):
            _upper(x[row], uppers[row])
    places = [_place(uppers[a.row], _rank(a, elements)) for a in asked]
    lowers = np.zeros((len(asked), HALF), np.int64)
    for _, x in blocks():
        for j, a in enumerate(asked):
            _lower(x[a.row], places[j][0], lowers[j])
    return [
        _found(a, place, lower, elements) for a, place, lower in zip(asked, places, lowers, strict=True)
    ]


def _rank(asked: Asked, elements: int) -> int:
    """The ascending rank of the element at the cut."""
    rank = elements - asked.count if asked.descending else asked.count
    return min(max(rank, 0), elements - 1)


def _place(counts: NDArray[np.int64], rank: int) -> tuple[int, int]:
    """The bin in which an ascending rank lies, and the rank inside of it."""
    ends = np.cumsum(counts)
    found = int(np.searchsorted(ends, rank, side="right"))
    return found, rank - int(ends[found - 1] if found else 0)


def _found(asked: Asked, place: tuple[int, int], lower: NDArray[np.int64], elements: int) -> _Found:
    low, rank = _place(lower, place[1])
    return _split(asked, (place[0] << 16) | low, rank, int(lower[low]), elements)


def _split(asked: Asked, magnitude: int, rank: int, ties: int, elements: int) -> _Found:
    """``rank``: of the element at the cut among those of its magnitude, ascending."""
    if asked.descending:
        before = ties - rank if asked.count else 0
    else:
        before = rank if asked.count < elements else ties
    return _Found(magnitude, ties, before)


def _indices(blocks: Blocks, asked: Sequence[Asked], found: Sequence[_Found], elements: int) -> list[Cut]:
    left, index = [f.before for f in found], [elements] * len(found)
    for start, x in blocks():
        for j, f in enumerate(found):
            if index[j] == elements:
                at, met = _find(x[asked[j].row], f.magnitude, left[j])
                left[j] -= met
                index[j] = start + at if at >= 0 else elements
    return [Cut(f.magnitude, i) for f, i in zip(found, index, strict=True)]


def _prefixes(
    blocks: Blocks, row: int, down: bool, counts: Sequence[int], n: int, topk: bool
) -> list[Bitmap]:
    """Which elements a tool's sort puts before each of ``counts``, a bit each."""
    with room(n) as held:
        for start, x in blocks():
            _enter(x[row], start, down, held.keys, held.places)
            held.give_back()
        if topk:
            held.topk_around(counts[0])
        else:
            held.sort_around(np.array(counts, np.int64))
        return [_bitmap(held, count, n) for count in counts]


@njit(cache=True, nogil=True, error_model="numpy")
def _enter(x: Values, start: int, down: bool, keys: NDArray[np.uint32], places: NDArray[np.uint32]) -> None:
    """``keys_of`` and the places of elements ``start`` on, where they belong."""
    bits = x.view(np.uint32)
    own, at = keys[start : start + bits.size], places[start : start + bits.size]
    flip = np.uint32(0xFFFFFFFF) if down else np.uint32(0)
    for i in range(bits.size):
        own[i] = min(np.uint32(bits[i] & SIZE), NAN) ^ flip
        at[i] = np.uint32(start + i)


def keys_of(x: Values, *, descending: bool) -> NDArray[np.uint32]:
    """Magnitudes as unsigned integers that ascend in the order asked for; NaN counts as the largest."""
    sizes = np.minimum(np.ascontiguousarray(x).view(np.uint32) & SIZE, NAN)
    return np.asarray(~sizes if descending else sizes, np.uint32)


@njit(cache=True, nogil=True, error_model="numpy")
def _set_bits(places: NDArray[np.uint32], bits: Bitmap) -> None:
    for place in places:
        bits[place >> 3] |= np.uint8(1 << (place & 7))


def _bitmap(held: Room, count: int, n: int) -> Bitmap:
    bits = np.zeros((n + 7) // 8, np.uint8)
    for places in held.pieces(count):
        _set_bits(places, bits)
    return bits
