"""The scale on which a bound and a training can both be seen, and the figures on it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.report import PostTraining
from parentage.reports.changes import LOWEST, change_strips, scale_labels
from parentage.reports.references import MEASURED, PUBLISHED, Reference
from tests.reports.worlds import demo, empty, trained
from tests.worlds.fixtures import FOLDER


def _after(share: Estimate) -> PostTraining:
    return PostTraining("detected", Absent("not asked"), share)


def _bfloat16(name: str) -> dict[str, np.ndarray]:
    found = {}
    with open(FOLDER / f"{name}.safetensors", "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
        data = stream.read()
    for key, entry in header.items():
        if key != "__metadata__":
            assert entry["dtype"] == "BF16"
            start, end = entry["data_offsets"]
            found[key] = np.frombuffer(data[start:end], "<u2")
    return found


def _values(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


@pytest.mark.parametrize("reference", MEASURED, ids=lambda r: r.label)
def test_a_figure_said_to_be_measured_is_what_its_files_give(reference: Reference) -> None:
    assert reference.files is not None
    assert reference.sigma_relative is not None
    before, after = (_bfloat16(name) for name in reference.files)
    assert before.keys() == after.keys()
    elements = sum(b.size for b in before.values())
    changed = sum(int((before[k] != after[k]).sum()) for k in before)
    squares = sum(float(((_values(after[k]) - _values(before[k])) ** 2).sum()) for k in before)
    spread = sum(float(_values(before[k]).var()) * before[k].size for k in before)
    assert changed / elements == pytest.approx(reference.changed_share, abs=5e-5)
    assert (squares / spread) ** 0.5 == pytest.approx(reference.sigma_relative, rel=0.02)


def test_published_figures_are_complements_of_the_shares_that_were_published() -> None:
    assert [round(100 * (1 - r.changed_share)) for r in PUBLISHED] == [8, 52, 77]


def test_this_model_stands_first_where_it_was_measured() -> None:
    strips = change_strips(trained().post_training)
    assert [s.kind for s in strips].count("own") == 1
    assert strips[0].kind == "own"
    assert all(s.kind != "own" for s in change_strips(empty().post_training))


def test_none_seen_is_a_band_up_to_the_bound_and_no_mark() -> None:
    own = change_strips(demo().post_training)[0]
    assert own.mark == ""
    assert own.band_from == "0"
    assert 0 < float(own.band_width) < 50
    assert own.text == "none seen; at most 0.00013 %"


def test_a_decade_is_as_wide_everywhere() -> None:
    marks = [float(change_strips(_after(Estimate(s, s, s)))[0].mark) for s in (1e-6, 1e-5, 1e-4, 1e-3)]
    assert np.diff(marks) == pytest.approx(100 / len(scale_labels()), abs=0.11)
    assert scale_labels()[0] == "0.00001 %"
    assert scale_labels()[-1] == "10 %"


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_every_mark_lies_on_the_scale(low: float, share: float, high: float) -> None:
    low, share, high = sorted((low, share, high))
    own = change_strips(_after(Estimate(share, low, high)))[0]
    assert 0 <= float(own.band_from) <= 100
    assert 0 <= float(own.band_from) + float(own.band_width) <= 100.2
    assert own.mark == "" or 0 <= float(own.mark) <= 100
    assert (own.mark == "") == (share == 0)


def test_what_is_smaller_than_the_scale_sits_on_its_left_edge() -> None:
    assert change_strips(_after(Estimate(LOWEST / 100, 0, LOWEST / 10)))[0].mark == "0"
