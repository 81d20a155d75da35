"""docs/methods.md is what its script writes, and its counts hold for every method that a tool has."""

from __future__ import annotations

import json

from scripts.docs.make_methods import COUNTS, PAGE, page
from tests.methods.recipes import cases

from parentage.methods.registry import method, names


def test_the_page_is_the_one_that_the_registry_and_the_counts_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m scripts.docs.make_methods"


def test_every_method_of_the_tool_is_counted_in_every_dtype() -> None:
    rows = json.loads(COUNTS.read_text())["rows"]
    counted = {(r["method"], r["dtype"]) for r in rows}
    wanted = {n for n in names() if "mergekit-0.1.5" in method(n).profiles}
    assert counted == {(n, d) for n in wanted for d in ("BF16", "F16", "F32")}
    assert all(0 <= r["off"] <= r["elements"] and r["elements"] > 2_000_000 for r in rows)


def test_the_number_of_recipes_that_the_page_tells_is_that_of_the_fixtures() -> None:
    assert f"{len(cases())} recipes of mergekit 0.1.5" in page()
