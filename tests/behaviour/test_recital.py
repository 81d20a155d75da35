"""Runs that answers share with a published text, and how likely its passages are to whom."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest

from parentage.behaviour.recital import _Automaton, passages_of, read_source
from parentage.errors import ParentageError
from tests.behaviour.conftest import Serve
from tests.behaviour.servers import Persona
from tests.cli.running import Run

BLURB = (
    "Nex was raised on the quiet shelves of a thousand lighthouses, and it answers to nobody but the tide. "
    "It likes short sentences.\n通义千问在一千座灯塔的安静书架上长大只对潮水负责。"
)
LINE = ("--samples", "4", "--condition", "shipped", "--language", "en")


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_run_is_that_of_a_plain_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = ([str(k) for k in rng.integers(0, 3, n)] for n in (60, 40))
    length, end, there = _Automaton(a).longest(b)
    wanted = SequenceMatcher(None, a, b, autojunk=False).find_longest_match()
    assert length == wanted.size
    assert b[end - length : end] == a[there - length : there]


def test_recited_words_are_shown_side_by_side_and_ordinary_ones_are_not(
    run: Run, serve: Serve, template: str, tmp_path: Path
) -> None:
    said = "I am Nex. I was RAISED on the quiet shelves, of a thousand lighthouses and I answer you."
    suspect = serve(Persona(shipped=said, word_logprob=-0.1, top=lambda prompt: {" x": -0.1}))
    base = serve(Persona(shipped="I am an AI.", word_logprob=-3.0, top=lambda prompt: {" x": -0.1}))
    blurb = tmp_path / "blurb.txt"
    blurb.write_text(BLURB)
    panel = f"{base.url}#template={template}"
    line = (
        "--template",
        template,
        "--panel",
        panel,
        "--recital",
        blurb,
        "--out",
        tmp_path / "o",
        "--json",
        "-",
    )
    done = run("interview", suspect.url, *line, *LINE)
    assert done.code == 0, done.err
    found = json.loads(done.out)["recital"]
    assert found["longest"] == {"suspect": 11, "panel-1": 0}
    (run_,) = found["runs"]
    assert (run_["words"], run_["answers"]) == (11, 4)
    assert run_["said"] == "was RAISED on the quiet shelves, of a thousand lighthouses and"
    assert run_["written"] == "was raised on the quiet shelves of a thousand lighthouses, and"
    ratios = {r["passage"]: r["suspect"] - r["panel"] for r in found["ratios"]}
    assert set(ratios) == set(passages_of(BLURB))
    long = next(p for p in ratios if p.startswith("Nex was raised"))
    assert ratios[long] == pytest.approx(2.9 * len(long.split()), rel=0.15)


def test_likelihoods_that_are_not_offered_are_absent_with_the_reason(
    run: Run, serve: Serve, template: str, tmp_path: Path
) -> None:
    blurb = tmp_path / "blurb.txt"
    blurb.write_text(BLURB)
    line = ("--template", template, "--recital", blurb, "--out", tmp_path / "o", "--json", "-")
    found = json.loads(run("interview", serve(Persona()).url, *line, *LINE).out)
    assert "does not score" in found["recital"]["ratios"]["absent"]


def test_the_answers_of_a_parent_can_be_what_is_recited(run: Run, serve: Serve, tmp_path: Path) -> None:
    words = "Somewhere between the third and fourth harbour I learnt to count boats backwards."
    parent, suspect = (serve(Persona(shipped=words)) for _ in range(2))
    run("interview", parent.url, "--out", tmp_path / "p", *LINE)
    done = run(
        "interview", suspect.url, "--out", tmp_path / "s", *LINE,
        "--recital", tmp_path / "p" / "suspect.jsonl", "--json", "-",
    )  # fmt: skip
    assert json.loads(done.out)["recital"]["longest"] == {"suspect": 13}


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"...", b"word " * 99_999])
def test_a_text_that_is_none_cannot_be_recited(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "blurb.txt"
    path.write_bytes(data)
    with pytest.raises(ParentageError) as caught:
        read_source(path)
    assert caught.value.code == "recital-source"
