"""Real answers of a small model and its panel, kept word for word, read again."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
