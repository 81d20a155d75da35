"""Three parents, merged, stored in 16 bits, then changed: found with their weights, imitators are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.report import Report
from tests.calibration.merges import merge_world
from tests.worlds.planted import Model, Truth, World, audited, stored, values_of
from tests.worlds.planted_bases import family_pieces, synthetic_base
from tests.worlds.planted_changes import change_and_size, fine_tune
from tests.worlds.planted_merges import blend, merged

WEIGHTS = {"A": 0.5, "O": 0.3, "B": 0.2}


def _models(real: bool, seed: int) -> dict[str, Model]:
    rng = np.random.default_rng(seed)
    if real:
        models = family_pieces(rng, count=3, size=6_000)
    else:
        base = synthetic_base(rng, count=3, size=6_000)
        models = {"O": base, **{n: fine_tune(rng, base, size=0.01) for n in ("A", "B", "D")}}
    return {n: stored(w, DType.BF16) for n, w in models.items()}


def _audit(suspect: Model, parents: dict[str, Model]) -> Report:
    named = tuple((n, parents[n]) for n in sorted(parents))
    return audited(World(suspect, named, (), Truth("three", "", 0, False))).report


def _merge(models: dict[str, Model]) -> Model:
    return merged(tuple(WEIGHTS.values()), [models[n] for n in WEIGHTS], DType.BF16)


@pytest.mark.parametrize(
    ("change", "sigma", "real"),
    [
        ("dense", 1e-3, True),
        pytest.param("rows", 5e-4, False, marks=pytest.mark.slow),
        pytest.param("sparse-10", 1e-3, False, marks=pytest.mark.slow),
    ],
)
def test_a_change_after_a_merge_of_three_is_detected(
    change: str, sigma: float, real: bool, family: Path
) -> None:
    models = {n: m for n, m in _models(real, 3).items() if n in WEIGHTS}
    rng = np.random.default_rng(4)
    suspect, size = change_and_size(rng, _merge(models), change, sigma)
    report = _audit(suspect, models)
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    assert report.post_training.status == "detected", report.post_training
    for parent in report.verdict.parents:
        planted = WEIGHTS[parent.name.removesuffix(".safetensors")]
        assert not isinstance(parent.weight, Absent)
        assert abs(parent.weight.estimate - planted) <= 0.002
        assert parent.weight.low - 1e-6 <= planted <= parent.weight.high + 1e-6
    if size is not None:
        sigma_found = report.post_training.sigma_relative
        assert not isinstance(sigma_found, Absent)
        assert abs(sigma_found.estimate - size) <= 0.1 * size
        assert sigma_found.low <= size <= sigma_found.high


def test_an_exchange_of_two_weights_that_is_as_likely_widens_their_intervals(family: Path) -> None:
    """.5 : .3 : .2 and .5 : .2 : .3 of these parents differ by the order that decides exact ties."""
    world = merge_world("three-changed", 106)
    report = audited(world).report
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    for parent in report.verdict.parents:
        planted = world.truth.weights[parent.name.removesuffix(".safetensors")]
        assert not isinstance(parent.weight, Absent)
        assert parent.weight.low <= planted <= parent.weight.high
        # Four matrices tell them, one of which has them at .142 and .358.
        assert parent.weight.high - parent.weight.low <= 0.18


@pytest.mark.slow
def test_a_blend_that_was_never_stored_before_its_change_is_no_merge(family: Path) -> None:
    models = {n: m for n, m in _models(False, 5).items() if n in WEIGHTS}
    exact = blend(tuple(WEIGHTS.values()), [values_of(models[n]) for n in WEIGHTS])
    rng = np.random.default_rng(6)
    moved = {n: v + 1e-3 * v.std() * rng.standard_normal(v.shape) for n, v in exact.items()}
    report = _audit(stored(moved, DType.BF16), models)
    assert report.verdict.relation != "linear-merge"
    assert report.post_training.status == "undetermined"


@pytest.mark.slow
def test_a_fourth_parent_that_is_not_listed_is_not_training(family: Path) -> None:
    models = _models(False, 7)
    names = ("A", "O", "B", "D")
    suspect = merged((0.4, 0.25, 0.2, 0.15), [models[n] for n in names], DType.BF16)
    report = _audit(suspect, {n: m for n, m in models.items() if n != "D"})
    assert report.post_training.status == "undetermined"
    assert (report.verdict.relation, report.verdict.status) != ("linear-merge", "supported")


def test_three_parents_whose_sums_are_ties_are_replayed_in_their_own_order(family: Path) -> None:
    """In bf16 a third of the sums of .5, .3 and .2 are exact ties: other weights match more than the true
    ones in a wrong order."""
    report = audited(merge_world("pure-three", 10)).report
    assert report.post_training.status == "not-detected"
    weights = {p.name.removesuffix(".safetensors"): p.weight for p in report.verdict.parents}
    assert {n: round(w.estimate, 9) for n, w in weights.items() if not isinstance(w, Absent)} == {
        "O": 0.5,
        "B": 0.3,
        "A": 0.2,
    }


@pytest.mark.slow
def test_matrices_that_two_parents_explain_do_not_hide_the_third(family: Path) -> None:
    """Two of three matrices are as well a blend of A and O, with something after; one needs all three."""
    report = audited(merge_world("three-changed", 30)).report
    assert {p.name.removesuffix(".safetensors") for p in report.verdict.parents} == {"A", "B", "O"}
    assert report.post_training.status == "detected"
    told = [t.weights for t in report.tensors if t.relation == "linear-merge" and t.elements_examined > 400]
    assert sum(isinstance(w, Absent) for row in told for w in row) == 2 * 3
