"""Parts of slices are handed out as their bytes come, and not before all of a part have."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from parentage.checkpoints import direct_files
from parentage.checkpoints.direct_files import DirectReader
from parentage.checkpoints.kernel_reads import Request
from parentage.evidence.full.tasks import SliceTask
from parentage.evidence.full.under_way import Part, Slice, UnderWay

SPANS = 3


class Ordered:
    """Answers requests in an order that is given, with as many bytes as were asked for."""

    def __init__(self, order: Sequence[int]) -> None:
        self.order, self.asked = deque(order), dict[int, int]()

    def begin(self, requests: Sequence[Request]) -> None:
        for request in requests:
            self.asked[request.key] = request.room.nbytes

    def wait(self) -> list[tuple[int, int]]:
        key = self.order.popleft()
        return [(key, self.asked[key])]

    def close(self) -> None:
        pass


def reader(order: Sequence[int], blocks: int) -> DirectReader:
    kept, direct_files._reads = direct_files._reads, lambda most: Ordered(order)
    try:
        return DirectReader(64, SPANS, blocks)
    finally:
        direct_files._reads = kept


def part(start: int, by: DirectReader | None) -> Part:
    """One of a slice that is not looked at; None: nothing is on its way."""
    read = None
    if by is not None:
        with Path(__file__).open("rb") as file:
            read = by.begin([(file.fileno(), 0)] * SPANS, [8] * SPANS)
    return Part(Slice(cast("SliceTask", None), 1), start, start + 1, read)


@given(st.integers(1, 6).flatmap(lambda n: st.permutations(range(SPANS * n))))
def test_a_part_comes_when_the_last_of_its_spans_has(order: list[int]) -> None:
    count = len(order) // SPANS
    by = reader(order, count)
    under_way = UnderWay(by)
    numbers = {}
    for start in range(count):
        one = part(start, by)
        assert one.read is not None
        numbers[one.read.number] = start
        under_way.add(one)
    left, come = np.full(count, SPANS), []
    for key in order:
        left[key // SPANS] -= 1
        if not left[key // SPANS]:
            come.append(numbers[key // SPANS])
    assert [under_way.take().start for _ in range(count)] == come
    assert not under_way
    by.close()


def test_what_need_not_be_read_does_not_wait_for_what_is() -> None:
    by = reader([], 1)
    under_way = UnderWay(by)
    for one in (part(0, by), part(1, None)):
        under_way.add(one)
    assert under_way.take().start == 1
    assert list(under_way.parts) == [0]
    by.close()


def test_slices_that_are_under_way_share_no_counts() -> None:
    first, second = (part(k, None).of for k in (0, 1))
    first.total += 1
    assert not second.total.any()
