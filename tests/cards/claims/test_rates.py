"""The rates on the page are those of the rules as they are."""

from __future__ import annotations

from scripts.docs.make_cards import PAGE, with_rates


def test_the_rates_on_the_page_are_not_stale() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_rates(page) == page, "run scripts/docs/make_cards.py and commit the page"
