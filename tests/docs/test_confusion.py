"""The confusion matrix is that of the committed rows, which are of recipes as they are drawn now."""

from __future__ import annotations

import re

import pytest
from scripts.docs.confusion import DATA, KINDS, RELATION_OF, confusion, false_merges, load
from tests.recognition.confusion.draws import DRAWS, NULLS, digest_of, draw

from parentage.methods.registry import names
from parentage.records.relations import RELATIONS

ROWS = load()
NO_MERGE = {*NULLS, "adapter"}


def test_nothing_that_is_no_merge_was_called_one() -> None:
    assert {row["true"] for row in ROWS.values()} >= NO_MERGE
    assert false_merges(ROWS) == []


@pytest.mark.parametrize("null", sorted(NO_MERGE))
@pytest.mark.parametrize("relation", ["linear-merge", "ties-merge", "passthrough-merge"])
def test_a_merge_told_of_what_is_none_would_be_counted(null: str, relation: str) -> None:
    row = {"true": null, "status": "supported", "relation": relation}
    assert false_merges({"x": row}) == ["x"]
    assert false_merges({"x": row | {"status": "undetermined"}}) == []


def test_rows_are_of_recipes_as_they_are_drawn_now() -> None:
    for name, row in ROWS.items():
        method, number = name.rsplit("-", 1)
        assert (row["true"], row["recipe"]) == (method, digest_of(draw(method, int(number)))), name


def test_the_cells_of_each_row_add_up_to_its_suspects() -> None:
    text = "".join(confusion({}))
    matrix = text[text.index("### Made as") :]
    for line in matrix.splitlines()[2:]:
        method, *cells = (c.strip() for c in line.strip("|").split("|"))
        if method in DRAWS:
            counts = [int(n) for cell in cells for n in re.findall(r"\d+", cell)]
            assert sum(counts) == sum(row["true"] == method for row in ROWS.values()), method


def test_every_method_that_other_tools_have_is_drawn() -> None:
    # Adapters merged with each other are no models.
    drawn = {n for n in names() if n not in KINDS.values() and not n.startswith("adapter_")}
    assert drawn <= set(DRAWS)
    assert set(RELATION_OF) == set(DRAWS)
    assert set(RELATION_OF.values()) <= set(RELATIONS)


def test_the_rows_are_in_the_order_of_their_names() -> None:
    assert list(ROWS) == sorted(ROWS), DATA


def test_the_one_table_tells_bits_rates_and_a_suspects_numbers_with_their_intervals() -> None:
    text = "".join(confusion({"slerp": "0.999"}))
    (line,) = (x for x in text.splitlines() if x.startswith("| slerp |") and "0.999" in x)
    cells = [c.strip() for c in line.strip("|").split("|")]
    mine = [row for row in ROWS.values() if row["true"] == "slerp"]
    right = sum((r["status"], r["relation"]) == ("supported", "slerp-merge") for r in mine)
    assert cells[1:4] == ["0.999", str(len(mine)), cells[3]]
    assert cells[3].startswith(f"{right} of {len(mine)} (")
    shown = next(r["numbers"][0] for r in mine if r.get("numbers"))
    assert cells[-1].startswith(f"t {shown['true']:.4g} → {shown['value']:.6g} ({shown['low']:.8g} to ")
