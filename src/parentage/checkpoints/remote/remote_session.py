"""What all remote models of one audit share: connections, budget, memory, cache and counters."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

from parentage.checkpoints.byte_files import ByteFile, Span
from parentage.checkpoints.remote.background import Background, RangeSource
from parentage.checkpoints.remote.budget import Budget, Counters, Meter, Tally
from parentage.checkpoints.remote.extents import Extent, Memory
from parentage.checkpoints.remote.http_client import HttpClient
from parentage.checkpoints.remote.range_files import RangeFile, within
from parentage.checkpoints.remote.remote_errors import closed
from parentage.checkpoints.remote.retries import RetryPolicy
from parentage.checkpoints.remote.slice_cache import SliceCache
from parentage.checkpoints.spill import Spill

__all__ = ["RemoteSession"]

T = TypeVar("T")


class RemoteSession:
    """Shared by the models of an audit; use as a context manager. Safe from several threads.

    Without limits nothing is refused. ``cache_folder`` keeps slices for a run that goes on later, at most
    ``cache_bytes`` from this process; without one, what memory does not hold lies in an unnamed file of at
    most ``spill_bytes``. ``progress`` hears the counters after each part of an answer, on the network's
    thread: it must be quick. ``hub_endpoint`` and ``hub_token`` stand for huggingface_hub's own
    settings (HF_ENDPOINT, HF_TOKEN, its login) when given. Nothing is started before the first request.
    """

    def __init__(
        self,
        *,
        budget_bytes: int | None = None,
        budget_requests: int | None = None,
        cache_folder: Path | None = None,
        cache_bytes: int = 16 * 2**30,
        concurrency: int = 64,
        memory_bytes: int = 256 * 2**20,
        spill_bytes: int = 0,
        progress: Callable[[Counters], None] | None = None,
        retries: RetryPolicy | None = None,
        hub_endpoint: str | None = None,
        hub_token: str | None = None,
    ) -> None:
        self.hub_endpoint, self.hub_token = hub_endpoint, hub_token
        self.retries = retries or RetryPolicy()
        self.client = HttpClient(self.retries, concurrency)
        self._budget = Budget(budget_bytes, budget_requests)
        self._tally = Tally()
        self._progress = progress
        self._memory = Memory(memory_bytes)
        self._cache = None if cache_folder is None else SliceCache(cache_folder, cache_bytes)
        self._spill = Spill(spill_bytes) if self._cache is None and spill_bytes else None
        self._background = Background(self._memory, concurrency)

    @property
    def counters(self) -> Counters:
        """Of all models together."""
        return self._tally.counters

    @property
    def bytes_read(self) -> int:
        """Bytes of bodies that came over the network."""
        return self.counters.bytes_read

    @property
    def requests(self) -> int:
        """Requests sent, redirects and repeated ones included."""
        return self.counters.requests

    @property
    def resolves(self) -> int:
        """How often a place was asked where a file lies."""
        return self.counters.resolves

    def meter(self) -> Meter:
        """For one model."""
        return Meter(self._budget, self._tally, self._progress)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the network's thread and wait for it."""
        return self._background.run(work)

    def file(
        self, name: str, source: RangeSource, meter: Meter, sha256: str | None, first: bytes = b""
    ) -> RangeFile:
        """A file of a source whose size is known."""
        store = self._cache or self._spill
        return RangeFile(name, source, meter, self._background, self._memory, store, sha256, first)

    def cached_body(self, key: str | None, size: int | None) -> bytes | None:
        """A small file that an earlier run kept whole."""
        kept = None if self._cache is None or not size else self._cache.of(key)
        return None if kept is None or size is None else kept.load(0, size)

    def keep_body(self, key: str | None, data: bytes) -> None:
        """Keep a small file whole."""
        kept = None if self._cache is None else self._cache.of(key)
        if kept is not None:
            kept.save(0, data)

    def fetch_all(self, wanted: Sequence[tuple[ByteFile, Sequence[Span]]]) -> int:
        """Fetch spans of many files together and wait: what a plan over many shards needs.

        Refused whole (``budget-spent``) when it costs more than is left. Gives the number of bytes fetched.
        Where there is no cache folder it stops at half of what memory may hold; the rest is fetched when it
        is read. Files of other places are told to announce. Raises ``ReadError``.
        """
        return _all_done(self._schedule(wanted))

    def announce_all(self, wanted: Sequence[tuple[ByteFile, Sequence[Span]]]) -> None:
        """As ``fetch_all``, in the background: a failure is raised where the bytes are read."""
        self._schedule(wanted)

    def _schedule(self, wanted: Sequence[tuple[ByteFile, Sequence[Span]]]) -> list[Extent]:
        for other, spans in wanted:
            if not isinstance(other, RangeFile):
                other.announce(spans)
        with self._memory.lock:
            pieces = [(f, f.missing(spans)) for f, spans in _by_file(wanted)]
            total = sum(e - s for _, found in pieces for s, e in found)
            self._budget.check(total, sum(len(found) for _, found in pieces), "this plan")
            room, extents = self._memory.limit // 2, []
            for file, found in pieces:
                kept = found if file.spills else within(found, room)
                room -= 0 if file.spills else sum(e - s for s, e in kept)
                extents += file.schedule([(s, e - s) for s, e in kept])
        return extents

    def close(self) -> None:
        """Stop all requests and close all connections; safe to call twice."""
        self._background.close(self.client.close())
        if self._spill is not None:
            self._spill.close()

    def __enter__(self) -> RemoteSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _all_done(extents: list[Extent]) -> int:
    """Wait for all, holding none of their bytes; raises what one of them raised."""
    done: SimpleQueue[int | BaseException] = SimpleQueue()

    def tell(data: Future[bytes]) -> None:
        error = data.exception() if not data.cancelled() else closed("a file of this plan")
        done.put(len(data.result()) if error is None else error)

    count = len(extents)
    while extents:
        extent = extents.pop()
        if extent.data is not None:
            extent.data.add_done_callback(tell)
    total = 0
    for _ in range(count):
        found = done.get()
        if isinstance(found, BaseException):
            raise found
        total += found
    return total


def _by_file(wanted: Sequence[tuple[ByteFile, Sequence[Span]]]) -> list[tuple[RangeFile, list[Span]]]:
    found: dict[int, tuple[RangeFile, list[Span]]] = {}
    for file, spans in wanted:
        if isinstance(file, RangeFile):
            found.setdefault(id(file), (file, []))[1].extend(spans)
    return list(found.values())
