"""What was fetched of each file, on its way, in memory or on disk; memory is bounded."""

from __future__ import annotations

import bisect
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future

from parentage.checkpoints.byte_files import Span
from parentage.checkpoints.remote.slice_cache import Slices

__all__ = ["Extent", "Extents", "Memory", "missing_pieces"]

# Two spans are fetched as one when no more than this lies between them. With many requests in flight
# at 50 ms latency a request costs .48 ms (2,100 a second, measured); at 70 MB/s 32 KiB take as long.
MAX_GAP = 32 * 2**10
# A request that fails is sent again whole.
MAX_REQUEST = 8 * 2**20


class Extent:
    """Bytes [start, end) of a file: ``data`` is their future, ``None`` while they are on disk only."""

    __slots__ = ("data", "end", "left", "on_disk", "owner", "start")

    def __init__(self, owner: Extents, start: int, end: int, data: Future[bytes] | None) -> None:
        self.owner, self.start, self.end = owner, start, end
        self.data = data
        self.on_disk = data is None
        self.left = end - start
        """Bytes not yet read from it."""


class Memory:
    """Bounds the bytes held for all files of a session. What was read goes first, then what is oldest."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lock = threading.RLock()
        self.held = 0
        self._read: OrderedDict[Extent, None] = OrderedDict()
        self._unread: OrderedDict[Extent, None] = OrderedDict()

    def hold(self, extent: Extent) -> None:
        """Its bytes are here now."""
        with self.lock:
            self.held += extent.end - extent.start
            (self._unread if extent.left > 0 else self._read)[extent] = None
            while self.held > self.limit and len(self._read) + len(self._unread) > 1:
                oldest = next(iter(self._read or self._unread))
                if oldest is extent:
                    break
                self.release(oldest)
                oldest.owner.evicted(oldest)

    def touched(self, extent: Extent, nbytes: int) -> None:
        """So many bytes of it were read."""
        with self.lock:
            extent.left -= nbytes
            if extent.left <= 0 and extent in self._unread:
                del self._unread[extent]
                self._read[extent] = None
            elif extent in self._read:
                self._read.move_to_end(extent)

    def release(self, extent: Extent) -> None:
        """Count it no longer."""
        with self.lock:
            held = extent in self._read or extent in self._unread
            self._read.pop(extent, None)
            self._unread.pop(extent, None)
            self.held -= extent.end - extent.start if held else 0


class Extents:
    """One file's extents, in order, none overlapping another."""

    def __init__(self, memory: Memory, slices: Slices | None) -> None:
        self._memory = memory
        self._list: list[Extent] = []
        self._starts: list[int] = []
        self._closed = False
        self.slices = slices
        for start, end in [] if slices is None else slices.spans():
            self._insert(Extent(self, start, end, None))

    def _insert(self, extent: Extent) -> None:
        place = bisect.bisect_left(self._starts, extent.start)
        self._list.insert(place, extent)
        self._starts.insert(place, extent.start)

    def put(self, start: int, data: bytes, *, on_disk: bool) -> Extent:
        """Bytes that are here already, and count as read; the caller holds the lock."""
        ready: Future[bytes] = Future()
        ready.set_result(data)
        extent = Extent(self, start, start + len(data), ready)
        extent.on_disk, extent.left = on_disk, 0
        self._insert(extent)
        self._memory.hold(extent)
        return extent

    def add(self, start: int, end: int) -> Extent:
        """Bytes that are being fetched; the caller holds the lock and knows that they are missing."""
        extent = Extent(self, start, end, Future())
        self._insert(extent)
        return extent

    def remove(self, extent: Extent) -> None:
        """Forget it."""
        with self._memory.lock:
            self._memory.release(extent)
            place = bisect.bisect_left(self._starts, extent.start)
            if place < len(self._list) and self._list[place] is extent:
                del self._list[place], self._starts[place]

    def evicted(self, extent: Extent) -> None:
        """Memory took its bytes: they are on disk, or no longer at hand. Who holds the old one keeps it."""
        self.remove(extent)
        if extent.on_disk:
            self._insert(Extent(self, extent.start, extent.end, None))

    def over(self, start: int, end: int) -> list[Extent]:
        """Those that overlap [start, end), in order."""
        first = max(bisect.bisect_right(self._starts, start) - 1, 0)
        last = bisect.bisect_left(self._starts, end)
        return [e for e in self._list[first:last] if e.end > start]

    def hold(self, extent: Extent) -> None:
        """Its bytes are here; memory counts them unless the file was closed meanwhile."""
        with self._memory.lock:
            if not self._closed:
                self._memory.hold(extent)

    def clear(self) -> list[Extent]:
        """Forget all, for good; those that there were."""
        with self._memory.lock:
            self._closed = True
            found, self._list, self._starts = self._list, [], []
            for extent in found:
                self._memory.release(extent)
            return found


def missing_pieces(extents: Extents, spans: Sequence[Span], size: int, gap: int = MAX_GAP) -> list[Span]:
    """What is to be fetched for ``spans`` as (start, end): joined over gaps of at most ``gap`` bytes
    that hold nothing yet, cut to requests of bounded size, in order."""
    wanted = sorted((max(o, 0), min(o + n, size)) for o, n in spans if n > 0)
    joined: list[Span] = []
    for start, end in (hole for span in wanted for hole in _holes(extents, *span)):
        if joined and start <= joined[-1][1] + gap and not extents.over(joined[-1][1], start):
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return [
        (at, min(at + MAX_REQUEST, end)) for start, end in joined for at in range(start, end, MAX_REQUEST)
    ]


def _holes(extents: Extents, start: int, end: int) -> list[Span]:
    found = []
    for extent in extents.over(start, end):
        if extent.start > start:
            found.append((start, extent.start))
        start = max(start, extent.end)
    return [*found, (start, end)] if start < end else found
