"""The Rio page shows what its script prints, and says no more than its tables do."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts" / "cases"
PAGE = (ROOT / "docs" / "cases" / "rio.md").read_text(encoding="utf-8")
MODULES = ("published", "study", "tables")


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The modules beside the script, which are no package."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield {name: __import__(name) for name in MODULES}
    for name in MODULES:
        sys.modules.pop(name, None)


def shown(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", PAGE, flags=re.DOTALL)
    assert found is not None, f"the page has no section {name}"
    return found[1]


def printed(name: str, *more: str) -> str:
    command = [sys.executable, str(SCRIPTS / "rio.py"), name, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["table", "curve", "norms"])
def test_the_page_shows_what_the_script_prints(name: str) -> None:
    assert printed(name) == f"<!-- {name} -->\n{shown(name)}\n<!-- /{name} -->"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["interval", "sensitivity", "training"])
def test_the_page_shows_what_the_long_sections_print(name: str) -> None:
    assert printed(name) == f"<!-- {name} -->\n{shown(name)}\n<!-- /{name} -->"


@pytest.mark.slow
@pytest.mark.real
def test_the_page_shows_what_is_measured_on_real_weights(family: Path) -> None:
    found = printed("real", "--family", str(family.resolve()))
    assert found == f"<!-- real -->\n{shown('real')}\n<!-- /real -->"


def test_every_published_figure_is_on_the_page(cases: dict[str, ModuleType]) -> None:
    table = shown("table")
    for figure in cases["published"].PUBLISHED:
        assert f"| {figure.name} | {figure.alpha:.3f} / {figure.cosine:.3f} |" in table


def test_the_interval_in_the_text_is_that_of_the_table() -> None:
    last = shown("interval").splitlines()[-1]
    assert "0.5625 to 0.5667" in last
    assert "9/16 = .5625 and 17/30 = .5667" in PAGE
    assert round(17 / 30, 4) == 0.5667


def test_the_text_says_that_it_is_no_verdict_and_how_to_get_one() -> None:
    assert "**not a verdict**" in PAGE
    command = re.search(r"parentage audit .*?\n.*?\n", PAGE)
    assert command is not None
    help_text = subprocess.run(
        [str(Path(sys.executable).with_name("parentage")), "audit", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    options = [*re.findall(r"(?<=\s)--?[a-z]+", command[0]), "--no-digests"]
    assert {"-p", "-c", "--sample", "--html"} <= set(options)
    for option in options:
        assert option in help_text, option


def test_the_routers_of_the_middle_moved_least_as_the_text_says() -> None:
    rows = [line.split(" | ") for line in shown("table").splitlines() if line.startswith("| router")]
    size = {row[0].removeprefix("| "): float(row[2].removesuffix(" %")) for row in rows}
    assert sorted(size, key=lambda name: size[name])[:2] == ["router, layer 15", "router, layer 30"]
    assert max(size, key=lambda name: size[name]) == "router, layer 59"


def test_no_delta_lets_sixty_percent_read_as_published(cases: dict[str, ModuleType]) -> None:
    study = cases["study"]
    read = study.curve(study.MAIN, 0.6).figures[:, 0]
    assert read.min() > 0.5999
    low = [f for f in cases["published"].PUBLISHED if f.alpha < 0.5999]
    assert len(low) == 9


def test_turning_points_worked_by_hand(cases: dict[str, ModuleType]) -> None:
    # One step turns at 1/2; two at 1/4 and 3/4; three at 1/6, 1/2 and 5/6.
    assert cases["study"].turning_points(0, 1, 2) == [0.25, 0.5, 0.75]
    assert cases["study"].turning_points(0, 0.4, 3) == [1 / 6, 0.25]
    grid = cases["study"].grid_around(0.2, 0.3, 0.05, 2)
    assert grid == [0.2, 0.25 - 1e-6, 0.25 + 1e-6, 0.3]


def test_errors_of_published_rows_add_printing_spread_and_sampling(cases: dict[str, ModuleType]) -> None:
    rows = {r.name: r for r in cases["published"].as_rows()}
    printing = 0.001 / math.sqrt(12)
    assert rows["lm_head"].alpha_error == pytest.approx(printing)
    assert rows["experts"].alpha_error == pytest.approx(math.hypot(printing, 0.0016))
    gate = rows["shared-expert gate, layer 30"]
    # Noise over signal is tan of the angle whose cosine was published; 4,096 elements.
    assert gate.alpha_error == pytest.approx(
        math.hypot(printing, 0.581 * math.tan(math.acos(0.988)) / 64), rel=1e-6
    )


def test_sections_are_replaced_in_a_page_and_nothing_else_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- norms -->\nold\n<!-- /norms -->\nafter\n", encoding="utf-8")
    printed("norms", "--into", str(page))
    assert page.read_text(encoding="utf-8") == (
        f"before\n<!-- norms -->\n{shown('norms')}\n<!-- /norms -->\nafter\n"
    )


def test_an_unknown_section_is_refused() -> None:
    command = [sys.executable, str(SCRIPTS / "rio.py"), "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "nonsense" in done.stderr
