"""A saved recognition that contradicts itself is refused before anyone judges it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from parentage.errors import EvidenceError
from parentage.records.absence import Absent
from parentage.records.codec import from_plain, to_plain
from parentage.records.recognition import (
    MethodReplay,
    MethodTensor,
    Numbers,
    RangeOf,
    Recognition,
    RivalReplay,
)
from parentage.records.recognition_checks import check_recognition

TENSOR = MethodTensor("w", 10, 9, 8, 7, 1, (2, 3))
RIVAL = RivalReplay("nuslerp", "spherical-merge", "mergekit-0.1.5", "BF16", (1, 2), "", 8, 5)
REPLAY = MethodReplay(
    subject=0,
    method="slerp",
    relation="slerp-merge",
    arithmetic="mergekit-0.1.5",
    dtype="BF16",
    out="BF16",
    operands=(1, 2),
    base=0,
    numbers=Numbers((), {"t": 0.6}),
    label="t = 0.6",
    informative=8,
    matches=7,
    adjacent=1,
    tensors=(TENSOR,),
    ranges=(RangeOf("t", Absent("a parameter of the merge"), 0.6, 0.59, 0.61),),
    alike=(RIVAL,),
)
FOUND = Recognition(3, ("w",), (REPLAY,), (RIVAL,))


def fail(message: str, where: str) -> EvidenceError:
    return EvidenceError(message, code="evidence-inconsistent", where=where)


def test_a_sound_recognition_comes_back_from_its_file_and_passes() -> None:
    again = from_plain(Recognition, to_plain(FOUND))
    assert again == FOUND
    check_recognition(again, 3, fail)


@pytest.mark.parametrize(
    "lie",
    [
        {"operands": (1, 9)},
        {"base": 2},
        {"matches": 8},
        {"adjacent": 2},
        {"exact": 0.0},
        {"numbers": Numbers(({"weight": 1.0},), {})},
        {"ranges": (RangeOf("t", 5, 0.6, 0.59, 0.61),)},
        {"ranges": (RangeOf("t", 0, 0.6, 0.61, 0.62),)},
        {"tensors": (TENSOR, TENSOR)},
        {"tensors": (replace(TENSOR, copies=(1,)),)},
        {"tensors": (replace(TENSOR, copies=(1, 9)),)},
        {"tensors": (replace(TENSOR, equal=11),)},
        {"alike": (replace(RIVAL, matches=9),)},
    ],
    ids="-".join,
)
def test_a_replay_that_cannot_be_is_refused(lie: dict[str, Any]) -> None:
    with pytest.raises(EvidenceError) as caught:
        check_recognition(replace(FOUND, replays=(replace(REPLAY, **lie),)), 3, fail)
    assert caught.value.code == "evidence-inconsistent"
