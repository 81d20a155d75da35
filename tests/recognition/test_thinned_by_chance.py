"""DARE and DELLA: recipes with their seed where it is found, else the pattern; and what is neither."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from parentage.checkpoints.formats.safetensors_writer import StoredTensor
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from tests.recognition.passes import recognition_of
from tests.recognition.worlds import Made, audit, family, made
from tests.worlds.planted import Model

HALF, THIRD = {"weight": 0.6, "density": 0.5}, {"weight": 0.3, "density": 0.3}
SPREAD = ({**HALF, "epsilon": 0.1}, {**THIRD, "epsilon": 0.05})
# No seed below 2**26: an audit that does not read everything does not come to it.
FAR = 3_000_000_000


def models_of(seed: int, count: int = 1, size: int = 5_000) -> dict[str, Model]:
    return family(seed, count=count, size=size, apart=(0.02, 0.01, 0.01))


@pytest.mark.parametrize(
    ("name", "operands", "each", "shared", "more"),
    [
        ("dare_ties", "OAB", (HALF, THIRD), {}, {"seed": 20_240_131}),
        ("della_linear", "OAB", SPREAD, {}, {"seed": 42}),
        (
            "dare_linear",
            "OAB",
            (HALF, THIRD),
            {},
            {"seed": 7, "arithmetic": "parentage-1", "dtype": DType.F32},
        ),
        pytest.param(
            "dare_linear", "OBA", (HALF, THIRD), {"rescale": False}, {"seed": 0}, marks=pytest.mark.slow
        ),
        pytest.param("dare_linear", "OA", (HALF,), {}, {"seed": 1234}, marks=pytest.mark.slow),
    ],
)
def test_a_recipe_is_recovered_with_its_seed(
    name: str, operands: str, each: tuple[Any, ...], shared: dict[str, Any], more: dict[str, Any]
) -> None:
    models = models_of(5, count=2)
    suspect = made(Made(name, operands, 0, ({}, *each), shared, **more), models)
    (replay,) = recognition_of(suspect, models, "".join(sorted(operands))).replays
    assert replay.matches == replay.informative > 4_000
    assert (replay.method, replay.seed) == (name, more["seed"])
    for row, given in zip(replay.numbers.each[1:], each, strict=True):
        assert {k: v for k, v in row.items() if k != "weight"} == {
            k: v for k, v in given.items() if k != "weight"
        }


@pytest.mark.parametrize(
    ("name", "relation"),
    [
        ("dare_linear", "dare-merge"),
        pytest.param("della", "della-merge", marks=pytest.mark.slow),
    ],
)
def test_a_merge_by_chance_is_told_by_its_pattern_where_its_seed_is_not_found(
    name: str, relation: str
) -> None:
    models = models_of(5)
    rows = ({**HALF, "epsilon": 0.2}, {**THIRD, "epsilon": 0.1}) if name == "della" else (HALF, THIRD)
    suspect = made(Made(name, "OAB", 0, ({}, *rows), seed=FAR), models)
    report = audit(suspect, models, "OAB").report
    assert (report.verdict.relation, report.verdict.status) == (relation, "supported")
    assert [p.name for p in report.verdict.parents] == [f"{m}.safetensors" for m in "OAB"]
    assert isinstance(report.replay, Absent)
    assert report.post_training.status == "not-detected"
    assert any("was not replayed" in limit for limit in report.verdict.limits)
    said = [re.search(r"weight of [0-9.]+ \(([0-9.]+) to ([0-9.]+)\)", x) for x in report.verdict.limits]
    spans = [(float(x[1]), float(x[2])) for x in said if x is not None]
    # DELLA divides by the weights that took part: they are not told then.
    for (low, high), row in zip(spans, rows if name == "dare_linear" else (), strict=True):
        assert low <= row["weight"] <= high < low + 0.1


@pytest.mark.slow
def test_rates_hold_the_truth() -> None:
    models = models_of(5, count=2)
    suspect = made(Made("dare_ties", "OAB", 0, ({}, HALF, THIRD), seed=FAR), models)
    found = recognition_of(suspect, models, "OAB")
    (finding,) = found.findings
    a, b = finding.measures["parents"]
    assert a["density"][1] <= 0.5 <= a["density"][2]
    assert b["density"][1] <= 0.3 <= b["density"][2]
    assert a["epsilon"][1] <= 0 <= a["epsilon"][2]
    assert finding.measures["elected"] is True
    assert (
        finding.measures["explained"]
        == finding.measures["told"]
        > 1_000
        > 20 * 1 + finding.measures["mirrored"]
    )
    assert not found.replays


def changed(model: Model, share: float, seed: int) -> Model:
    """A fine-tune of a share of all elements: steps of the grid, up and down."""
    draws = np.random.default_rng(seed)
    found = {}
    for name, tensor in model.items():
        moved = draws.integers(1, 4, tensor.bits.size) * draws.choice([-1, 1], tensor.bits.size)
        moved *= draws.random(tensor.bits.size) < share
        bits = (tensor.bits.astype(np.int64) + moved).astype(np.uint16)
        found[name] = StoredTensor(tensor.dtype, tensor.shape, bits)
    return found


def nulls(models: dict[str, Model]) -> dict[str, Model]:
    merged = Made("dare_linear", "OAB", 0, ({}, HALF, THIRD), seed=FAR)
    blend = Made("task_arithmetic", "OAB", 0, ({}, {"weight": 0.6}, {"weight": 0.4}))
    return {
        "a fine-tune": models["C"],
        "a sparse fine-tune of the base": changed(models["O"], 0.1, 1),
        "a sparse fine-tune of a parent": changed(models["A"], 0.02, 2),
        "a blend trained on a little": changed(made(blend, models), 0.05, 3),
        "a merge by chance, trained on": changed(made(merged, models), 0.3, 4),
    }


@pytest.mark.parametrize(
    "what",
    [
        "a fine-tune",
        pytest.param("a sparse fine-tune of the base", marks=pytest.mark.slow),
        pytest.param("a sparse fine-tune of a parent", marks=pytest.mark.slow),
        pytest.param("a blend trained on a little", marks=pytest.mark.slow),
        "a merge by chance, trained on",
    ],
)
def test_what_no_chance_thinned_out_is_no_merge_by_chance(what: str) -> None:
    models = models_of(9, count=2)
    found = recognition_of(nulls(models)[what], models, "OAB")
    assert not found.findings
    assert all(r.matches < r.informative for r in found.replays)
