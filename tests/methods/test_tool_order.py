"""Sorting as a tool sorts: a true sort, with the same answer from the part that is gone into."""

from __future__ import annotations

import errno
import mmap
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.methods import brackets
from parentage.methods.selection import Asked, cuts
from parentage.methods.tool_order import sort_around, sort_row, topk_around
from parentage.methods.tool_order_room import Mapped, room

KEYS = st.lists(st.integers(0, 12), min_size=1, max_size=400).map(lambda x: np.array(x, np.uint32))


def _places(keys: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return np.arange(keys.size, dtype=np.uint32)


def _killer(n: int) -> NDArray[np.uint32]:
    """Musser's sequence: every median of three is the second smallest, so that the depth runs out."""
    half = n // 2
    first = [i + 1 if i % 2 == 0 else half + i + (half % 2 == 0) for i in range(half)]
    return np.array([*first, *(2 * (i + 1) for i in range(half))], np.uint32)


@settings(max_examples=200, deadline=None)
@given(KEYS)
def test_a_row_is_sorted_and_its_places_go_along(keys: NDArray[np.uint32]) -> None:
    mine, places = keys.copy(), _places(keys)
    sort_row(mine, places, 0, keys.size)
    assert np.array_equal(mine, np.sort(keys))
    assert np.array_equal(keys[places], mine)
    assert np.array_equal(np.sort(places), _places(keys))


@settings(max_examples=200, deadline=None)
@given(KEYS, st.data())
def test_what_lies_before_a_mark_is_as_after_the_whole_sort(
    keys: NDArray[np.uint32], data: st.DataObject
) -> None:
    marks = sorted(data.draw(st.lists(st.integers(0, keys.size), min_size=1, max_size=3)))
    whole, places = keys.copy(), _places(keys)
    sort_row(whole, places, 0, keys.size)
    part, found = keys.copy(), _places(keys)
    sort_around(part, found, np.array(marks, np.int64))
    for mark in marks:
        assert set(found[:mark].tolist()) == set(places[:mark].tolist())


def test_a_sequence_that_exhausts_the_depth_is_sorted_all_the_same() -> None:
    for n in (1000, 4096, 20_000):
        keys = _killer(n)
        mine, places = keys.copy(), _places(keys)
        sort_row(mine, places, 0, n)
        assert np.array_equal(mine, np.sort(keys))
        assert np.array_equal(keys[places], mine)


@settings(max_examples=200, deadline=None)
@given(KEYS, st.data())
def test_the_first_k_are_the_k_smallest(keys: NDArray[np.uint32], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, keys.size))
    mine, places = keys.copy(), _places(keys)
    topk_around(mine, places, k)
    assert np.array_equal(np.sort(keys[places[:k]]), np.sort(keys)[:k])


def _mapped(keys: NDArray[np.uint32]) -> Mapped:
    """In a file, by small pieces: every large segment is gone over in several."""
    found = Mapped(mmap.mmap(-1, 8 * keys.size), keys.size, piece=1024, whole=3000)
    found.keys[:], found.places[:] = keys, _places(keys)
    return found


@pytest.mark.parametrize("values", [2, 50, 1 << 20])
def test_in_a_file_every_number_comes_to_lie_where_it_does_in_memory(values: int) -> None:
    rng = np.random.default_rng(values)
    for n in (3001, 20_000, 70_001):
        keys = rng.integers(0, values, n).astype(np.uint32)
        marks = np.sort(rng.integers(0, n, 3))
        mine, places = keys.copy(), _places(keys)
        sort_around(mine, places, marks)
        held = _mapped(keys)
        held.sort_around(marks)
        assert np.array_equal(held.keys, mine)
        assert np.array_equal(held.places, places)
        for k in (1, n // 100, n // 3, n):
            mine, places = keys.copy(), _places(keys)
            topk_around(mine, places, k)
            held = _mapped(keys)
            held.topk_around(k)
            assert np.array_equal(held.places, places)
            assert np.array_equal(np.concatenate(list(held.pieces(k))), places[:k])


def test_where_a_disk_has_no_room_the_sort_says_so_before_it_begins() -> None:
    # A mapped page that finds no room ends the process by a signal.
    script = (
        "import resource\n"
        "from parentage.methods.tool_order_room import IN_MEMORY, room\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try:\n    with room(IN_MEMORY + 1): pass\n"
        "except OSError as error:\n    print(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) in (errno.EFBIG, errno.ENOSPC)


def test_equal_keys_come_out_in_the_order_of_the_librarys_swaps() -> None:
    # Twenty equal keys: the median of three swaps the middle with the front, the partition crosses from
    # both ends, and insertion leaves equal ones alone. torch.argsort(torch.zeros(20)) with torch 2.13.
    keys, places = np.zeros(20, np.uint32), np.arange(20, dtype=np.uint32)
    sort_row(keys, places, 0, 20)
    assert places.tolist() == ZEROS_SORTED


ZEROS_SORTED = [10, 19, 18, 17, 16, 15, 14, 13, 12, 11, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=200), st.data())
def test_cuts_split_a_tensor_as_a_stable_sort_does(numbers: list[int], data: st.DataObject) -> None:
    x = np.array(numbers, np.float32)[None]
    n, size = x.shape[1], data.draw(st.integers(1, 50))
    down, count = data.draw(st.booleans()), data.draw(st.integers(0, n))
    (cut,) = cuts(
        lambda: ((i, np.ascontiguousarray(x[:, i : i + size])) for i in range(0, n, size)),
        [Asked(0, count, down)],
        1,
        n,
        as_tool=False,
    )
    order = np.argsort(-np.abs(x[0]) if down else np.abs(x[0]), kind="stable")[:count]
    wanted = np.zeros(n, np.bool_)
    wanted[order] = True
    assert np.array_equal(cut.before(x[0], 0, descending=down), wanted)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=200), st.data())
def test_one_pass_over_a_bracket_finds_what_three_passes_find(
    numbers: list[int], data: st.DataObject
) -> None:
    x = np.array([numbers, numbers[::-1]], np.float32)
    n, size = x.shape[1], data.draw(st.integers(1, 50))
    counts = [data.draw(st.integers(0, n)) for _ in range(2)]
    asked = [Asked(k, count, data.draw(st.booleans())) for k, count in enumerate(counts)]
    met, passes = False, 0

    def blocks() -> Iterator[tuple[int, NDArray[np.float32]]]:
        nonlocal passes
        passes += 1
        for i in range(0, n, size):
            yield i, np.ascontiguousarray(x[:, i : i + size])

    def look(start: int, count: int) -> NDArray[np.float32]:
        nonlocal met
        met = True
        return np.ascontiguousarray(x[:, start : start + count])

    # So few places that the bracket is a real one, and often misses.
    places = data.draw(st.integers(1, 40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brackets, "PLACES", places)
        patch.setattr(brackets, "RUN", 1)
        patch.setattr(brackets, "WIDE", data.draw(st.sampled_from([0.01, 0.2, 1.0])))
        patch.setattr(brackets, "ERRORS", data.draw(st.sampled_from([0.1, 1.0, 3.5])))
        found = cuts(blocks, asked, 2, n, as_tool=False, look=look)
    assert met == (n > places)
    # Three where the bracket would be too wide, four where it misses.
    assert passes in (1, 3, 4)
    for cut, a in zip(found, asked, strict=True):
        row = np.abs(x[a.row])
        order = np.argsort(-row if a.descending else row, kind="stable")[: a.count]
        wanted = np.zeros(n, np.bool_)
        wanted[order] = True
        assert np.array_equal(cut.before(x[a.row], 0, descending=a.descending), wanted)


def test_a_sample_that_misleads_costs_a_pass_and_no_more() -> None:
    """All places that are looked at hold zeros; the cut lies among the others."""
    n = 1 << 18
    x = np.linspace(1, 2, n, dtype=np.float32)[None]
    step = (n - brackets.RUN) / (brackets.PLACES - 1)
    seen = 0
    for k in range(brackets.PLACES):
        x[:, int(k * step) : int(k * step) + brackets.RUN] = 0

    def blocks() -> Iterator[tuple[int, NDArray[np.float32]]]:
        nonlocal seen
        seen += 1
        yield 0, x

    def look(start: int, count: int) -> NDArray[np.float32]:
        return x[:, start : start + count]

    (cut,) = cuts(blocks, [Asked(0, n // 2, True)], 1, n, as_tool=False, look=look)
    assert seen == 4
    kept = cut.before(x[0], 0, descending=True)
    assert np.count_nonzero(kept) == n // 2
    assert x[0][kept].min() > x[0][~kept].max()


def _seen(x: NDArray[np.float32], count: int) -> int:
    """Passes that the cut before the ``count`` largest takes, which is held against a sort."""
    n, seen = x.shape[1], 0

    def blocks() -> Iterator[tuple[int, NDArray[np.float32]]]:
        nonlocal seen
        seen += 1
        for i in range(0, n, 5000):
            yield i, np.ascontiguousarray(x[:, i : i + 5000])

    def look(start: int, count: int) -> NDArray[np.float32]:
        return np.ascontiguousarray(x[:, start : start + count])

    (cut,) = cuts(blocks, [Asked(0, count, True)], 1, n, as_tool=False, look=look)
    kept = cut.before(x[0], 0, descending=True)
    assert np.count_nonzero(kept) == count
    assert np.abs(x[0][kept]).min() >= np.abs(x[0][~kept]).max()
    return seen


def test_one_pass_is_enough_for_numbers_that_are_alike_everywhere() -> None:
    x = np.random.default_rng(0).normal(0, 1, (1, 1 << 18)).astype(np.float32)
    assert _seen(x, x.size // 3) == 1


@pytest.mark.parametrize("seed", range(8))
def test_a_bracket_is_as_wide_as_places_differ(seed: int) -> None:
    """Rows of an embedding have sizes of their own: were its numbers taken for independent, a bracket would
    be missed by nearly every second."""
    rng = np.random.default_rng(seed)
    scales = np.exp(rng.normal(0, 0.14, 1 << 9)).astype(np.float32)
    x = (scales[:, None] * rng.normal(0, 1, (1 << 9, 1 << 11)).astype(np.float32)).reshape(1, -1)
    assert _seen(x, x.size // 3) == 1


def test_no_pass_is_spent_on_a_bracket_that_would_be_too_wide() -> None:
    rng = np.random.default_rng(0)
    scales = np.exp(rng.normal(0, 2, 1 << 8)).astype(np.float32)
    x = (scales[:, None] * rng.normal(0, 1, (1 << 8, 1 << 10)).astype(np.float32)).reshape(1, -1)
    assert _seen(x, x.size // 3) == 3


def test_more_elements_than_places_can_number_are_refused_before_room_is_taken() -> None:
    with pytest.raises(UsageError, match="not sorted as a tool does") as raised, room(1 << 32):
        pass
    assert raised.value.code == "tensor-too-large-to-sort"


def _plainly_partitioned(a: list[tuple[int, int]], first: int, last: int) -> int:
    """libstdc++'s ``__unguarded_partition_pivot`` on (key, place), number by number."""
    x, y, z = first + 1, first + (last - first) // 2, last - 1
    of = {k: a[k][0] for k in (x, y, z)}
    if of[x] < of[y]:
        chosen = y if of[y] < of[z] else z if of[x] < of[z] else x
    else:
        chosen = x if of[x] < of[z] else z if of[y] < of[z] else y
    a[first], a[chosen] = a[chosen], a[first]
    pivot, i, j = a[first][0], first + 1, last
    while True:
        while a[i][0] < pivot:
            i += 1
        j -= 1
        while pivot < a[j][0]:
            j -= 1
        if i >= j:
            return i
        a[i], a[j] = a[j], a[i]
        i += 1


def _plainly_sorted(keys: NDArray[np.uint32]) -> list[int]:
    """``std::sort``'s places, where its depth does not run out."""
    a = [(int(key), place) for place, key in enumerate(keys)]
    open_ = [(0, len(a), 2 * (len(a).bit_length() - 1))]
    while open_:
        first, last, depth = open_.pop()
        if last - first <= 16:
            # Insertion leaves equal keys in their order.
            a[first:last] = sorted(a[first:last], key=lambda one: one[0])
            continue
        assert depth > 0
        cut = _plainly_partitioned(a, first, last)
        open_ += [(first, cut, depth - 1), (cut, last, depth - 1)]
    return [place for _, place in a]


@settings(max_examples=40, deadline=None)
@given(st.integers(500, 3000), st.integers(1, 40), st.integers(0, 2**32 - 1), st.booleans())
def test_swaps_looked_for_in_blocks_are_those_of_one_by_one(
    n: int, values: int, seed: int, ordered: bool
) -> None:
    keys = np.random.default_rng(seed).integers(0, values, n).astype(np.uint32)
    keys = np.sort(keys) if ordered else keys
    mine, places = keys.copy(), _places(keys)
    sort_row(mine, places, 0, n)
    assert places.tolist() == _plainly_sorted(keys)
    assert np.array_equal(mine, np.sort(keys))
