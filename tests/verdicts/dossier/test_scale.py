"""Grades rest on counts that stand in the pages, and are never rounded towards the stronger claim."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from parentage.numerics.shares.intervals_binomial import clopper_pearson
from parentage.records.dossier import GRADES
from parentage.reports.dossier_text import GRADE_WORDS, confidence_words
from parentage.verdicts.dossier.scale import IDENTITY, OBSERVED, OPEN, RATES, Rate, grade_of

ROOT = Path(__file__).resolve().parents[3]
RELATIONS = (ROOT / "docs" / "relations.md").read_text(encoding="utf-8")
CALIBRATION = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
PAGE_OF_METHODS = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
# Merges by other rules than a weighted sum.
METHODS = (
    *("slerp", "nuslerp", "multislerp", "karcher", "task_arithmetic", "ties"),
    *("breadcrumbs", "breadcrumbs_ties", "dare_linear", "dare_ties", "della", "della_linear"),
    *("model_stock", "sce", "arcee_fusion", "nearswap"),
)
ROW = re.compile(r"^\| [^|]+ \| ([\d,]+) of ([\d,]+) \| ([\d,]+) of ([\d,]+) \| (\d+) \|$", re.M)


def test_the_page_tells_every_rate_with_its_ratio_rounded_down() -> None:
    told = [tuple(int(n.replace(",", "")) for n in row) for row in ROW.findall(RELATIONS)]
    assert told == [(r.told, r.true, r.wrong, r.false, math.floor(r.least_ratio)) for r in RATES.values()]


def test_counts_are_those_of_the_calibration() -> None:
    assert re.search(r"^\| pure \| 500 \| 500/500 \| \S+ \| 498/500 \|", CALIBRATION, re.M)
    changed = CALIBRATION.split("### Merges changed later")[1].split("\n\n")[2]
    rows = re.findall(r"^\| (?!large)\S+ \| 125 \| (\d+)/125 \| (\d+)/125 \|", changed, re.M)
    assert len(rows) == 10
    assert sum(int(found) for found, _ in rows) == RATES["changed-merge"].told
    assert sum(int(detected) for _, detected in rows) == RATES["detected"].told
    fresh = CALIBRATION.split("### Drawn by one version")[1].split("###")[0]
    cells = re.findall(
        r"^\| ([a-z -]+) \| (\d+) \| \d+ \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", fresh, re.M
    )
    audits = {kind: int(n) for kind, n, *_ in cells}
    assert len(audits) == 11
    # What is told falsely is no merge, no training and no clean bill.
    assert {tuple(events[:3]) for _, _, *events in cells} == {("0", "0", "0")}
    told_falsely = {kind: int(last) for kind, *_, last in cells}
    assert RATES["fine-tune"].wrong == told_falsely["other-fine-tune"]
    for statement in ("pure-merge", "changed-merge"):
        assert audits["all never merged"] == RATES[statement].false
    assert audits["all"] == RATES["detected"].false
    assert audits["missing-parent"] + audits["other-revision"] == RATES["not-detected"].false
    # Of a fine-tune it is true where a parent was trained on, and where the base is among the models given.
    true = audits["trained-on"]
    beside = re.search(r"(\d+) of the other fine-tunes\s+had their base", fresh)
    assert beside is not None
    assert audits["all"] - true - int(beside[1]) == RATES["fine-tune"].false
    assert f"of {true} parents trained on, {RATES['fine-tune'].told} are told" in fresh
    told = re.findall(rf"^\| ({'|'.join(METHODS)}) \| [^|]+ \| 20 \| (\d+) of 20 ", PAGE_OF_METHODS, re.M)
    assert [name for name, _ in told] == list(METHODS)
    assert (sum(int(n) for _, n in told), 20 * len(told)) == (
        RATES["method-merge"].told,
        RATES["method-merge"].true,
    )
    assert audits["all never merged"] == RATES["method-merge"].false
    assert "Of the 125 quantised copies 124 are told" in CALIBRATION
    assert "76 are told, every weight in its interval" in CALIBRATION


def test_a_ratio_is_the_least_power_over_the_largest_error() -> None:
    rate = Rate(50, 100, 0, 100)
    # With none seen, the one-sided 95 % bound is 1 - .05 ** (1 / n).
    assert rate.least_ratio == pytest.approx(clopper_pearson(50, 100, level=0.9)[0] / (1 - 0.05**0.01))
    assert Rate(50, 100, 1, 100).least_ratio < rate.least_ratio < Rate(50, 100, 0, 200).least_ratio


@pytest.mark.parametrize(
    ("ratio", "grade"),
    [(1.9, "none"), (2, "weak"), (9.99, "weak"), (10, "moderate"), (100, "moderately-strong")],
)
def test_a_grade_begins_where_the_scale_says(ratio: float, grade: str) -> None:
    assert grade_of(ratio) == grade
    assert [grade_of(r) for r in (1e3, 1e4, 1e6)] == ["strong", "very-strong", "extremely-strong"]


def test_what_a_model_calls_itself_is_at_most_weak() -> None:
    assert (IDENTITY.grade, IDENTITY.bound) == ("weak", "at-most")
    assert confidence_words(IDENTITY) == "at most weak support (likelihood ratio at most 7.8)"


def test_every_grade_has_words_and_is_explained() -> None:
    assert set(GRADE_WORDS) == set(GRADES)
    scale = RELATIONS.split("## How sure a finding is")[1].split("\n## ")[0]
    assert [w for g, w in GRADE_WORDS.items() if g != "none" and w not in scale] == []
    assert (OBSERVED.grade, OPEN.grade) == ("observed", "not-graded")
