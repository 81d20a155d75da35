"""The page on interviews shows the kept panel as this version reads it."""

from __future__ import annotations

from scripts.docs.make_panel import PAGE, page


def test_the_page_shows_the_panel_as_it_is_read_now() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "Suspect against panel" in text
    assert page(text) == text, "run python -m scripts.docs.make_panel"
