"""Real answers of a small model and its panel, kept word for word, read again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from parentage.behaviour.answers_file import load_answers
from parentage.behaviour.interviews import read_interview
from parentage.behaviour.plan import DEFAULT_SAMPLES
from parentage.numerics.shares.intervals_binomial import wilson
from parentage.records.interview import Interview
from tests.cli.running import Run
from tests.worlds.fixtures import FOLDER

PANEL = FOLDER / "panel"


@pytest.fixture
def found(run: Run) -> dict[str, Any]:
    more = [part for k in (1, 2) for part in ("--panel", PANEL / f"panel-{k}.jsonl")]
    done = run("interview", PANEL / "suspect.jsonl", *more, "--json", "-")
    assert done.code == 0, done.err
    read: dict[str, Any] = json.loads(done.out)
    return read


def _claims(found: dict[str, Any], subject: int, condition: str) -> dict[str, int]:
    groups = found["subjects"][subject]["groups"]
    (whole,) = (g for g in groups if (g["condition"], g["language"]) == (condition, "all"))
    assert whole["answers"] == 20
    return {rate["shown"]: rate["claims"] for rate in whole["names"]}


def test_only_the_model_behind_the_template_that_says_so_claims_to_be_rio(found: dict[str, Any]) -> None:
    assert _claims(found, 0, "shipped")["Rio"] == 3
    assert "Rio" not in _claims(found, 0, "raw")
    for subject in (1, 2):
        assert "Rio" not in {**_claims(found, subject, "shipped"), **_claims(found, subject, "raw")}


def test_twenty_answers_do_not_tell_them_apart(found: dict[str, Any]) -> None:
    """Three of twenty against none: Fisher's exact test, one of several questions."""
    values = [c["p_holm"] for c in found["comparisons"]]
    assert values
    assert min(values) > 0.05


def test_the_hidden_text_shows_in_the_tokens_that_the_server_counts(found: dict[str, Any]) -> None:
    for subject in found["subjects"]:
        (told,) = (a for a in subject["respondent"]["abilities"] if a["name"] == "empty-system")
        if told["offered"]:
            assert "a default system text is put in when none is given" in told["finding"]


LARGE = FOLDER / "panel-320"


@pytest.fixture(scope="module")
def large() -> Interview:
    """Of the size that is the default: 320 answers in each condition, in eight languages."""
    labels = ("suspect", "panel-1", "panel-2")
    return read_interview([(label, load_answers(LARGE / f"{label}.jsonl")) for label in labels])


def _p_of_rio(large: Interview, second: str) -> float:
    (found,) = [
        c for c in large.comparisons if (c.name, c.first, c.second) == ("rio", "suspect, shipped", second)
    ]
    return found.p_holm


def test_of_320_answers_those_to_a_template_that_names_the_model_differ_from_all_others(
    large: Interview,
) -> None:
    rates = {
        (s.label, g.condition): {r.name: r for r in g.names}
        for s in large.subjects
        for g in s.groups
        if g.language == "all"
    }
    counts = {(s.label, g.answers) for s in large.subjects for g in s.groups if g.language == "all"}
    assert counts == {("suspect", 320), ("panel-1", 320), ("panel-2", 96)}
    shipped = rates["suspect", "shipped"]["rio"]
    assert shipped.claims == 20
    assert shipped.share.low == pytest.approx(0.0408, abs=1e-4)
    assert shipped.share.high == pytest.approx(0.0946, abs=1e-4)
    assert not [key for key, names in rates.items() if "rio" in names and key != ("suspect", "shipped")]
    assert _p_of_rio(large, "panel-1, shipped") < 1e-4
    assert _p_of_rio(large, "suspect, stripped") < 1e-4
    assert _p_of_rio(large, "suspect, raw") < 1e-4
    # The third was asked 96 times: after Holm's correction that is too few.
    assert 0.05 < _p_of_rio(large, "panel-2, shipped") < 0.1


def test_equal_weights_behind_two_templates_have_equal_next_tokens(large: Interview) -> None:
    (distance,) = large.distances
    assert (distance.prompts, distance.same_first) == (43, 43)
    assert distance.divergence == 0.0


def test_a_share_of_79_percent_is_known_to_four_and_a_half_points_by_default() -> None:
    low, high = wilson(253, DEFAULT_SAMPLES)
    assert DEFAULT_SAMPLES == 320
    assert (high - low) / 2 == pytest.approx(0.0446, abs=5e-4)


def test_a_merge_calls_itself_as_one_parent_does_more_often_than_the_other_and_less_than_that_parent() -> (
    None
):
    places = ("panel-merge/suspect", "panel-320/panel-1", "panel-merge/panel-2")
    labels = ("suspect", "panel-1", "panel-2")
    kept = [load_answers(FOLDER / f"{place}.jsonl") for place in places]
    found = read_interview(list(zip(labels, kept, strict=True)))
    beside = {c.second: c for c in found.comparisons if (c.name, c.first) == ("nex", "suspect, shipped")}
    base, nex = beside["panel-1, shipped"], beside["panel-2, shipped"]
    assert (base.first_claims, base.second_claims, nex.second_claims) == (5, 0, 37)
    assert base.p_holm < 0.05
    assert nex.p_holm < 1e-5
    (closer,) = found.closer
    assert (closer.first_closer, closer.second_closer) == (5, 37)
    assert closer.p_holm < 1e-4
