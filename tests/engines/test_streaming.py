"""Reading and computing at once: everything is done once, nothing is read over, errors end it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from parentage.engines.streaming import AHEAD, stream_unordered

WORKERS = [1, 2, 5]


def buffer() -> np.ndarray:
    return np.zeros(1, np.int64)


def fill(item: int, room: np.ndarray) -> None:
    room[0] = item


def square(item: int, room: np.ndarray) -> int:
    assert room[0] == item, "another item was read over this one"
    return item * item


@pytest.mark.parametrize("workers", WORKERS)
def test_every_item_is_done_once(workers: int) -> None:
    found = list(stream_unordered(range(500), buffer=buffer, fill=fill, work=square, workers=workers))
    assert sorted(found) == [(k, k * k) for k in range(500)]


@pytest.mark.parametrize("workers", WORKERS)
def test_nothing_to_do_ends_at_once(workers: int) -> None:
    assert not list(stream_unordered([], buffer=buffer, fill=fill, work=square, workers=workers))


@pytest.mark.parametrize("workers", WORKERS)
def test_buffers_are_made_once_and_used_again(workers: int) -> None:
    made: list[np.ndarray] = []

    def counted() -> np.ndarray:
        made.append(buffer())
        return made[-1]

    list(stream_unordered(range(300), buffer=counted, fill=fill, work=square, workers=workers))
    assert len(made) == workers


@pytest.mark.parametrize("workers", WORKERS)
def test_no_buffer_is_filled_while_work_is_done_on_it(workers: int) -> None:
    busy: set[int] = set()
    lock = threading.Lock()

    def guarded_fill(item: int, room: np.ndarray) -> None:
        with lock:
            assert id(room) not in busy
        fill(item, room)

    def guarded_work(item: int, room: np.ndarray) -> int:
        with lock:
            busy.add(id(room))
        result = square(item, room)
        with lock:
            busy.remove(id(room))
        return result

    found = stream_unordered(
        range(400), buffer=buffer, fill=guarded_fill, work=guarded_work, workers=workers
    )
    assert len(list(found)) == 400


@pytest.mark.parametrize("workers", WORKERS)
def test_items_are_announced_in_order_before_they_are_read(workers: int) -> None:
    announced: list[int] = []

    def checked_fill(item: int, room: np.ndarray) -> None:
        assert item < len(announced) <= 300
        assert len(announced) == 300 or len(announced) > item + AHEAD
        fill(item, room)

    found = stream_unordered(
        range(300),
        buffer=buffer,
        fill=checked_fill,
        work=square,
        workers=workers,
        announce=announced.append,
    )
    assert len(list(found)) == 300
    assert announced == list(range(300))


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("where", ["fill", "work", "items"])
def test_an_error_anywhere_is_raised_and_every_thread_ends(workers: int, where: str) -> None:
    def items() -> Iterator[int]:
        for k in range(1000):
            if where == "items" and k == 37:
                raise OSError("items")
            yield k

    def failing_fill(item: int, room: np.ndarray) -> None:
        if where == "fill" and item == 37:
            raise OSError("fill")
        fill(item, room)

    def failing_work(item: int, room: np.ndarray) -> int:
        if where == "work" and item == 37:
            raise OSError("work")
        return square(item, room)

    before = threading.active_count()
    stream = stream_unordered(items(), buffer=buffer, fill=failing_fill, work=failing_work, workers=workers)
    with pytest.raises(OSError, match=where):
        list(stream)
    assert threading.active_count() == before


@pytest.mark.parametrize("workers", WORKERS)
def test_who_stops_reading_the_results_stops_the_work(workers: int) -> None:
    begun = []

    def noted(item: int, room: np.ndarray) -> int:
        begun.append(item)
        return square(item, room)

    before = threading.active_count()
    stream = stream_unordered(range(10**9), buffer=buffer, fill=fill, work=noted, workers=workers)
    next(stream)
    stream.close()
    assert threading.active_count() == before
    assert len(begun) < 10**8
