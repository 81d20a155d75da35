"""Whole numbers of few bits that lie several in a word, along rows or columns, read as numbers of a byte.

A run of numbers touches a rectangle of words; what is read is that rectangle, in one piece or by its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.records.tensors import Packed, TensorRef

__all__ = ["packed_parts", "read_packed", "words_for"]

Bits = NDArray[np.unsignedinteger]
Places = NDArray[np.int64]
Read = Callable[[TensorRef, int, int], Bits]
# A row of words is skipped between reads where less than this share of it is wanted.
SHARE = 4


@dataclass(frozen=True, slots=True)
class _Words:
    """Rows [top, bottom) and columns [left, right) of the words."""

    top: int
    bottom: int
    left: int
    right: int
    width: int

    @property
    def together(self) -> bool:
        """Is it read in one piece, with what lies between?"""
        return self.bottom - self.top == 1 or SHARE * (self.right - self.left) >= self.width

    def reads(self) -> Iterator[tuple[int, int]]:
        """(first, count) of the words that are read, in order."""
        first, last = self.top * self.width + self.left, (self.bottom - 1) * self.width + self.right
        if self.together:
            yield first, last - first
            return
        for row in range(self.top, self.bottom):
            yield row * self.width + self.left, self.right - self.left


def words_for(count: int, bits: int, word: int) -> int:
    """How many words of ``word`` bits hold ``count`` numbers that lie densely."""
    return -(-count * bits // word)


def packed_parts(tensor: TensorRef, start: int, count: int) -> Iterator[tuple[TensorRef, int, int]]:
    """What is read of the words for numbers [start, start + count): (words, first, count)."""
    if count:
        how = _how(tensor)
        for first, size in _words(tensor, how, start, count).reads():
            yield how.source, first, size


def read_packed(tensor: TensorRef, start: int, count: int, read: Read) -> Bits:
    """Numbers [start, start + count) as bytes; ``read`` reads words."""
    if not count:
        return np.empty(0, np.uint8)
    how = _how(tensor)
    found = _words(tensor, how, start, count)
    raw = np.concatenate([read(how.source, first, size) for first, size in found.reads()])
    row, column = np.divmod(np.arange(start, start + count, dtype=np.int64), tensor.shape[-1])
    line, place = (column, row) if how.turned else (row, column)
    word = 8 * how.source.dtype.itemsize
    at = _bit(line if how.axis == 0 else place, how, word)
    across = found.width if found.together else found.right - found.left
    if how.axis == 0:
        first, step = (at // word - found.top) * across + (place - found.left), across
    else:
        first, step = (line - found.top) * across + (at // word - found.left), 1
    return _picked(raw, first, step, at % word, how.bits, word)


def _picked(raw: Bits, first: Places, step: int, shift: Places, bits: int, word: int) -> Bits:
    """The numbers, of which some begin in one word and end in the next."""
    wide = raw.astype(np.uint64)[first] >> shift.astype(np.uint64)
    crosses = shift + bits > word
    if crosses.any():
        rest = raw[first[crosses] + step].astype(np.uint64)
        wide[crosses] |= rest << (word - shift[crosses]).astype(np.uint64)
    found: Bits = (wide & np.uint64(2**bits - 1)).astype(np.uint8)
    return found


def _how(tensor: TensorRef) -> Packed:
    assert tensor.packed is not None
    return tensor.packed


def _bit(place: Places, how: Packed, word: int) -> Places:
    """Where along the packed dimension each number begins, in bits."""
    if not how.order:
        return place * how.bits
    each = word // how.bits
    return place // each * word + np.array(how.order, np.int64)[place % each] * how.bits


def _words(tensor: TensorRef, how: Packed, start: int, count: int) -> _Words:
    """The rectangle of words that hold a run."""
    rows, columns = tensor.shape[0] if len(tensor.shape) > 1 else 1, tensor.shape[-1]
    first, last = start // columns, (start + count - 1) // columns
    own = (first, last + 1)
    inner = (start % columns, (start + count - 1) % columns + 1) if first == last else (0, columns)
    lines, places = (inner, own) if how.turned else (own, inner)
    height, width = (columns, rows) if how.turned else (rows, columns)
    word = 8 * how.source.dtype.itemsize
    if how.axis == 0:
        top, bottom = _reach(lines, how, word, height)
        return _Words(top, bottom, *places, width)
    left, right = _reach(places, how, word, width)
    return _Words(*lines, left, right, how.source.elements // height)


def _reach(span: tuple[int, int], how: Packed, word: int, length: int) -> tuple[int, int]:
    """The words that hold numbers [first, last) of a line of ``length``."""
    first, last = span
    if how.order:
        each = word // how.bits
        return first // each, (last - 1) // each + 1
    return first * how.bits // word, words_for(min(last, length), how.bits, word)
