"""What the HTML page must never let through, and that it stands alone."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parentage.records.absence import Absent
from parentage.records.report import NotExamined, Report, Rival, TensorVerdict
from parentage.reports.html import render
from parentage.reports.wording import clipped
from tests.reports.large_world import large
from tests.reports.page import OUR_ELEMENTS, Page
from tests.reports.worlds import HOSTILE_NAMES, demo, empty, hostile, trained

WORLDS: tuple[Callable[[], Report], ...] = (demo, trained, hostile, empty, large)
SECTIONS = frozenset(
    {"weights", "maps", "curve", "replay", "rivals", "later", "controls"}
    | {"coverage", "limits", "inputs", "verify", "glossary", "tensors"}
)


def _with_name(name: str) -> Report:
    report = demo()
    first, *others = report.tensors
    return replace(report, tensors=(replace(first, name=name, component=name, relation=name), *others))


@pytest.mark.parametrize("world", WORLDS)
def test_every_report_gives_balanced_markup_of_known_elements(world: Callable[[], Report]) -> None:
    page = Page(render(world()))
    assert page.open == []
    assert set(page.elements) <= OUR_ELEMENTS


@pytest.mark.parametrize("world", WORLDS)
def test_ids_are_unique_and_every_link_stays_inside_the_page(world: Callable[[], Report]) -> None:
    page = Page(render(world()))
    assert len(set(page.ids)) == len(page.ids)
    links = [value for tag, name, value in page.attributes if tag == "a" and name == "href"]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(page.ids)


@pytest.mark.parametrize("world", WORLDS)
def test_nothing_in_the_page_can_load_or_run(world: Callable[[], Report]) -> None:
    page = Page(render(world()))
    names = {name for _, name, _ in page.attributes}
    assert not names & {"src", "srcset", "style", "action", "formaction", "data", "xlink:href"}
    assert not [name for name in names if name.startswith("on")]
    assert page.elements.count("script") == page.elements.count("style") == 1


@pytest.mark.parametrize("world", WORLDS)
def test_every_section_is_there_even_where_nothing_was_measured(world: Callable[[], Report]) -> None:
    assert set(Page(render(world())).ids) >= SECTIONS


def test_the_policy_names_the_digests_of_the_style_and_script_that_are_there() -> None:
    text = render(demo())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    allowed = policy[1].replace("&#39;", "'")
    assert allowed.startswith("default-src 'none'; ")
    assert "unsafe" not in allowed
    for element in ("style", "script"):
        inside = re.search(rf"<{element}>(.*?)</{element}>", text, re.S)
        assert inside is not None
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in allowed


def test_our_style_and_script_cannot_end_their_element_early() -> None:
    folder = files("parentage.reports").joinpath("templates")
    assert "</" not in folder.joinpath("report.css").read_text(encoding="utf-8")
    script = folder.joinpath("report.js").read_text(encoding="utf-8")
    assert "</" not in script
    assert "<!--" not in script
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", script
    )


def test_no_template_switches_escaping_off() -> None:
    for template in files("parentage.reports").joinpath("templates").iterdir():
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe\b|autoescape|Markup|\bxmlattr\b", text), template.name


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_text_wherever_it_stands(name: str) -> None:
    page = Page(render(_with_name(name)))
    assert clipped(name, 160) in "".join(page.texts)
    assert set(page.elements) <= OUR_ELEMENTS
    assert page.elements.count("script") == 1


def test_characters_that_hide_or_reorder_are_written_out() -> None:
    for character in Page(render(hostile())).text:
        assert character.isprintable()


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=60))
def test_any_text_at_all_leaves_the_structure_as_it_was(text: str) -> None:
    plain = Page(render(_everywhere("x")))
    page = Page(render(_everywhere(text)))
    assert page.elements.count("script") == 1
    # A dotted name gets places to break, and nothing else.
    assert [e for e in page.elements if e != "wbr"] == [e for e in plain.elements if e != "wbr"]


def _everywhere(text: str) -> Report:
    report = empty()
    tensor = TensorVerdict(text, text, 0, text, 1, (), Absent(text), Absent(text), Absent(text), text)
    return replace(
        report,
        verdict=replace(report.verdict, sentence=text, rivals=(Rival(text, text),), limits=(text,)),
        suspect=replace(report.suspect, locator=text),
        coverage=replace(report.coverage, not_examined=(NotExamined(text, text),)),
        tensors=(tensor,),
        used={"key": [text, {"deep": text}]},
        notes=(text,),
    )
