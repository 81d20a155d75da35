"""Read and compute: each worker reads an item into its one buffer and computes on it, over and over.

What is to be read soon is announced first, so that the system fetches it from the disk while the workers
compute. Threads of their own for reading did that too, and lost more in passing buffers than they won:
on a machine that others use as well, a worker that waits for a reader waits for the scheduler.
Memory depends on the number of workers and the size of a buffer alone, never on how much is streamed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

__all__ = ["stream_unordered", "stream_workers"]

T = TypeVar("T")
S = TypeVar("S")
R = TypeVar("R")

# Items announced before they are read, for each worker. From a cold disk, 1.5 MB an item, one worker: .25
# GB/s with none, .4 with 2, .55 with 8 to 32 (median of three, on a machine under load).
AHEAD = 16


def _silent(_: object) -> None:
    """Announce nothing."""


def stream_unordered(
    items: Iterable[T],
    *,
    buffer: Callable[[], S],
    fill: Callable[[T, S], None],
    work: Callable[[T, S], R],
    workers: int,
    announce: Callable[[T], None] = _silent,
    ahead: int = AHEAD,
) -> Iterator[tuple[T, R]]:
    """Yield ``(item, work(item, buffer))`` for each item, as they are done and so in no fixed order.

    ``fill`` reads an item into a buffer, ``work`` must be done with the buffer when it returns; both
    should let other threads run. ``announce`` hears of each item some time before it is read, ``ahead``
    items for each worker. What is made of the results must not depend on their order. An error anywhere
    ends all and is raised here.
    """

    def by_turns(room: S, given: Iterator[T]) -> Iterator[tuple[T, R]]:
        for item in given:
            fill(item, room)
            yield item, work(item, room)

    return stream_workers(
        items, open_worker=buffer, each=by_turns, workers=workers, announce=announce, ahead=ahead
    )


def stream_workers(
    items: Iterable[T],
    *,
    open_worker: Callable[[], S],
    each: Callable[[S, Iterator[T]], Iterator[tuple[T, R]]],
    workers: int,
    announce: Callable[[T], None] = _silent,
    ahead: int = AHEAD,
) -> Iterator[tuple[T, R]]:
    """The same for workers that take items as they go: ``each(worker, items)`` may take the next item
    before it yields what it made of the last."""
    feed = _Feed(iter(items), announce, ahead * max(1, workers))
    stop = Event()
    if workers <= 1:
        yield from each(open_worker(), feed.given(stop))
        return
    done: SimpleQueue[tuple[T, R] | _Failed | None] = SimpleQueue()

    def run(worker: S) -> None:
        try:
            for found in each(worker, feed.given(stop)):
                done.put(found)
        except BaseException as error:
            # Raised again where the results are read.
            done.put(_Failed(error))
        finally:
            done.put(None)

    threads = [Thread(target=run, args=(open_worker(),), name="parentage") for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield from _results(done, workers)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


class _Feed(Generic[T]):
    """Hands out items one by one, and announces those that come ``ahead`` later."""

    def __init__(self, items: Iterator[T], announce: Callable[[T], None], ahead: int) -> None:
        self._items, self._announce, self._ahead = items, announce, ahead
        self._lock = Lock()
        self._next: deque[_Item[T]] = deque()
        self._ended = False

    def given(self, stop: Event) -> Iterator[T]:
        """Items for one worker, until there is none left or ``stop`` is set."""
        while not stop.is_set() and (item := self.take()) is not None:
            yield item.value

    def take(self) -> _Item[T] | None:
        """The next item; None when there is none left."""
        with self._lock:
            while len(self._next) <= self._ahead and not self._ended:
                self._look_ahead()
            return self._next.popleft() if self._next else None

    def _look_ahead(self) -> None:
        try:
            item = next(self._items)
        except StopIteration:
            self._ended = True
            return
        self._announce(item)
        self._next.append(_Item(item))


def _results(done: SimpleQueue[tuple[T, R] | _Failed | None], workers: int) -> Iterator[tuple[T, R]]:
    while workers:
        found = done.get()
        if isinstance(found, _Failed):
            raise found.error
        if found is None:
            workers -= 1
        else:
            yield found
