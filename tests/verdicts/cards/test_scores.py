"""The card's scores between those of two models, and beside measured ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from parentage.cards.claims.reading import read_card
from parentage.cards.claims.score_files import read_scores
from parentage.errors import CardError
from parentage.records.absence import Absent
from tests.verdicts.cards.weighing import audited, status, weighed

HEAD = "Base model: acme/Corvid-7B.\n\n"
HEAD += "| Benchmark | Finch-7B | Corvid-7B | Corvid-7B-Chat |\n|---|---|---|---|\n"
NAMES = ("MMLU", "GSM8K", "HellaSwag", "ARC-C", "IFEval", "BBH", "MBPP", "MATH")
BASE = (60.0, 40.0, 80.0, 50.0, 41.0, 51.0, 45.0, 20.0)
CHAT = (61.0, 55.0, 78.0, 58.0, 66.0, 53.0, 52.0, 31.0)


def table(own: tuple[float, ...]) -> str:
    rows = zip(NAMES, own, BASE, CHAT, strict=True)
    return HEAD + "".join(f"| {n} | {o:.1f} | {b} | {c} |\n" for n, o, b, c in rows)


def test_a_table_on_the_line_is_told_with_its_place() -> None:
    own = tuple(0.6 * c + 0.4 * b for b, c in zip(BASE, CHAT, strict=True))
    (line,) = weighed(table(own)).score_lines
    assert (line.first, line.second) == ("Corvid-7B-Chat", "Corvid-7B")
    assert not isinstance(line.weight, Absent)
    assert line.weight.low <= 0.6 <= line.weight.high
    assert isinstance(line.log_ratio, float)
    assert line.log_ratio > 3
    assert "the line explains it better" in line.sentence
    places = {p.benchmark: p.place for p in line.scores}
    assert places["ifeval"] == pytest.approx(0.6, abs=0.01)
    assert isinstance(places["bbh"], float)
    assert all(p.between for p in line.scores)


def test_a_table_of_even_gains_is_told_as_improvement() -> None:
    (line,) = weighed(table(tuple(b + 6 for b in BASE))).score_lines
    assert isinstance(line.log_ratio, float)
    assert line.log_ratio < -3


def test_the_parents_of_a_supported_merge_are_the_pair() -> None:
    own = tuple(0.6 * c + 0.4 * b for b, c in zip(BASE, CHAT, strict=True))
    text = table(own).replace("Base model: acme/Corvid-7B.", "Text.")
    assert weighed(text).score_lines == ()
    (line,) = weighed(text, audited("merge")).score_lines
    assert (line.first, line.second) == ("Corvid-7B-Chat", "Corvid-7B")


def test_scores_measured_by_others_support_or_leave_open_and_never_contradict(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(
        "model,benchmark,score,error,items\nFinch-7B,MMLU,60.4,,14042\nFinch-7B,GSM8K,20.0,1.1,\n"
    )
    text = "| Benchmark | Finch-7B |\n|---|---|\n| MMLU | 60.9 |\n| GSM8K | 55.0 |\n| BBH | 50 |\n"
    found = weighed(text, scores=read_scores(path))
    assert status(found, "benchmark", "MMLU=60.9") == "supported"
    assert status(found, "benchmark", "GSM8K=55") == "undetermined"
    assert status(found, "benchmark", "BBH=50") == "untested"


@pytest.mark.parametrize(
    ("locator", "own"), [("card.md", "Finch-7B"), ("models/finch-remake", "finch-remake")]
)
def test_a_measured_row_of_the_model_itself_is_on_no_line_with_itself(
    tmp_path: Path, locator: str, own: str
) -> None:
    path = tmp_path / "scores.csv"
    names, base = ("MMLU", "GSM8K", "BBH"), (60.0, 40.0, 51.0)
    rows = [f"acme/{own},{n},{b + 3:g}\n" for n, b in zip(names, base, strict=True)]
    rows += [f"acme/Corvid-7B,{n},{b:g}\n" for n, b in zip(names, base, strict=True)]
    path.write_text("model,benchmark,score\n" + "".join(rows))
    text = f"# Finch-7B\n\nBase model: acme/Corvid-7B.\n\n| B | S |\n|---|---|\n| MMLU | {own} |\n"
    reading = replace(read_card(text), locator=locator)
    assert weighed("", reading=reading, scores=read_scores(path)).score_lines == ()
    other = path.read_text() + "".join(
        f"acme/Corvid-7B-Chat,{n},{b + 5:g}\n" for n, b in zip(names, base, strict=True)
    )
    path.write_text(other)
    (line,) = weighed("", reading=reading, scores=read_scores(path)).score_lines
    assert (line.first, line.second) == ("acme/Corvid-7B-Chat", "acme/Corvid-7B")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "model,benchmark,score\nx,y,z\n",
        "model,benchmark,score\nx,,1\n",
        "model,benchmark,score\nx,y,nan\n",
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(CardError) as caught:
        read_scores(path)
    assert caught.value.code == "card-scores"
