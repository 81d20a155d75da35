"""Suspects next to one model: their own change, what leans towards a far model, and models nearer still."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from parentage.records.evidence import Evidence
from parentage.verdicts.judge import judge
from parentage.verdicts.readings import Readings
from parentage.verdicts.relations.ancestors import weigh_shared_ancestor
from parentage.verdicts.relations.between import beside_words, weigh_beside, weigh_between
from parentage.verdicts.relations.leaning import distance_words, lean_words, weigh_lean
from parentage.verdicts.relations.neighbours import origin_radius, weigh_fine_tune
from parentage.verdicts.weighing import Status
from tests.verdicts.directions import evidence_of, slight
from tests.verdicts.test_forks import COLUMNS, ROWS, tensor_of


def test_a_slight_fine_tune_that_leans_to_a_far_model_is_not_said_to_lie_between() -> None:
    evidence = slight(0.06)
    readings = Readings(evidence)
    triangle = readings.triangle(1, 2)
    assert triangle is not None
    # It lies inside the line, as the far model sees it: by a cosine of .06, .0024 of the way.
    assert triangle.suspect.raw < -0.05
    assert weigh_between(readings) is None
    report = judge(evidence)
    assert (report.verdict.relation, report.verdict.status) == ("undetermined", "undetermined")
    assert "99.6% of its change from base is its own" in report.verdict.sentence
    assert "0.0024 of the way to nex" in report.verdict.sentence
    named = {r.relation for r in report.verdict.rivals}
    assert {"fine-tune", "same-run-checkpoint", "shared-ancestor"} <= named


def test_half_of_a_change_towards_the_far_model_lies_between() -> None:
    report = judge(slight(0.7))
    assert report.verdict.relation == "same-run-checkpoint"
    assert report.verdict.status == "undetermined"
    assert "0.97 of the way from nex to base" in report.verdict.sentence
    assert lean_words(Readings(slight(0.7))) == ""


def test_a_change_that_leans_nowhere_has_no_words_for_it() -> None:
    readings = Readings(slight(0.0))
    assert lean_words(readings) == ""
    assert weigh_lean(readings, 1) is None


def test_of_pairs_that_the_suspect_lies_between_the_parents_are_named_before_a_control() -> None:
    evidence = evidence_of(
        {
            "average": {"way": 0.028, "own": 0.002},
            "control": {"other": 0.0005, "way": 0.0005},
            "nex": {"way": 0.03},
            "base": {},
        },
        controls=("control",),
    )
    readings = Readings(evidence)
    assert [readings.name(m) for m in readings.related] == ["nex", "control", "base"]
    found = weigh_between(readings)
    assert found is not None
    assert {readings.name(m) for m in found.models} == {"nex", "base"}


def test_a_checkpoint_beside_the_line_is_named_among_what_is_left() -> None:
    """With a tenth of a branch of its own it lies neither inside the line nor at the fork."""
    evidence = evidence_of(
        {
            "checkpoint": {"early": 0.024, "own": 0.0048},
            "nex": {"early": 0.024, "late": 0.018},
            "base": {},
        }
    )
    readings = Readings(evidence)
    assert weigh_between(readings) is None
    found = weigh_beside(readings)
    assert found is not None
    assert found.status is Status.UNDETERMINED
    assert "same-run-checkpoint" in {relation for relation, _ in found.live}
    sentence = judge(evidence).verdict.sentence
    assert beside_words(readings) in sentence
    assert "beside the line from base to nex" in sentence
    assert judge(evidence).verdict.relation == "undetermined"


def _noise(near: float, **more: float) -> Evidence:
    """A suspect .05 away from the base, two models ``near`` to it, and one .03 away."""
    return evidence_of(
        {
            "suspect": {"own": 0.05, **more},
            "base": {},
            "first": {"a": near},
            "second": {"b": near},
            "far": {"c": 0.03},
        }
    )


def test_models_next_to_the_base_do_not_hide_it_from_a_suspect_far_from_all() -> None:
    """At 15 times their distance chance alone moves it some of the way to either."""
    readings = Readings(_noise(0.05 / 15))
    found = weigh_fine_tune(readings)
    assert found is not None
    assert (found.status, found.models) == (Status.SUPPORTED, (1,))
    assert any("first, second" in limit for limit in found.limits)
    assert origin_radius(readings, 1) >= 0.05 / 15 * 0.99
    assert "of it, where first and second lie)" in judge(readings.evidence).verdict.sentence


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_suspect_that_went_by_one_of_them_is_not_said_to_come_from_the_base(name: str) -> None:
    """Half of the way to that one and then on: the one is no worse a name than the base."""
    found = weigh_fine_tune(Readings(_noise(0.05 / 15, **{name: 0.05 / 30})))
    assert found is None or found.status is not Status.SUPPORTED


def test_a_matrix_that_was_left_alone_names_the_origin_among_models_next_to_one_another() -> None:
    """An adapter that was trained as the first was goes its way; the embedding is the base's."""
    near = 0.05 / 15
    evidence = _noise(near, a=0.9 * near)
    without = weigh_fine_tune(Readings(evidence))
    assert without is not None
    assert without.models != (1,)
    rng = np.random.default_rng(3)
    base, *others = (rng.normal(size=ROWS * COLUMNS) * (1 + k * near) for k in range(4))
    kept = tensor_of("embed.weight", base, [base, *(base + near * other for other in others)])
    told = replace(
        evidence,
        tensors=(*evidence.tensors, replace(kept, component="embedding", equal=(kept.finite, 0, 0, 0))),
    )
    found = weigh_fine_tune(Readings(told))
    assert found is not None
    assert (found.status, found.models) == (Status.SUPPORTED, (1,))
    assert not any("Also nearer" in limit for limit in found.limits)


def test_a_sibling_next_to_an_ancestor_that_was_not_given_names_none_farther_than_it_says() -> None:
    """Two slight siblings and a suspect from one base that is not on the list."""
    steps = {
        "suspect": {"own": 0.05},
        "first": {"a": 0.002},
        "second": {"b": 0.002},
        "far": {"c": 0.03},
    }
    readings = Readings(evidence_of(steps))
    found = weigh_fine_tune(readings)
    assert found is None or found.status is not Status.SUPPORTED or origin_radius(readings, 1) >= 0.002


def test_small_distances_keep_two_figures() -> None:
    assert [distance_words(x) for x in (0.0, 0.000129, 0.0053, 0.25)] == [
        "0.00%",
        "0.013%",
        "0.53%",
        "25.00%",
    ]


def test_of_models_that_part_where_none_is_the_base_is_named_before_a_control() -> None:
    """Three trained alike: the nearest is a control, the second nearest another, then their base."""
    alike = {"alike": 0.02}
    evidence = evidence_of(
        {
            "suspect": {**alike, "own": 0.02},
            "first": {**alike, "a": 0.01},
            "second": {**alike, "b": 0.015},
            "base": {},
        },
        controls=("first", "second"),
    )
    readings = Readings(evidence)
    assert [readings.name(m) for m in readings.related] == ["first", "second", "base"]
    found = weigh_shared_ancestor(readings)
    assert found is not None
    assert [readings.name(m) for m in found.models] == ["first", "base"]
    assert found.status is Status.UNDETERMINED
