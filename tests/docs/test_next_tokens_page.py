"""Error rates of next tokens: the pages and the report say what the kept measurements say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scipy import stats
from scripts.docs.make_next_tokens import (
    LATER,
    LINE,
    PAGES,
    WAYS,
    descent_rows,
    page,
    placed_of,
    told_apart,
)

from parentage.verdicts.dossier.next_tokens import (
    ALONG_COVERS,
    CLOSER_ERRS,
    LATER_PLACED,
    NOISE,
    PLACED,
    TRAINED,
    UNMERGED_PLACED,
)


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_the_tables_are_those_of_the_kept_measurements(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    mark, lines = PAGES[path]
    assert page(text, mark, lines()) == text, "run python -m scripts.docs.make_next_tokens"
    assert text.count(f"<!-- {mark}:") == 1


def test_the_report_quotes_the_rates_of_trained_children() -> None:
    rows = descent_rows()
    assert len({r["suspect"] for r in rows}) == 80
    for other, counts in TRAINED.items():
        said = told_apart(rows, "its base", other)
        assert (said[other], said.total()) == counts
        assert f"{counts[0]} of {counts[1]} times" in CLOSER_ERRS
    assert f"{NOISE['a sibling'][0]} of {NOISE['a sibling'][1]} times" in CLOSER_ERRS


def test_another_base_is_told_nearer_no_oftener_than_the_test_allows() -> None:
    wrong, total = TRAINED["another base"]
    assert stats.binomtest(wrong, total, 0.01, alternative="greater").pvalue > 0.05
    wrong, total = TRAINED["a sibling"]
    assert stats.binomtest(wrong, total, 0.01, alternative="greater").pvalue > 0.05


def test_the_report_quotes_how_often_places_were_right() -> None:
    assert set(PLACED) == set(WAYS)
    for way, counts in PLACED.items():
        right, placed, _ = placed_of(way, (0,))
        assert (right, placed) == counts
        assert f"{right} of {placed}" in ALONG_COVERS
    every = [placed_of(way, LATER) for way in WAYS]
    assert (sum(p for _, p, _ in every), sum(n for _, _, n in every)) == LATER_PLACED
    assert f"{LATER_PLACED[0]} of {LATER_PLACED[1]}" in ALONG_COVERS


def test_no_relative_that_is_no_merge_was_given_a_place() -> None:
    rows = json.loads((LINE.parent / "line-unmerged.json").read_text("utf-8"))
    placed = [r for r in rows if r["low"] is not None]
    assert (len(placed), len(rows)) == UNMERGED_PLACED
    assert f"{len(placed)} of {len(rows)} relatives" in ALONG_COVERS
    assert min(r["off"] for r in rows) == pytest.approx(0.024, abs=5e-4)


@pytest.mark.parametrize("way", WAYS)
def test_intervals_hold_the_share_of_a_merge_as_often_as_they_say(way: str) -> None:
    right, placed, total = placed_of(way, (0,))
    assert total >= 40
    assert placed >= 0.9 * total
    assert stats.binomtest(right, placed, 0.95, alternative="less").pvalue > 0.05


@pytest.mark.parametrize("way", WAYS)
def test_a_merge_that_was_trained_on_is_seldom_given_a_place(way: str) -> None:
    _, placed, total = placed_of(way, LATER)
    assert total >= 40
    assert placed <= 0.1 * total
