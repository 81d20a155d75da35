"""Read and compute at once: each worker computes on one buffer while its reader fills the next.

Buffers are made once and used again, so memory depends on their number and size alone, never on how
much is streamed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

__all__ = ["SLOTS", "stream_unordered"]

T = TypeVar("T")
S = TypeVar("S")
R = TypeVar("R")

# One buffer being read, one waiting, one being computed on. Two leave the reader idle whenever a read
# and a computation do not end together: 12.4 against 13.6 GB/s (benchmarks/full_throughput.py).
SLOTS = 3


def stream_unordered(
    items: Iterable[T],
    *,
    buffer: Callable[[], S],
    fill: Callable[[T, S], None],
    work: Callable[[T, S], R],
    workers: int,
) -> Iterator[tuple[T, R]]:
    """Yield ``(item, work(item, buffer))`` for each item, as they are done and so in no fixed order.

    ``fill`` reads an item into a buffer in a thread of its own, ``work`` must be done with the buffer
    when it returns; both should let other threads run. What is made of the results must not depend on
    their order. An error anywhere ends all and is raised here.
    """
    run = _Run(iter(items), fill, work)
    for _ in range(max(1, workers)):
        run.start([buffer() for _ in range(SLOTS)])
    try:
        yield from run.results()
    finally:
        run.end()


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


@dataclass(frozen=True, slots=True)
class _Ended:
    """One worker has no more to do."""


class _Run(Generic[T, S, R]):
    """The threads of one stream and what passes between them."""

    def __init__(self, items: Iterator[T], fill: Callable[[T, S], None], work: Callable[[T, S], R]) -> None:
        self._items, self._fill, self._work = items, fill, work
        self._lock, self._stop = Lock(), Event()
        self._done: SimpleQueue[tuple[T, R] | _Failed | _Ended] = SimpleQueue()
        self._threads: list[Thread] = []
        self._workers = 0

    def start(self, buffers: list[S]) -> None:
        """One worker and its reader."""
        free: SimpleQueue[S] = SimpleQueue()
        ready: SimpleQueue[tuple[T, S] | _Ended] = SimpleQueue()
        for buffer in buffers:
            free.put(buffer)
        self._workers += 1
        for target in (self._read, self._compute):
            thread = Thread(target=target, args=(free, ready), name="parentage", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _read(self, free: SimpleQueue[S], ready: SimpleQueue[tuple[T, S] | _Ended]) -> None:
        try:
            while not self._stop.is_set():
                buffer = free.get()
                with self._lock:
                    item = next(self._items, _Ended())
                if isinstance(item, _Ended):
                    break
                self._fill(item, buffer)
                ready.put((item, buffer))
        except BaseException as error:
            # Raised again where the results are read.
            self._done.put(_Failed(error))
        finally:
            ready.put(_Ended())

    def _compute(self, free: SimpleQueue[S], ready: SimpleQueue[tuple[T, S] | _Ended]) -> None:
        try:
            while not isinstance(taken := ready.get(), _Ended):
                item, buffer = taken
                if not self._stop.is_set():
                    self._done.put((item, self._work(item, buffer)))
                free.put(buffer)
        except BaseException as error:
            self._done.put(_Failed(error))
            self._stop.set()
            # The reader may be waiting for this buffer.
            free.put(buffer)
        finally:
            self._done.put(_Ended())

    def results(self) -> Iterator[tuple[T, R]]:
        """What the workers did, until all have ended."""
        left = self._workers
        while left:
            found = self._done.get()
            if isinstance(found, _Failed):
                raise found.error
            if isinstance(found, _Ended):
                left -= 1
            else:
                yield found

    def end(self) -> None:
        """No new item is begun; returns when all threads have ended."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
