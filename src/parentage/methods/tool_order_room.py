"""Where a tool's sort is done again: in memory, or by the same steps over a temporary file.

A partition goes over its segment once, from both ends. So a segment that is large is partitioned in pieces,
and after each the pages that it touched are given back: they stay in the file, and what is resident does
not grow with the tensor. What has become small is sorted as in memory.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.methods.tool_order import (
    SEARCHED,
    depth_of,
    exchanged,
    heap_select,
    heap_through,
    holds,
    median_first,
    partitioned,
    sort_around,
    sort_part,
    topk_around,
    topk_part,
)

__all__ = ["InMemory", "Mapped", "Room", "room"]

Numbers = NDArray[np.uint32]

# Elements whose keys and places are held in memory, 8 bytes each; beyond, in a temporary file.
IN_MEMORY: Final = 1 << 23
# Numbers gone over before their pages are given back, and up to which a segment is sorted in one go: 8
# bytes each.
PIECE: Final = 1 << 22
WHOLE: Final = 1 << 22
_OWN: Final = threading.local()
GIVE_BACK: Final = getattr(mmap, "MADV_DONTNEED", None)


class Room(Protocol):
    """Keys and places [n], both uint32, and a tool's orders of them (``tool_order``)."""

    keys: Numbers
    places: Numbers

    def give_back(self) -> None:
        """Let go of memory that was touched."""

    def pieces(self, count: int) -> Iterator[Numbers]:
        """The first ``count`` places, in order."""

    def sort_around(self, marks: NDArray[np.int64]) -> None:
        """As ``std::sort`` leaves it, as far as what lies before each mark."""

    def topk_around(self, k: int) -> None:
        """As ``torch.topk`` leaves it, as far as which are the first ``k``."""


class InMemory:
    """A :class:`Room` of two arrays."""

    def __init__(self, n: int) -> None:
        self.keys, self.places = np.empty(n, np.uint32), np.empty(n, np.uint32)

    def give_back(self) -> None:
        """Nothing: they are small."""

    def pieces(self, count: int) -> Iterator[Numbers]:
        """The first ``count`` places, at once."""
        yield self.places[:count]

    def sort_around(self, marks: NDArray[np.int64]) -> None:
        """``tool_order.sort_around``."""
        sort_around(self.keys, self.places, marks)

    def topk_around(self, k: int) -> None:
        """``tool_order.topk_around``."""
        topk_around(self.keys, self.places, k)


class Mapped:
    """A :class:`Room` in a file: ``whole`` numbers are sorted in one go, ``piece`` gone over in one."""

    def __init__(self, room: mmap.mmap, n: int, *, piece: int = PIECE, whole: int = WHOLE) -> None:
        self._room, self._piece, self._whole = room, piece, whole
        both = np.frombuffer(room, np.uint32, 2 * n)
        self.keys, self.places = both[:n], both[n:]

    def give_back(self) -> None:
        """No page is resident afterwards; their contents stay (a shared mapping of a file, madvise(2))."""
        if GIVE_BACK is not None:
            self._room.madvise(GIVE_BACK)

    def pieces(self, count: int) -> Iterator[Numbers]:
        """The first ``count`` places, in order."""
        for start in range(0, count, self._piece):
            yield self.places[start : min(count, start + self._piece)]
            self.give_back()

    def sort_around(self, marks: NDArray[np.int64]) -> None:
        """``tool_order.sort_around``."""
        waiting = [(0, self.keys.size, depth_of(self.keys.size))]
        while waiting:
            first, last, depth = waiting.pop()
            if not holds(marks, first, last):
                continue
            if last - first <= self._whole or depth == 0:
                sort_part(self.keys, self.places, marks, first, last, depth)
                self.give_back()
                continue
            cut = self._partition(first, last)
            waiting += [(first, cut, depth - 1), (cut, last, depth - 1)]

    def topk_around(self, k: int) -> None:
        """``tool_order.topk_around``."""
        n = self.keys.size
        if k * 64 <= n:
            heap_select(self.keys, self.places, 0, k, k)
            for start in range(k, n, self._piece):
                heap_through(self.keys, self.places, 0, k, start, min(n, start + self._piece))
                self.give_back()
            return
        first, last, depth = 0, n, depth_of(n)
        while last - first > self._whole and depth:
            depth -= 1
            cut = self._partition(first, last)
            first, last = (cut, last) if cut <= k - 1 else (first, cut)
        topk_part(self.keys, self.places, k - 1, first, last, depth)
        self.give_back()

    def _partition(self, first: int, last: int) -> int:
        keys, places = self.keys, self.places
        median_first(keys, places, first, first + 1, first + (last - first) // 2, last - 1)
        pivot, i, j = keys[first], first + 1, last
        while j - i > 2 * SEARCHED:
            i, j = exchanged(keys, places, pivot, i, j, self._piece)
            self.give_back()
        return int(partitioned(keys, places, pivot, i, j))


@contextmanager
def room(n: int) -> Iterator[Room]:
    """Room for ``n`` keys and places.

    Raises :class:`UsageError` from 2^32 on, OSError where the disk has no room for them.
    """
    if n <= IN_MEMORY:
        yield InMemory(n)
        return
    if n >= 1 << 32:
        raise UsageError(
            f"a tensor of {n:,} elements is not sorted as a tool does",
            code="tensor-too-large-to-sort",
            hint="the arithmetic parentage-1 has no such limit",
        )
    yield Mapped(mmap.mmap(_own_file(8 * n), 8 * n), n)


def _own_file(size: int) -> int:
    """A file that this thread has until it ends: pages that the system gave it once are its own already.

    Room on the disk is taken beforehand, for a mapped page that finds none ends the process.
    """
    file = getattr(_OWN, "file", None)
    if file is None:
        file = _OWN.file = TemporaryFile()  # noqa: SIM115
    if os.fstat(file.fileno()).st_size < size:
        os.posix_fallocate(file.fileno(), 0, size)
    return int(file.fileno())
