"""Parts of slices are handed out as their bytes come, and not before all of a part have."""

from __future__ import annotations

from concurrent.futures import Future
from typing import cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from parentage.checkpoints.direct_files import DirectBlock
from parentage.evidence.full.tasks import SliceTask
from parentage.evidence.full.under_way import Part, Slice, UnderWay

ROOM = np.empty((3, 8), np.uint8)


def part(start: int, spans: int | None) -> Part:
    """One of a slice that is not looked at; None: nothing is on its way."""
    read = None if spans is None else DirectBlock(start, ROOM, [Future() for _ in range(spans)])
    return Part(Slice(cast("SliceTask", None), 1), start, start + 1, read)


@given(st.integers(1, 6).flatmap(lambda n: st.permutations(range(3 * n))))
def test_a_part_comes_when_the_last_of_its_spans_has(order: list[int]) -> None:
    parts = [part(k, 3) for k in range(len(order) // 3)]
    under_way = UnderWay()
    for one in parts:
        under_way.add(one)
    come = []
    for span in order:
        read = parts[span // 3].read
        assert read is not None
        read.begins[span % 3].set_result(0)
        if all(future.done() for future in read.begins):
            come.append(span // 3)
    assert [under_way.take().start for _ in parts] == come
    assert not under_way.parts


def test_what_need_not_be_read_does_not_wait_for_what_is() -> None:
    under_way = UnderWay()
    for one in (part(0, 3), part(1, None)):
        under_way.add(one)
    assert under_way.take().start == 1
    assert list(under_way.parts) == [0]


def test_slices_that_are_under_way_share_no_counts() -> None:
    first, second = (part(k, None).of for k in (0, 1))
    first.total += 1
    assert not second.total.any()
