"""``docs/reports.md`` tells what the program shows: its example, its headings, its limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from parentage.reports.charts import SHARP
from parentage.reports.headline import facts
from parentage.reports.html import render
from parentage.reports.tensor_table import TABLE_LIMIT
from parentage.reports.wording import status_words, visible
from tests.golden.cases import CASES, FOLDER, expected, masked
from tests.reports.large_world import large
from tests.reports.worlds import demo, trained

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reports.md"


def _text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


def test_the_example_is_what_the_program_prints() -> None:
    found = re.search(r"^```text\n(.*?)^```$", _text(), re.M | re.S)
    assert found is not None
    golden = (FOLDER / "merge.report.txt").read_text(encoding="utf-8")
    assert golden in {p.read_text(encoding="utf-8") for p in expected(CASES["merge"])}
    assert masked(found[1]) == masked(golden)


def test_every_section_of_the_page_is_explained() -> None:
    explained = " ".join(re.findall(r"^## (.+)$", _text(), re.M))
    for heading in re.findall(r"<h2>(.*?)</h2>", render(large())):
        assert heading.replace("&#39;", "'") in explained


@pytest.mark.parametrize("world", [demo, trained])
def test_every_figure_of_the_head_is_explained(world: object) -> None:
    for fact in facts(world()):  # type: ignore[operator]
        assert f"**{fact.name}**" in _text()


@pytest.mark.parametrize("status", ["supported", "contradicted", "undetermined"])
def test_every_status_is_explained(status: str) -> None:
    assert f"*{status_words(status).split(' by ')[0]}" in _text()


def test_its_numbers_are_the_programs() -> None:
    text = _text()
    assert f"Below {SHARP} the highest point is no estimate" in text
    assert f"lists {TABLE_LIMIT:,} tensors at most" in text
    stated = re.search(r"2,924 tensors it measures ([\d.]+) MB", text)
    assert stated is not None
    assert abs(len(render(large()).encode()) / 1e6 - float(stated[1])) < 0.15
    assert f"`{visible(chr(0x202E))}`" in text
