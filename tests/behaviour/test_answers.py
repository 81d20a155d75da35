"""Answers are read for what they claim: the labelled ones, and laws that hold for any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripts.score_answers import score

from parentage.behaviour.names.aliases import known_names, mentions, normalised
from parentage.behaviour.names.answers import read_answer

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "answers"


def labelled(*, held_out: bool) -> Iterator[dict[str, Any]]:
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            if row["held_out"] == held_out:
                yield row


def test_labelled_answers_that_the_rules_were_written_against_are_read_as_labelled() -> None:
    rows = list(labelled(held_out=False))
    wrong = [
        row["id"]
        for row in rows
        if (list(read_answer(row["answer"]).claims), read_answer(row["answer"]).ambiguous)
        != (row["claims"], row["ambiguous"])
    ]
    assert len(rows) > 200
    assert wrong == []


def test_held_out_answers_are_read_no_worse_than_the_log_says() -> None:
    counts, wrong = score(held_out=True)
    assert counts["answers"] == 117
    assert counts["wrong names"] + counts["missed names"] <= 1
    assert len(wrong) <= 1


def test_every_label_is_a_name_of_the_alias_file() -> None:
    labels = {c for held in (True, False) for row in labelled(held_out=held) for c in row["claims"]}
    assert labels <= set(known_names())


@pytest.mark.parametrize("name", sorted(known_names()))
def test_every_alias_is_found_in_a_plain_claim_of_its_language(name: str) -> None:
    for alias in known_names()[name].aliases:
        found = mentions(normalised(f"I am {alias}."))
        assert [m.name.id for m in found] == [name], alias


@pytest.mark.parametrize(
    ("answer", "claims"),
    [
        ("I am Qwen2.5-72B-Instruct.", ("qwen",)),
        ("I am GPT-4o.", ("gpt",)),
        ("I am Ｑｗｅｎ.", ("qwen",)),
        ("I am Q\u200bwe\u200dn.", ("qwen",)),
        ("<think>Am I Qwen? I am Qwen.</think>I am Rio.", ("rio",)),
        ("The user asks for my name. I am Qwen.</think>I am Rio.", ("rio",)),
        ("<think>I am Qwen, so I should", ()),
        ("I'm a fluent speaker; equenqwenish is no word.", ()),
        ("I was asked about Claude yesterday.", ()),
        ("I am an assistant. I love the city of Rio.", ()),
        ("The phi coefficient and the pi constant are what I am good at.", ()),
    ],
)
def test_names_are_found_through_versions_widths_and_hidden_signs(
    answer: str, claims: tuple[str, ...]
) -> None:
    assert read_answer(answer).claims == claims


def test_a_denial_is_remembered_as_one() -> None:
    assert read_answer("I am not Qwen. I am Nex.").denials == ("qwen",)


def test_a_name_that_is_claimed_and_denied_is_ambiguous() -> None:
    found = read_answer("I am Qwen. No, I am not Qwen.")
    assert (found.claims, found.ambiguous) == ((), True)


@pytest.mark.parametrize(
    "noise", ['"' * 100_000, "<" * 100_000, "I am Qwen " * 100_000, "(" * 9_999, "a, " * 99_999]
)
def test_long_and_unbalanced_answers_are_read_in_bounded_time(noise: str) -> None:
    assert set(read_answer(noise).claims) <= {"qwen"}


@pytest.mark.parametrize(
    "answer",
    [
        "I'm happy to say that I'm a fan of the Hugging Face!",
        "I'm designed to support you, but I can adapt to any language supported by Huggingface.",
        "I'm using a deep learning model developed by a university, which was acquired by Google in 2017.",
        "I'm working on a multi-language model, and I'm using the Google Cloud AI Platform to develop it.",
        "I work closely with developers. I'm currently based at Google Research.",
    ],
)
def test_asides_of_a_real_model_that_rambles_are_no_claims(answer: str) -> None:
    assert read_answer(answer).claims == ()
