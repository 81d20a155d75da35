"""Work on tensors in threads of this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from parentage.engines.engine import AheadWorker, Work, Worker
from parentage.engines.streaming import stream_workers

__all__ = ["ThreadEngine", "map_beside", "map_ordered"]

T = TypeVar("T")
R = TypeVar("R")


def map_ordered(
    work: Callable[[T], R], items: Iterable[T], *, workers: int, ahead: int = 4
) -> Generator[R, None, None]:
    """Yield ``work(item)`` in order, at most ``workers + ahead`` items in flight.

    The bound keeps memory independent of the number of items. An error in one item cancels those
    that have not begun and is raised at its place. Once it is closed nothing is at work.
    """
    if workers <= 1:
        yield from map(work, items)
        return
    yield from _in_pool(work, items, workers, ahead)


def map_beside(
    work: Callable[[T], R], items: Iterable[T], *, workers: int, ahead: int = 2
) -> Generator[R, None, None]:
    """The same by one thread beside the one that asks, which makes the items meanwhile; where there is to
    be one worker alone, without."""
    yield from map(work, items) if workers <= 1 else _in_pool(work, items, 1, ahead)


def _in_pool(work: Callable[[T], R], items: Iterable[T], workers: int, ahead: int) -> Iterator[R]:
    with ThreadPoolExecutor(workers, thread_name_prefix="parentage") as pool:
        pending: deque[Future[R]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= workers + ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


@dataclass(frozen=True, slots=True)
class ThreadEngine:
    """One worker a thread; see :class:`parentage.engines.engine.Engine`."""

    workers: int
    id: str = "threads"
    remote: bool = False

    def run(self, work: Work[T, R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
        """As many tasks are under way as there are workers, or twice as many where workers read ahead."""

        def each(worker: Worker[T, R], given: Iterator[T]) -> Iterator[tuple[T, R]]:
            if isinstance(worker, AheadWorker):
                return worker.each(given)
            return ((task, worker.do(task)) for task in given)

        return stream_workers(
            tasks,
            open_worker=work.open,
            each=each,
            workers=self.workers,
            announce=work.announce,
            ahead=1,
        )
