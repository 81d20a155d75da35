"""A file read by range: what is announced is fetched together, ahead of the reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future

from parentage.checkpoints.byte_files import Span
from parentage.checkpoints.remote.background import Background, Job, RangeSource
from parentage.checkpoints.remote.budget import Meter
from parentage.checkpoints.remote.extents import MAX_REQUEST, Extent, Extents, Memory, missing_pieces
from parentage.checkpoints.remote.remote_errors import closed, truncated
from parentage.checkpoints.remote.slice_cache import SliceStore

__all__ = ["PREFIX", "RangeFile", "within"]

# Holds the header of a shard with some 200 tensors (150 bytes each) in the request that would otherwise ask
# for the header's length only.
PREFIX = 32 * 2**10
# A reader is served so much at a time, however much it asks for.
WINDOW = 32 * 2**20
# A header that is read on and on in small steps is fetched in larger ones.
FIRST_AHEAD, MOST_AHEAD = 64 * 2**10, 4 * 2**20
STREAMED = 4


class RangeFile:
    """See :class:`ByteFile`. ``first`` are its first bytes, if they were fetched already."""

    def __init__(
        self,
        name: str,
        source: RangeSource,
        meter: Meter,
        background: Background,
        memory: Memory,
        store: SliceStore | None,
        published_sha256: str | None = None,
        first: bytes = b"",
    ) -> None:
        assert source.size is not None
        self.name = name
        self.size = source.size
        self.where = source.where
        self.published_sha256 = published_sha256
        self._source, self._meter = source, meter
        self._background, self._memory = background, memory
        slices = None if store is None else store.of(source.key)
        self._extents = Extents(memory, slices)
        self._closed = False
        self._next = self._ahead = 0
        with memory.lock:
            if first and not self._extents.over(0, len(first)):
                self._extents.put(0, first, on_disk=slices is not None and slices.save(0, first))

    @property
    def version(self) -> str | None:
        """The source's own name for its bytes."""
        return self._source.key

    def announce(self, spans: Sequence[Span]) -> None:
        """Fetch them in the background; returns at once. Raises ``budget-spent`` and then fetches none.

        Without a cache folder no more is fetched ahead than half of what memory may hold; the rest is
        fetched when it is read.
        """
        self.schedule(spans)

    def schedule(self, spans: Sequence[Span]) -> list[Extent]:
        """Announce, and get hold of what will be fetched."""
        with self._memory.lock:
            pieces = self.missing(spans)
            if not self.spills:
                pieces = within(pieces, self._memory.limit // 2)
            return self._fetch(pieces, urgent=False)

    @property
    def spills(self) -> bool:
        """What memory cannot hold is on disk."""
        return self._extents.slices is not None

    def missing(self, spans: Sequence[Span]) -> list[Span]:
        """What would have to be fetched for them, as (start, end)."""
        with self._memory.lock:
            return missing_pieces(self._extents, spans, self.size)

    def _fetch(self, pieces: Sequence[Span], *, urgent: bool) -> list[Extent]:
        if self._closed:
            raise closed(self.where)
        self._meter.reserve(sum(e - s for s, e in pieces), len(pieces), self.where)
        found = [self._extents.add(start, end) for start, end in pieces]
        self._background.submit([Job(e, self._source) for e in found], urgent=urgent)
        return found

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill ``view``: from what is at hand or on its way, else by requests of its own."""
        if offset < 0 or offset + len(view) > self.size:
            raise truncated(max(self.size - offset, 0), len(view), self.where)
        for at in range(0, len(view), WINDOW):
            self._read_window(offset + at, view[at : at + WINDOW])

    def _read_window(self, offset: int, view: memoryview) -> None:
        end, at = offset + len(view), offset
        while at < end:
            for extent in self._covering(at, end):
                data = self._data_of(extent)
                if data is None:  # what was on disk is no longer what was written
                    break
                upto = min(extent.end, end)
                view[at - offset : upto - offset] = data[at - extent.start : upto - extent.start]
                self._memory.touched(extent, upto - at)
                at = upto
        self._next = end

    def _covering(self, start: int, end: int) -> list[Extent]:
        """All that hold [start, end), in order; what is missing is asked for first."""
        with self._memory.lock:
            pieces = missing_pieces(self._extents, [(start, end - start)], self.size, 0)
            if pieces and start == self._next:
                self._ahead = min(max(2 * self._ahead, FIRST_AHEAD), MOST_AHEAD)
                further = max(end - start, self._ahead)
                pieces = missing_pieces(self._extents, [(start, further)], self.size, 0)
            elif pieces:
                self._ahead = 0
            self._fetch(pieces, urgent=True)
            return self._extents.over(start, end)

    def _data_of(self, extent: Extent) -> bytes | None:
        if extent.data is None:
            return self._from_disk(extent)
        try:
            return extent.data.result()
        except CancelledError:
            raise closed(self.where) from None
        except BaseException:
            self._extents.remove(extent)
            raise

    def _from_disk(self, extent: Extent) -> bytes | None:
        slices = self._extents.slices
        data = None if slices is None else slices.load(extent.start, extent.end)
        with self._memory.lock:
            if self._closed:
                raise closed(self.where)
            self._extents.remove(extent)
            if data is not None and not self._extents.over(extent.start, extent.end):
                self._extents.put(extent.start, data, on_disk=True)
        return data

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """From the first byte to the last, some requests ahead; every answer's version is compared."""
        starts = iter(range(0, self.size, MAX_REQUEST))
        ahead: deque[tuple[int, Future[bytes]]] = deque()
        try:
            for start in starts:
                ahead.append((start, self._stream(start)))
                if len(ahead) == STREAMED:
                    offset, data = ahead.popleft()
                    yield offset, data.result()
            while ahead:
                offset, data = ahead.popleft()
                yield offset, data.result()
        finally:
            for _, data in ahead:
                data.cancel()

    def _stream(self, start: int) -> Future[bytes]:
        if self._closed:
            raise closed(self.where)
        count = min(MAX_REQUEST, self.size - start)
        self._meter.reserve(count, 1, self.where)
        return self._background.start(self._source.fetch(start, count))

    def close(self) -> None:
        """Forget all bytes; what is on its way is not waited for. Safe to call twice."""
        with self._memory.lock:
            self._closed = True
            for extent in self._extents.clear():
                if extent.data is not None and extent.data.cancel():
                    self._meter.give_back(extent.end - extent.start, 1)


def within(pieces: list[Span], limit: int) -> list[Span]:
    """The first of them, as many as hold no more than ``limit`` bytes."""
    kept, total = [], 0
    for start, end in pieces:
        total += end - start
        if total > limit:
            break
        kept.append((start, end))
    return kept
