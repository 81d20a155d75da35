"""The page on interviews shows the kept panels as this version reads them."""

from __future__ import annotations

from scripts.docs.make_panel import PAGE, PANELS, page


def test_the_page_shows_the_panels_as_they_are_read_now() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("\nSuspect against panel") == len(PANELS)
    assert page(text) == text, "run python -m scripts.docs.make_panel"
