"""The page in a headless Chromium: it renders, fits a phone, runs no stranger's script."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from parentage.records.report import Report
from parentage.reports.html import render
from parentage.reports.wording import visible
from tests.reports.accessibility import CONTRAST, STRUCTURE
from tests.reports.large_world import large
from tests.reports.worlds import HOSTILE_NAMES, demo, empty, hostile, trained

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page, ViewportSize

pytestmark = pytest.mark.browser

PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1200, "height": 900}
WORLDS: tuple[Callable[[], Report], ...] = (demo, trained, hostile, empty, large)
ATTACKS = (
    "<img src=x onerror=\"document.title='owned'\">",
    "</td></table><script>document.title='owned'</script>",
    "model.\u202eweight.reversed",
    "\u2067isolated\u2069",
    "\x1b[2J\x1b]8;;https://example.org\x07link",
    "{{ 7 * 7 }}",
)


@dataclass
class Seen:
    """The open page and what went on in it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def dismiss(self, dialog: Dialog) -> None:
        self.errors.append(dialog.message)
        dialog.dismiss()

    def evaluate(self, expression: str) -> Any:
        return self.page.evaluate(expression)


Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium or chromium-browser on the path")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Open:
    """Opens a report's page in a context of its own; every request but the page's is an error."""

    @contextmanager
    def open_report(report: Report, size: ViewportSize, **options: Any) -> Iterator[Seen]:
        file = tmp_path / "report.html"
        file.write_text(render(report), encoding="utf-8")
        context = browser.new_context(viewport=size, **options)
        try:
            page = context.new_page()
            page.set_default_timeout(60_000)
            seen = Seen(page)
            page.on("console", lambda message: seen.errors.append(message.text))
            page.on("pageerror", lambda error: seen.errors.append(str(error)))
            page.on("dialog", seen.dismiss)
            page.on("request", lambda request: seen.requests.append(request.url))
            page.goto(file.as_uri())
            yield seen
        finally:
            context.close()

    return open_report


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_page_renders_fits_its_width_and_loads_nothing(
    opened: Open, world: Callable[[], Report], size: ViewportSize
) -> None:
    with opened(world(), size) as seen:
        assert seen.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert seen.page.locator("h1").inner_text().strip()
        assert seen.errors == []
        assert len(seen.requests) == 1


@pytest.mark.parametrize("world", [trained, large])
def test_unfolded_pages_fit_a_phone_too(opened: Open, world: Callable[[], Report]) -> None:
    with opened(world(), PHONE) as seen:
        seen.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert seen.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("world", [trained, hostile, pytest.param(large, marks=pytest.mark.slow)])
def test_a_printed_page_cuts_no_table_off(opened: Open, world: Callable[[], Report]) -> None:
    """A4 less its margins, upright for all but the table of tensors, which lies across."""
    upright: ViewportSize = {"width": 694, "height": 1010}
    across: ViewportSize = {"width": 1024, "height": 688}
    hide = "document.querySelectorAll('%s').forEach((e) => { e.hidden = true; })"
    for size, hidden in ((upright, "#tensors"), (across, "main > :not(#tensors)")):
        with opened(world(), size) as seen:
            seen.evaluate(hide % hidden)
            seen.page.emulate_media(media="print")
            assert seen.evaluate("document.documentElement.scrollWidth") <= size["width"]


@pytest.mark.parametrize("world", [demo, pytest.param(large, marks=pytest.mark.slow)])
def test_a_page_can_be_printed_and_is_no_book(opened: Open, world: Callable[[], Report]) -> None:
    with opened(world(), DESK) as seen:
        printed = seen.page.pdf(format="A4", prefer_css_page_size=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 5 <= pages <= 20


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_tensor_name_stays_text(opened: Open, name: str) -> None:
    report = demo()
    first, *others = report.tensors
    attacked = replace(report, tensors=(replace(first, name=name), *others))
    with opened(attacked, DESK) as seen:
        assert seen.page.locator("#tensors td.tensor").first.inner_text() == visible(name)
        assert seen.page.locator("img").count() == 0
        assert "owned" not in seen.page.title()
        assert seen.errors == []
        assert len(seen.requests) == 1


def test_no_hostile_text_becomes_an_element_even_after_use(opened: Open) -> None:
    with opened(hostile(), DESK) as seen:
        for place in seen.page.locator("td[title]").all()[:20]:
            place.hover()
        seen.page.locator("#tensors th button").first.click()
        assert seen.page.locator("img").count() == 0
        assert seen.page.locator("script").count() == 1
        assert seen.errors == []
        assert HOSTILE_NAMES[1] in seen.page.locator("main").inner_text()


def test_an_injected_script_or_image_would_be_refused_by_the_policy(opened: Open) -> None:
    with opened(demo(), DESK) as seen:
        seen.evaluate(
            "document.body.insertAdjacentHTML('beforeend',"
            ' \'<img src="data:,x" onerror="document.title=1"><iframe src="data:,x"></iframe>\')'
        )
        seen.page.wait_for_timeout(100)
        assert any("Content Security Policy" in error for error in seen.errors)
        assert seen.page.title() != "1"


def test_the_page_says_everything_without_scripts(opened: Open) -> None:
    with opened(trained(), PHONE, java_script_enabled=False) as seen:
        page = seen.page
        assert page.locator("h1").inner_text().startswith("demo-merge is a merge")
        assert page.locator("#tensors tbody tr").count() == len(trained().tensors)
        assert page.locator("#maps table.cells").first.is_visible()
        assert page.locator("#curve polyline").count() == 2
        assert page.locator("th button").count() == 0
        fold = page.locator("#curve details")
        fold.locator("summary").click()
        assert fold.locator("tbody tr").first.is_visible()


def _column(name: str) -> str:
    return (
        "(() => { const table = document.querySelector('#tensors table.searchable');"
        "const heads = Array.from(table.tHead.rows[0].cells).map((th) => th.textContent.trim());"
        f"const index = heads.indexOf('{name}');"
        "return Array.from(table.tBodies[0].rows).map((row) => row.cells[index].textContent.trim()); })()"
    )


def test_the_table_of_tensors_sorts_numbers_as_numbers_and_back(opened: Open) -> None:
    with opened(trained(), DESK) as seen:
        for name in ("match", "examined"):
            button = seen.page.locator("#tensors th button", has_text=name)
            button.click()
            up = [float(text.replace(",", "")) for text in seen.evaluate(_column(name))]
            button.click()
            down = [float(text.replace(",", "")) for text in seen.evaluate(_column(name))]
            assert up == sorted(up)
            assert down == sorted(up, reverse=True)
            assert up[0] < up[-1]


def test_what_was_not_measured_sorts_last_in_both_directions(opened: Open) -> None:
    with opened(demo(), DESK) as seen:
        button = seen.page.locator("#tensors th button", has_text="layer")
        button.click()
        up = seen.evaluate(_column("layer"))
        button.click()
        down = seen.evaluate(_column("layer"))
    assert (up[0], up[-1]) == ("0", "–")
    assert (down[0], down[-1]) == ("5", "–")


def test_the_search_leaves_only_the_tensors_that_fit(opened: Open) -> None:
    with opened(demo(), DESK) as seen:
        seen.page.locator(".search input").fill("layer.3.attention.self")
        assert seen.page.locator("#tensors tbody tr:visible").count() == 3


def test_the_search_opens_the_folds_that_hold_what_fits_and_hides_the_others(opened: Open) -> None:
    with opened(large(), DESK) as seen:
        folds = seen.page.locator("#tensors details.fold")
        every = folds.count()
        assert every == 60 + 27 + 1 + 1
        assert seen.page.locator("#tensors tbody tr:visible").count() == 0
        seen.page.locator(".search input").fill("layers.59.self_attn.q_proj")
        assert seen.page.locator("#tensors details.fold:visible").count() == 1
        assert seen.page.locator("#tensors tbody tr:visible").count() == 1
        seen.page.locator(".search input").fill("")
        assert seen.page.locator("#tensors details.fold:visible").count() == every


def test_folded_tensors_can_be_put_into_one_table_and_sorted(opened: Open) -> None:
    with opened(large(), DESK) as seen:
        seen.page.locator("button.together").click()
        assert seen.page.locator("#tensors details.fold").count() == 0
        assert seen.page.locator("#tensors tbody tr").count() == 2_924
        seen.page.locator("#tensors th button", has_text="match").click()
        shown = [float(text) for text in seen.evaluate(_column("match")) if text != "–"]
        assert shown == sorted(shown)
        assert seen.errors == []


def test_folded_tensors_can_be_read_without_scripts(opened: Open) -> None:
    with opened(large(), PHONE, java_script_enabled=False) as seen:
        fold = seen.page.locator("#tensors details.fold", has_text="model.language_model.layers.59").first
        fold.locator("summary").click()
        assert fold.locator("tbody tr:visible").count() == 15


def test_pointing_at_the_curve_and_at_a_cell_tells_the_numbers(opened: Open) -> None:
    with opened(demo(), DESK) as seen:
        chart = seen.page.locator("#curve svg.chart")
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        middle = (78 + 0.6 * (622 - 78)) / 640
        seen.page.mouse.move(box["x"] + middle * box["width"], box["y"] + box["height"] / 2)
        assert "weight 0.6 · suspect 1.0000" in seen.page.locator("#curve .readout").inner_text()
        seen.page.locator("#maps td.w6").first.hover()
        assert "0.6000 in 1 tensor" in seen.page.locator("#maps .readout").first.inner_text()


@pytest.mark.parametrize("world", WORLDS)
def test_headings_tables_and_pictures_can_be_told_by_a_screen_reader(
    opened: Open, world: Callable[[], Report]
) -> None:
    with opened(world(), DESK) as seen:
        assert seen.evaluate(STRUCTURE) == []


@pytest.mark.parametrize("world", [demo, trained, empty, pytest.param(large, marks=pytest.mark.slow)])
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_every_text_stands_out_from_what_lies_behind_it(
    opened: Open, world: Callable[[], Report], scheme: str
) -> None:
    with opened(world(), PHONE, color_scheme=scheme) as seen:
        assert seen.evaluate(CONTRAST) == []


def test_the_contrast_check_finds_a_text_that_is_too_faint(opened: Open) -> None:
    with opened(demo(), DESK) as seen:
        seen.evaluate("document.querySelector('h1').style.color = '#999'")
        assert any(finding.startswith("H1") for finding in seen.evaluate(CONTRAST))


def test_the_structure_check_finds_a_skipped_level_and_a_bare_table(opened: Open) -> None:
    with opened(demo(), DESK) as seen:
        seen.evaluate("document.querySelector('h2').outerHTML = '<h4>deep</h4>'")
        seen.evaluate("document.querySelector('table').deleteTHead()")
        findings = seen.evaluate(STRUCTURE)
    assert "heading “deep” skips a level" in findings
    assert "table 0 has no head" in findings


def test_every_cell_of_a_map_can_be_reached_by_its_reading(opened: Open) -> None:
    with opened(large(), DESK) as seen:
        cell = (
            seen.page.locator("#maps table.cells tbody tr", has_text="59").first.locator("td[title]").first
        )
        cell.hover()
        assert (
            "59 · attention.q: 0.5714 in 1 tensor" in seen.page.locator("#maps .readout").first.inner_text()
        )


def test_the_widest_map_of_the_largest_model_fits_a_desk_and_nearly_a_phone(opened: Open) -> None:
    widths = []
    for size in (DESK, PHONE):
        with opened(large(), size) as seen:
            widths.append(
                seen.evaluate(
                    "(() => { const map = document.querySelector('#maps .scroll');"
                    "return [map.scrollWidth, map.clientWidth]; })()"
                )
            )
    (desk, desk_room), (phone, phone_room) = widths
    assert desk <= desk_room
    assert phone <= phone_room * 1.1


def test_no_text_is_smaller_than_can_be_read_on_a_phone(opened: Open) -> None:
    with opened(demo(), PHONE) as seen:
        heights = seen.evaluate(
            "Array.from(document.querySelectorAll('svg.chart text'))"
            ".map((text) => text.getBoundingClientRect().height).filter((height) => height > 0)"
        )
    assert min(heights) >= 11


def test_the_page_is_dark_where_the_reader_asks_for_it(opened: Open) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        with opened(demo(), DESK, color_scheme=scheme) as seen:
            grounds.append(seen.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(253, 253, 251)", "rgb(22, 24, 26)"]
