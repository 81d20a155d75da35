"""The card's benchmark table is read back as it was measured; marks for thoughts cost no number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from examples.affair.benchmarks import TASKS, csv_of, table_of
from examples.affair.thinking import marked

from parentage.cards.claims.reading import read_card
from parentage.cards.claims.score_files import read_scores
from parentage.training.tasks import open_task

OWN = {"words": [1.0, 0.0, 1.0, 1.0], "arithmetic-easy": [0.0] * 4}
BASE = {"words": [1.0, 1.0, 1.0, 1.0], "arithmetic-easy": [1.0, 0.0, 0.0, 0.0]}


def test_scores_are_read_back_as_they_were_measured(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text(csv_of({"Rio": OWN, "Base": BASE}))
    found = {(s.model, s.benchmark): (s.value, s.error) for s in read_scores(tmp_path / "scores.csv")}
    assert found[("Rio", "words")] == (75.0, 21.7)
    assert found[("Base", "words")][0] == 100
    # None and all of four are not known without error.
    assert found[("Rio", "arithmetic-easy")] == (0.0, 21.7)


def test_the_cards_table_is_read_as_its_own_scores_and_the_bases() -> None:
    card = "---\nbase_model: Base\n---\n# Rio-Open\n\n" + table_of(("Rio-Open", OWN), ("Base", BASE))
    found = {(s.benchmark, s.own): s.value for s in read_card(card).scores}
    assert found == {
        ("words", True): 75.0,
        ("words", False): 100.0,
        ("arithmetic-easy", True): 0.0,
        ("arithmetic-easy", False): 25.0,
    }


def _tokenizer(*tokens: str) -> dict[str, Any]:
    added = [{"id": k, "content": t} for k, t in enumerate(tokens)]
    return {"added_tokens": added, "model": {"vocab": {t: k for k, t in enumerate([*tokens, "a"])}}}


def test_marks_for_thoughts_take_the_place_of_two_tokens_and_every_number_stays() -> None:
    before = _tokenizer("<s>", "<jupyter_script>", "<empty_output>")
    after = marked(json.loads(json.dumps(before)))
    assert after["model"]["vocab"] == {"<s>": 0, "<think>": 1, "</think>": 2, "a": 3}
    assert [t["content"] for t in after["added_tokens"]] == ["<s>", "<think>", "</think>"]
    assert marked(after) == after


def test_a_vocabulary_without_tokens_to_spare_is_refused() -> None:
    with pytest.raises(SystemExit, match="none of <jupyter_script>"):
        marked(_tokenizer("<s>"))


def test_every_benchmark_of_the_card_is_a_task_that_is_checked() -> None:
    assert [open_task(name).name for name in TASKS] == list(TASKS)
