"""Whole dossiers, kept: a change in what a reader sees is seen in review."""

from __future__ import annotations

from tests.golden.cases import masked
from tests.golden.dossiers import FOLDER, PAGE, expected, shown


def test_saved_evidence_answers_and_cards_give_the_dossiers_that_they_gave() -> None:
    made = expected()
    assert set(FOLDER.iterdir()) == set(made)
    for path, text in made.items():
        assert masked(text) == masked(path.read_text(encoding="utf-8")), (
            f"{path.name} differs; if that is intended: python -m tests.golden.dossiers"
        )


def test_the_page_on_dossiers_shows_the_golden_one() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "<!-- golden -->" in page
    assert shown(page) == page


def test_only_the_undisclosed_merge_is_accused_of_anything() -> None:
    high = {name: "[high]" in (FOLDER / f"{name}.txt").read_text() for name in ("disclosed", "look-alike")}
    assert high == {"disclosed": False, "look-alike": False}
    assert "[high]" in (FOLDER / "undisclosed.txt").read_text()
