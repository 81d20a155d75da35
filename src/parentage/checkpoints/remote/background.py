"""One event loop on a thread of its own, and the queue of ranges that are fetched on it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from parentage.checkpoints.remote.extents import Extent, Memory
from parentage.checkpoints.remote.remote_errors import closed
from parentage.errors import ParentageError

__all__ = ["Background", "Job", "RangeSource"]

T = TypeVar("T")


class RangeSource(Protocol):
    """One file at a slow place. The caller has reserved one request and the bytes of a fetch."""

    @property
    def where(self) -> str:
        """Address without secrets, for messages."""

    @property
    def size(self) -> int | None:
        """Bytes, once known."""

    @property
    def key(self) -> str | None:
        """Names the very bytes; ``None`` when nothing does."""

    @property
    def versioned(self) -> bool:
        """A change of the file between two requests would be seen."""

    async def fetch(self, offset: int, count: int) -> bytes:
        """``count`` bytes, fewer only while size is unknown; repeats by itself; raises ``ReadError``."""


@dataclass(frozen=True, slots=True)
class Job:
    """Fetch an extent's bytes."""

    extent: Extent
    source: RangeSource


class Background:
    """Fetches at most ``concurrency`` ranges and half of what memory may hold at one time; what a reader
    waits for goes before what was announced."""

    def __init__(self, memory: Memory, concurrency: int) -> None:
        self._memory = memory
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._queue: deque[Job] = deque()
        self._running: dict[asyncio.Task[None], int] = {}
        self._closed = False

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise closed("the session")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="parentage-network", daemon=True
                )
                self._thread.start()
            return self._loop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it."""
        return self.start(work).result()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop."""
        try:
            loop = self._started()
        except ParentageError:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, loop)

    def submit(self, jobs: Sequence[Job], *, urgent: bool) -> None:
        """Queue them; their extents' futures tell when they are done."""
        if jobs:
            self._started().call_soon_threadsafe(self._enqueue, list(jobs), urgent)

    def _enqueue(self, jobs: list[Job], urgent: bool) -> None:
        if urgent:
            self._queue.extendleft(reversed(jobs))
        else:
            self._queue.extend(jobs)
        self._pump()

    def _pump(self) -> None:
        room = self._memory.limit // 2
        while self._queue and len(self._running) < self._concurrency:
            job = self._queue[0]
            nbytes = job.extent.end - job.extent.start
            if self._running and sum(self._running.values()) + nbytes > room:
                return
            self._queue.popleft()
            data = job.extent.data
            if data is None or not data.set_running_or_notify_cancel():
                continue
            task = asyncio.get_running_loop().create_task(self._fetch(job, data))
            self._running[task] = nbytes
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._pump()

    async def _fetch(self, job: Job, data: Future[bytes]) -> None:
        extent = job.extent
        try:
            found = await job.source.fetch(extent.start, extent.end - extent.start)
            slices = extent.owner.slices
            if slices is not None:
                loop = asyncio.get_running_loop()
                extent.on_disk = await loop.run_in_executor(None, slices.save, extent.start, found)
        except asyncio.CancelledError:
            data.set_exception(closed(job.source.where))
            raise
        except BaseException as error:
            # Whoever reads these bytes raises it there.
            data.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        extent.owner.hold(extent)
        data.set_result(found)

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Stop all fetches, run ``last``, end the thread; safe to call twice."""
        with self._lock:
            self._closed = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            last.close()
            return
        asyncio.run_coroutine_threadsafe(self._stop(last), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    async def _stop(self, last: Coroutine[Any, Any, None]) -> None:
        for job in self._queue:
            data = job.extent.data
            if data is not None and data.set_running_or_notify_cancel():
                data.set_exception(closed(job.source.where))
        self._queue.clear()
        others = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await last
        # Lets the transports of closed connections end.
        await asyncio.sleep(0)
        await asyncio.get_running_loop().shutdown_default_executor()
