"""Which of several equal magnitudes a tool's sort puts first: the steps of its sort, done again.

torch's CPU ``sort`` and ``argsort`` (without ``stable``) and ``topk`` are the C++ library's ``std::sort``,
``std::nth_element`` and ``std::partial_sort``; where numbers are equal, their order is that of the
algorithm's swaps. In libstdc++ these are introsort and introselect (Musser 1997): median of three to the
front, an unguarded partition, segments of at most 16 (3) by insertion, heapsort where the depth runs out.
16-bit task vectors hold many equal magnitudes: on corners of the real family a stable order gives 2 % other
bits in TIES. Compared with torch 2.13 on up to 100,000 numbers of 50 values: equal everywhere.

Keys are unsigned integers in the order that is sorted for, ``places`` the elements' indices. Only segments
that hold a mark are gone into: what is left and right of each mark is then as after the whole sort.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "SEARCHED",
    "depth_of",
    "exchanged",
    "heap_select",
    "heap_through",
    "holds",
    "median_first",
    "partitioned",
    "sort_around",
    "sort_part",
    "sort_row",
    "topk_around",
    "topk_part",
]

Keys = NDArray[np.uint32]
Places = NDArray[np.uint32]
SMALL: Final = 16
# Numbers looked through at a time: two lists of their places stay in the first-level cache.
SEARCHED: Final = 256
UNBOUNDED: Final = 1 << 62


@njit(cache=True, nogil=True)
def _swap(keys: Keys, places: Places, i: int, j: int) -> None:
    keys[i], keys[j] = keys[j], keys[i]
    places[i], places[j] = places[j], places[i]


@njit(cache=True, nogil=True)
def median_first(keys: Keys, places: Places, to: int, a: int, b: int, c: int) -> None:
    if keys[a] < keys[b]:
        if keys[b] < keys[c]:
            _swap(keys, places, to, b)
        elif keys[a] < keys[c]:
            _swap(keys, places, to, c)
        else:
            _swap(keys, places, to, a)
    elif keys[a] < keys[c]:
        _swap(keys, places, to, a)
    elif keys[b] < keys[c]:
        _swap(keys, places, to, c)
    else:
        _swap(keys, places, to, b)


@njit(cache=True, nogil=True)
def exchanged(keys: Keys, places: Places, pivot: np.uint32, i: int, j: int, most: int) -> tuple[int, int]:
    """The partition's swaps while many numbers are left between ``i`` and ``j``, or until it has gone
    over ``most``; from where it goes on.

    A swap takes the next number from the left that is not below the pivot and the next from the right that
    is not above it. Which these are does not hang on the swaps, so they are looked for in blocks, without a
    branch (Edelkamp and Weiss, "BlockQuicksort", 2016), and paired in order.
    """
    left, right = np.empty(SEARCHED, np.uint16), np.empty(SEARCHED, np.uint16)
    at_left = at_right = lefts = rights = 0
    end = j - i - most
    while j - i > max(2 * SEARCHED, end):
        if at_left == lefts:
            at_left = lefts = 0
            for k in range(SEARCHED):
                left[lefts] = k
                lefts += int(keys[i + k] >= pivot)
        if at_right == rights:
            at_right = rights = 0
            for k in range(SEARCHED):
                right[rights] = k
                rights += int(keys[j - 1 - k] <= pivot)
        pairs = min(lefts - at_left, rights - at_right)
        for k in range(pairs):
            _swap(keys, places, i + left[at_left + k], j - 1 - right[at_right + k])
        at_left += pairs
        at_right += pairs
        if at_left == lefts:
            i += SEARCHED
        if at_right == rights:
            j -= SEARCHED
    # Of a block that was not used up, what lies before its next number is settled.
    if at_left < lefts:
        i += left[at_left]
    if at_right < rights:
        j -= right[at_right]
    return i, j


@njit(cache=True, nogil=True)
def _partition(keys: Keys, places: Places, first: int, last: int) -> int:
    median_first(keys, places, first, first + 1, first + (last - first) // 2, last - 1)
    pivot, i, j = keys[first], first + 1, last
    if j - i > 2 * SEARCHED:
        i, j = exchanged(keys, places, pivot, i, j, UNBOUNDED)
    return partitioned(keys, places, pivot, i, j)


@njit(cache=True, nogil=True)
def partitioned(keys: Keys, places: Places, pivot: np.uint32, i: int, j: int) -> int:
    """The partition from ``i`` and ``j`` on, to its end: where it cuts."""
    while True:
        while keys[i] < pivot:
            i += 1
        j -= 1
        while pivot < keys[j]:
            j -= 1
        if not i < j:
            return i
        _swap(keys, places, i, j)
        i += 1


@njit(cache=True, nogil=True)
def _insertion(keys: Keys, places: Places, first: int, last: int) -> None:
    for i in range(first + 1, last):
        key, place, j = keys[i], places[i], i
        while j > first and key < keys[j - 1]:
            keys[j], places[j] = keys[j - 1], places[j - 1]
            j -= 1
        keys[j], places[j] = key, place


@njit(cache=True, nogil=True)
def _sift(keys: Keys, places: Places, first: int, hole: int, size: int, key: int, place: int) -> None:
    """``__adjust_heap``: down to a leaf, then up again."""
    top, child = hole, hole
    while child < (size - 1) // 2:
        child = 2 * (child + 1)
        if keys[first + child] < keys[first + child - 1]:
            child -= 1
        keys[first + hole], places[first + hole] = keys[first + child], places[first + child]
        hole = child
    if size & 1 == 0 and child == (size - 2) // 2:
        child = 2 * (child + 1)
        keys[first + hole], places[first + hole] = keys[first + child - 1], places[first + child - 1]
        hole = child - 1
    parent = (hole - 1) // 2
    while hole > top and keys[first + parent] < key:
        keys[first + hole], places[first + hole] = keys[first + parent], places[first + parent]
        hole = parent
        parent = (hole - 1) // 2
    keys[first + hole], places[first + hole] = key, place


@njit(cache=True, nogil=True)
def heap_select(keys: Keys, places: Places, first: int, middle: int, last: int) -> None:
    """The smallest to the front, as a heap."""
    size = middle - first
    for parent in range((size - 2) // 2, -1, -1):
        _sift(keys, places, first, parent, size, keys[first + parent], places[first + parent])
    heap_through(keys, places, first, middle, middle, last)


@njit(cache=True, nogil=True)
def heap_through(keys: Keys, places: Places, first: int, middle: int, start: int, last: int) -> None:
    """Of ``keys[start:last]``, behind the heap before ``middle``, the smaller ones into it."""
    size = middle - first
    for i in range(start, last):
        if keys[i] < keys[first]:
            key, place = keys[i], places[i]
            keys[i], places[i] = keys[first], places[first]
            _sift(keys, places, first, 0, size, key, place)


@njit(cache=True, nogil=True)
def _heap_sort(keys: Keys, places: Places, first: int, last: int) -> None:
    heap_select(keys, places, first, last, last)
    while last - first > 1:
        last -= 1
        key, place = keys[last], places[last]
        keys[last], places[last] = keys[first], places[first]
        _sift(keys, places, first, 0, last - first, key, place)


@njit(cache=True, nogil=True)
def holds(marks: NDArray[np.int64], first: int, last: int) -> bool:
    found = False
    for mark in marks:
        found |= first < mark < last
    return found


@njit(cache=True, nogil=True)
def depth_of(n: int) -> int:
    """Twice the floor of log2."""
    depth = 0
    while n > 1:
        n >>= 1
        depth += 2
    return depth


@njit(cache=True, nogil=True)
def sort_around(keys: Keys, places: Places, marks: NDArray[np.int64]) -> None:
    """As ``std::sort`` leaves it, but only as far as what lies before and after each of ``marks``."""
    sort_part(keys, places, marks, 0, keys.size, depth_of(keys.size))


@njit(cache=True, nogil=True)
def sort_part(
    keys: Keys, places: Places, marks: NDArray[np.int64], first: int, last: int, depth: int
) -> None:
    """The same of a segment that partitions have led to, ``depth`` of which are left to it."""
    stack = np.empty((256, 3), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2] = first, last, depth
    top = 1
    while top:
        top -= 1
        first, last, depth = stack[top, 0], stack[top, 1], stack[top, 2]
        if not holds(marks, first, last):
            continue
        if last - first <= SMALL:
            _insertion(keys, places, first, last)
        elif depth == 0:
            _heap_sort(keys, places, first, last)
        else:
            cut = _partition(keys, places, first, last)
            stack[top, 0], stack[top, 1], stack[top, 2] = first, cut, depth - 1
            stack[top + 1, 0], stack[top + 1, 1], stack[top + 1, 2] = cut, last, depth - 1
            top += 2


@njit(cache=True, nogil=True)
def sort_row(keys: Keys, places: Places, first: int, last: int) -> None:
    """``std::sort`` of ``keys[first:last]`` and their places."""
    stack = np.empty((256, 3), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2] = first, last, depth_of(last - first)
    top = 1
    while top:
        top -= 1
        a, b, depth = stack[top, 0], stack[top, 1], stack[top, 2]
        if b - a <= SMALL:
            _insertion(keys, places, a, b)
        elif depth == 0:
            _heap_sort(keys, places, a, b)
        else:
            cut = _partition(keys, places, a, b)
            stack[top, 0], stack[top, 1], stack[top, 2] = a, cut, depth - 1
            stack[top + 1, 0], stack[top + 1, 1], stack[top + 1, 2] = cut, b, depth - 1
            top += 2


@njit(cache=True, nogil=True)
def topk_around(keys: Keys, places: Places, k: int) -> None:
    """As ``torch.topk`` leaves it as far as which elements are the first ``k``."""
    n = keys.size
    if k * 64 <= n:
        heap_select(keys, places, 0, k, n)
        return
    topk_part(keys, places, k - 1, 0, n, depth_of(n))


@njit(cache=True, nogil=True)
def topk_part(keys: Keys, places: Places, nth: int, first: int, last: int, depth: int) -> None:
    """The same of a segment that partitions have led to: ``std::nth_element`` from there."""
    while last - first > 3:
        if depth == 0:
            heap_select(keys, places, first, nth + 1, last)
            _swap(keys, places, first, nth)
            return
        depth -= 1
        cut = _partition(keys, places, first, last)
        if cut <= nth:
            first = cut
        else:
            last = cut
    _insertion(keys, places, first, last)
