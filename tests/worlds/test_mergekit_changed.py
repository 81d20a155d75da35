"""Merges by mergekit of real weights, changed afterwards: no parent is left out and none is added."""

from __future__ import annotations

import json

import numpy as np
import pytest

from parentage.checkpoints.formats.safetensors_writer import StoredTensor
from parentage.records.dtypes import DType
from parentage.records.estimate import Estimate
from tests.worlds.fixtures import FOLDER
from tests.worlds.planted import Model, Truth, World, audited
from tests.worlds.planted_changes import change_after

THREE = {"A": 0.5, "B": 0.3, "O": 0.2}
TWO = {"A": 0.6, "O": 0.4}


def _fixture(name: str) -> Model:
    """mergekit's file as it is: bfloat16, bit for bit."""
    raw = (FOLDER / "mergekit" / f"{name}.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    found: Model = {}
    for tensor, entry in json.loads(raw[8 : 8 + size]).items():
        if tensor != "__metadata__":
            first, last = entry["data_offsets"]
            bits = np.frombuffer(raw[8 + size + first : 8 + size + last], "<u2").copy()
            found[tensor] = StoredTensor(DType.BF16, tuple(entry["shape"]), bits)
    return found


@pytest.mark.parametrize(
    ("merge", "weights", "change"),
    [
        ("linear-three", THREE, "dense"),
        ("linear", TWO, "sparse-10"),
        pytest.param("linear-three", THREE, "sparse-10", marks=pytest.mark.slow),
        pytest.param("linear", TWO, "dense", marks=pytest.mark.slow),
    ],
)
def test_all_parents_of_mergekits_merge_are_told_and_no_other(
    merge: str, weights: dict[str, float], change: str
) -> None:
    """O, A and B are on the list either way."""
    suspect = change_after(np.random.default_rng(11), _fixture(merge), change, 1e-3)
    listed = tuple((name, _fixture(name)) for name in ("O", "A", "B"))
    truth = Truth("mergekit", f"{merge}, {change}", 11, True, weights=weights)
    report = audited(World(suspect, listed, (), truth)).report
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    told = {p.name.removesuffix(".safetensors"): p.weight for p in report.verdict.parents}
    assert set(told) == set(weights)
    for name, weight in weights.items():
        found = told[name]
        assert isinstance(found, Estimate)
        assert found.low <= weight <= found.high
        assert abs(found.estimate - weight) <= 0.005
    assert report.post_training.status == "detected"
