"""Methods that are a weighted sum in each tensor are named with the numbers that made them, by replay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from parentage.checkpoints.formats.safetensors_writer import StoredTensor
from parentage.evidence.recognition.spherical import NUSLERP
from parentage.methods.method import Value
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from tests.recognition.passes import recognition_of
from tests.recognition.worlds import Made, audit, family, made, recognised

TWO = ({}, {"weight": 0.6}, {"weight": 0.3})
PLAIN: dict[str, Value] = {"lambda": 1.0, "normalize": False}


RECIPES = {
    "task arithmetic": (Made("task_arithmetic", "OAB", 0, TWO, PLAIN), False),
    "task arithmetic with a factor": (
        Made("task_arithmetic", "OAB", 0, TWO, {**PLAIN, "lambda": 0.7}),
        False,
    ),
    "task arithmetic of one change": (
        Made("task_arithmetic", "OA", 0, ({}, {"weight": 1.3}), PLAIN),
        False,
    ),
    "nuslerp of changes": (Made("nuslerp", "OAB", 0, TWO, {}), False),
    "multislerp of changes": (Made("multislerp", "OAB", 0, TWO, {}), False),
    "karcher": (Made("karcher", "AB", None), True),
}
SLOW = tuple(n for n in RECIPES if n != "task arithmetic")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in RECIPES]
)
def test_a_merge_is_named_with_its_numbers(name: str) -> None:
    recipe, far = RECIPES[name]
    models = family(5, count=2, size=3_000, apart=(0.3, 0.5) if far else (0.01, 0.01))
    result = audit(made(recipe, models), models, "OAB")
    replay, report = recognised(result), result.report
    assert (replay.method, replay.matches) == (recipe.method, replay.informative)
    assert report.verdict.status == "supported"
    assert report.verdict.relation == replay.relation
    given = [row["weight"] for row in recipe.each if row]
    found = [row["weight"] for row in replay.numbers.each if row]
    names = [result.evidence.models[k].name[0] for k in replay.operands]
    assert names == list(recipe.operands)
    assert np.allclose(_scaled(found, recipe), _scaled(given, recipe), rtol=5e-3)
    for known in replay.ranges:
        assert known.low <= known.value <= known.high


def _scaled(weights: list[Any], recipe: Made) -> list[float]:
    """Where weights are divided by their sum only their proportions count."""
    total = 1.0 if recipe.method == "task_arithmetic" else sum(weights)
    return [w / total for w in weights]


def test_slerp_is_told_from_a_line_where_the_models_point_apart() -> None:
    models = family(2, count=2, size=3_000, apart=(0.3,))
    result = audit(made(Made("slerp", "OA", 0, (), {"t": 0.37}, dtype=DType.F32), models), models, "OA")
    replay = recognised(result)
    assert result.report.verdict.relation == "slerp-merge"
    # From the other end it is the same arc.
    t = replay.numbers.shared["t"]
    assert t in (0.37, 0.63)
    assert any(r.method == "slerp" and r.label == f"t = {1 - t:.9g}" for r in replay.alike)


WIDE = {
    "nuslerp": Made("nuslerp", "AB", None, ({"weight": 0.27}, {"weight": 0.41}), {}),
    "multislerp": Made(
        "multislerp", "OAB", None, ({"weight": 0.48}, {"weight": 0.74}, {"weight": 0.5}), {}
    ),
    "slerp": Made("slerp", "AB", 0, (), {"t": 0.48}),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n != "multislerp")) for n in WIDE]
)
def test_a_sphere_in_float32_is_called_no_blend_with_weights_by_tensor(name: str) -> None:
    """Every last bit of a coefficient shows there, so a search that ends early finds nothing."""
    recipe = replace(WIDE[name], dtype=DType.F32, out=DType.F32)
    models = family(3, count=2, size=3_000, apart=(0.3, 0.5))
    result = audit(made(recipe, models), models, "OAB")
    replay = recognised(result)
    assert (replay.method, replay.matches) == (name, replay.informative)
    assert result.report.verdict.relation == replay.relation
    assert result.report.post_training.status == "not-detected"


def off_by(steps: int) -> tuple[Any, Any]:
    """A Karcher mean in float32 of which 40 of 100 elements are off by that many steps of the largest
    operand, and the models."""
    models = family(3, count=2, size=3_000, apart=(0.3, 0.5))
    suspect = made(Made("karcher", "OAB", None, dtype=DType.F32, out=DType.F32), models)
    rng = np.random.default_rng(1)
    for name, tensor in suspect.items():
        values = to_float64(tensor.bits, tensor.dtype)
        rows = [to_float64(models[m][name].bits, models[m][name].dtype) for m in "OAB"]
        step = np.spacing(np.abs(rows).max(axis=0).astype(np.float32))
        apart = np.ptp(rows, axis=0) > 0
        moved = values + apart * rng.choice([-steps, 0, 0, 0, steps], values.size) * step
        suspect[name] = StoredTensor(DType.F32, tensor.shape, moved.astype(np.float32).view(np.uint32))
    return suspect, models


def test_a_karcher_mean_in_another_librarys_last_bits_is_named_and_they_are_told() -> None:
    suspect, models = off_by(3)
    result = audit(suspect, models, "OAB")
    replay, report = recognised(result), result.report
    assert replay.method == "karcher"
    assert replay.matches < replay.informative == replay.matches + replay.adjacent
    assert (report.verdict.relation, report.verdict.status) == ("spherical-merge", "supported")
    assert report.post_training.status == "undetermined"


@pytest.mark.slow
def test_what_is_farther_from_a_karcher_mean_than_last_bits_is_not_called_one() -> None:
    suspect, models = off_by(16)
    assert audit(suspect, models, "OAB").report.verdict.relation != "spherical-merge"


@pytest.mark.parametrize("share", [0.01, pytest.param(1.0, marks=pytest.mark.slow)])
def test_a_sphere_that_was_trained_on_is_left_open_and_said_to_be_no_replay(share: float) -> None:
    models = family(3, count=2, size=3_000, apart=(0.3, 0.5))
    suspect = made(Made("slerp", "AB", 0, (), {"t": 0.4}, dtype=DType.F32), models)
    rng = np.random.default_rng(3)
    for name, tensor in suspect.items():
        values = to_float64(tensor.bits, tensor.dtype)
        moved = values + (rng.random(values.size) < share) * rng.normal(0, 0.01 * values.std(), values.size)
        suspect[name] = StoredTensor(tensor.dtype, tensor.shape, round_to(moved, tensor.dtype))
    report = audit(suspect, models, "OAB").report
    assert report.verdict.status == "undetermined"
    assert report.post_training.status == "undetermined"
    told = [r.why_excluded.reason for r in report.verdict.rivals if r.relation == "slerp-merge"]
    # Where most elements still come out the method is named as what is left open, with what it leaves.
    assert share == 1.0 or "neither that nor a copy" in told[0]


def test_slerp_of_near_models_is_a_line_and_called_one() -> None:
    models = family(2, count=2, size=3_000)
    result = audit(made(Made("slerp", "OA", 0, (), {"t": 0.6}), models), models, "OA")
    assert result.report.verdict.relation == "linear-merge"
    assert isinstance(result.evidence.recognition, Absent)


def test_a_fine_tune_is_called_no_merge() -> None:
    models = family(7, count=2, size=3_000, apart=(0.01, 0.004, 0.01))
    result = audit(models["C"], models, "OAB")
    assert "merge" not in result.report.verdict.relation
    assert recognised_nothing(result)


def recognised_nothing(result: Any) -> bool:
    found = result.evidence.recognition
    return isinstance(found, Absent) or all(r.matches < r.informative for r in found.replays)


def test_a_sphere_in_16_bits_is_found_where_its_rounded_sines_lead_beside_it() -> None:
    """The walk ends at .65 : .36, which gives 95 of 100; .89 : .48 is .0076 of a share away."""
    models = family(5, count=2, size=3_000, apart=(0.01, 0.003), dtype=DType.F32)
    suspect = made(Made("nuslerp", "OAB", 0, ({}, {"weight": 0.89}, {"weight": 0.48}), {}), models)
    (replay,) = recognition_of(suspect, models, "OAB", among=(NUSLERP,)).replays
    assert replay.matches == replay.informative > 3_000
    first, second = (row["weight"] for row in replay.numbers.each[1:])
    assert second / (first + second) == pytest.approx(0.48 / (0.89 + 0.48), abs=0.003)
