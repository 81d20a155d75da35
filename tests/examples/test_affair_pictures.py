"""Pictures hold the numbers that they are given, and nothing of a label can run."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from examples.affair.pictures import Bar, bars, doses

ROWS = [Bar("raw: Nex", "#123", 0.79, 0.71, 0.86), Bar("shipped: <script>", "#456", 0.0, 0.0, 0.04)]


def test_lengths_are_in_the_ratio_of_the_values() -> None:
    root = ElementTree.fromstring(bars("t", ROWS))
    widths = [float(r.attrib["width"]) for r in root.iter() if r.tag.endswith("rect") and "x" in r.attrib]
    assert widths[0] > 100
    assert widths[1] == 0
    half = ElementTree.fromstring(bars("t", ROWS, most=2.0))
    first = next(r for r in half.iter() if r.tag.endswith("rect") and "x" in r.attrib)
    assert abs(float(first.attrib["width"]) * 2 - widths[0]) <= 0.2


def test_a_label_is_text_and_no_element() -> None:
    text = bars("a & b", ROWS)
    assert "<script>" not in text
    assert not re.search(r"(href|onload|src)=", text)
    labels = [e.text for e in ElementTree.fromstring(text).iter() if e.tag.endswith("text")]
    assert "shipped: <script>" in labels
    assert "79 %" in labels


def test_a_name_that_nobody_claims_still_has_an_interval() -> None:
    claimed = {"name": "nex", "claims": 6}
    points = [
        {"weight": 0.0, "asked": 24, "names": []},
        {"weight": 0.5, "asked": 0, "names": {"absent": "no answer came"}},
        {"weight": 1.0, "asked": 24, "names": [claimed, {"name": "rio", "claims": 9}]},
    ]
    none, some = doses({"points": points}, "nex")
    assert (none.label, none.value) == ("0.00 of Nex", 0.0)
    assert none.low == pytest.approx(0, abs=1e-12)
    assert 0.1 < none.high < 0.2
    assert some.value == 0.25
    assert some.low < 0.25 < some.high
