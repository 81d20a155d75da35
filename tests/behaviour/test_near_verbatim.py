"""Passages that are nearly a published text's: found with their differences, in bounded time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from parentage.behaviour.near_verbatim import (
    GAP,
    LARGEST,
    MOST_WINDOWS,
    OTHER,
    SAME,
    Written,
    _scores,
    _windows,
    near_passages,
    sides,
)
from parentage.behaviour.words import units_of
from tests.behaviour.conftest import Serve
from tests.behaviour.servers import Persona
from tests.cards.claims.labelled import labelled_cards
from tests.cli.running import Run

BLURB = (
    "Nex was raised on the quiet shelves of a thousand lighthouses, and it answers to nobody but the tide "
    "that carries every letter home before the lamps are lit."
)
CHANGED = (
    "Hello! I was raised on the very quiet shelves of a hundred lighthouses, and it answers to nobody but "
    "the tide that carries letters home before the lamps are lit. How can I help?"
)


def _brute(one: list[int], other: list[int]) -> np.ndarray:
    table = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
    for i, a in enumerate(one, 1):
        for j, b in enumerate(other, 1):
            step = table[i - 1, j - 1] + (SAME if a == b else OTHER)
            table[i, j] = max(0, step, table[i - 1, j] + GAP, table[i, j - 1] + GAP)
    return table


@pytest.mark.parametrize("seed", range(10))
def test_scores_are_those_of_the_plain_recursion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = (rng.integers(0, 4, n) for n in (30, 40))
    assert np.array_equal(_scores(one, other), _brute(list(one), list(other)))


def test_changed_words_left_out_words_and_words_between_are_told_apart() -> None:
    said, written = units_of(CHANGED), Written(units_of(BLURB))
    (found,) = near_passages(said, written)
    ours, theirs = sides(found, said, written.units)
    assert found.same == 25
    assert [p.text for p in ours if not p.same] == ["very", "hundred", "letters"]
    assert [p.text for p in theirs if not p.same] == ["thousand", "every letter"]
    assert " ".join(p.text for p in theirs).startswith("was raised on the")


def test_words_that_are_equal_throughout_are_the_longest_runs_business() -> None:
    assert near_passages(units_of(f"So. {BLURB}"), Written(units_of(BLURB))) == []


def test_ordinary_answers_are_no_recital_of_one_another() -> None:
    """Phrases that every assistant says, in another order, with other words between."""
    one = (
        "I am a large language model trained by a team of people, and I can help you with writing, "
        "coding and answering questions about many topics."
    )
    other = (
        "Hello, I am an assistant. As a large language model I can answer questions about science, help "
        "with coding, and do writing on many topics for people."
    )
    assert near_passages(units_of(one), Written(units_of(other))) == []


def test_cards_of_different_models_share_no_passage_and_a_card_edited_here_and_there_does() -> None:
    """They share their genre's phrases, and no source."""
    cards = [card.text for card in labelled_cards() if len(card.text) > 700][:16]
    texts = [units_of(text) for text in cards]
    pairs = [(other, Written(text)) for k, text in enumerate(texts) for other in texts[:k]]
    assert [near_passages(other, written) for other, written in pairs] == [[]] * len(pairs)
    words = cards[0].split()
    edited = units_of(" ".join(w for k, w in enumerate(words) if k % 9))
    assert near_passages(edited, Written(texts[0]))[0].same > 40


def test_of_an_answer_of_a_megabyte_twelve_windows_are_aligned_at_most() -> None:
    rng = np.random.default_rng(0)
    words = [f"w{k}" for k in rng.integers(0, 300, 120_000)]
    source = [f"w{k}" for k in rng.integers(0, 300, 40_000)]
    words[70_000:70_040] = [*source[900:920], "between", *source[921:940]]
    units, written = units_of(" ".join(words)), Written(units_of(" ".join(source)))
    windows = _windows(list(written.seeds(units.words)), units, written)
    assert len(windows) == MOST_WINDOWS
    assert max(last - first for first, last, _, _ in windows) <= LARGEST
    assert max(end - begin for _, _, begin, end in windows) <= LARGEST
    found = near_passages(units, written)
    assert [(p.same, p.said[0]) for p in found][:1] == [(39, 70_000)]


def test_one_phrase_ten_thousand_times_leads_nowhere_at_length() -> None:
    said = units_of("the quiet shelves of " * 10_000)
    written = Written(units_of("the quiet shelves of " * 10_000))
    assert list(written.seeds(said.words)) == []


def test_an_interview_shows_both_sides_with_what_differs(run: Run, serve: Serve, tmp_path: Path) -> None:
    blurb = tmp_path / "blurb.txt"
    blurb.write_text(BLURB)
    suspect, base = serve(Persona(shipped=CHANGED)), serve(Persona(shipped="I am an AI."))
    line = ("--samples", "4", "--condition", "shipped", "--language", "en", "--out", tmp_path / "o")
    options = ("--panel", base.url, "--recital", blurb, "--html", tmp_path / "page.html")
    done = run("interview", suspect.url, *line, *options, "--json", "-")
    assert done.code == 0, done.err
    recital = json.loads(done.out)["recital"]
    (near,) = recital["near"]
    assert (near["same"], near["answers"]) == (25, 4)
    assert recital["panel_near"] == {"panel-1": []}
    page = (tmp_path / "page.html").read_text()
    assert "<mark>hundred</mark>" in page
    assert "[hundred]" in run("interview", tmp_path / "o" / "suspect.jsonl", "--recital", blurb).out
