"""Pages hold to the program and to each other: links, commands, names, quotations."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click
import pytest
from typer.main import get_command

from parentage import api
from parentage.cli.failures import usage_of
from parentage.cli.main import app
from parentage.records.relations import RELATIONS
from parentage.verdicts import readings
from parentage.verdicts.blends import blend_tests, post_training
from parentage.verdicts.relations import ancestors, leaning, neighbours

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "scripts").rglob("*.md")])
RELATIONS_PAGE = ROOT / "docs" / "relations.md"
VERDICTS = ROOT / "src" / "parentage" / "verdicts"
LIMITS_PAGE = ROOT / "docs" / "limits.md"

# Places that only exist on one machine; a reader's own are written as ./model or build/.
MACHINE_PATHS = re.compile(r"(?<![\w.])(/(home|root|Users|work|tmp|var|mnt|opt)/|[A-Z]:\\|file://)")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _prose(text: str) -> str:
    """The page without its code, where brackets are no links."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))


def _anchors(page: Path) -> set[str]:
    """Ids that a heading gets on the usual forges."""
    headings = re.findall(r"^#+ (.+)$", _text(page), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def _links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", _prose(_text(page)))


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead to no file, or to no heading of one."""
    broken = []
    for link in _links(page):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    return broken


def commands_shown(text: str) -> Iterator[list[str]]:
    """Arguments of each line that begins with ``parentage``, a prompt or not, lines continued or not."""
    joined = re.sub(r"\\\n\s*", " ", text)
    for line in re.findall(r"^(?: {4,}|\$ |)(parentage .+)$", joined, re.M):
        words = shlex.split(line, comments=True)
        ends = [i for i, word in enumerate(words) if word in ("|", ">", ">>", "&&", ";")]
        yield words[1 : min(ends, default=len(words))]


def refusal(arguments: list[str]) -> str:
    """Why the command line does not take these arguments; empty when it does."""
    if "--help" in arguments:
        return ""
    command = cast(click.Group, get_command(app)).commands.get(arguments[0])
    if command is None:
        return f"no command {arguments[0]}"
    try:
        command.make_context(arguments[0], arguments[1:])
    except Exception as error:
        usage = usage_of(error)
        if usage is None:
            raise
        return usage.message
    return ""


@every_page
def test_every_relative_link_leads_to_a_file_and_to_its_heading(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_to_nothing_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A heading\n[a](page.md#a-heading) [b](#gone) [c](gone.md) `[d](code.md)`\n")
    assert broken_links(page) == ["#gone", "gone.md"]


@every_page
def test_every_command_that_is_shown_can_be_typed(page: Path) -> None:
    refused = {" ".join(c): why for c in commands_shown(_text(page)) if (why := refusal(c))}
    assert refused == {}


def test_commands_are_found_and_wrong_ones_noticed() -> None:
    text = "$ parentage audit S \\\n    --no-such\n    parentage report r.json | head\nparentage forge\n"
    first, second, third = commands_shown(text)
    assert second == ["report", "r.json"]
    assert "--no-such" in refusal(first)
    assert not refusal(second)
    assert "forge" in refusal(third)
    assert len(list(commands_shown(_text(ROOT / "README.md")))) >= 10


@every_page
def test_no_page_names_a_place_of_one_machine(page: Path) -> None:
    assert [m[0] for m in MACHINE_PATHS.finditer(_text(page))] == []


def test_a_place_of_one_machine_is_noticed() -> None:
    assert MACHINE_PATHS.search("see /home/somebody/models")
    assert not MACHINE_PATHS.search("build/home/x and ./tmp/y")


def test_every_page_of_the_documents_can_be_reached_from_the_readme() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = ((page.parent / link.partition("#")[0]).resolve() for link in _links(page))
        waiting += [t for t in targets if t.suffix == ".md" and t.is_file()]
    decisions = ROOT / "docs" / "adr"
    assert [p for p in PAGES if p not in seen and p.parent != decisions] == []


def test_every_relation_is_defined_and_no_other() -> None:
    text = _text(RELATIONS_PAGE)
    defined = re.findall(r"^## ([a-z-]+)$", text, re.M) + re.findall(r"^\| `([a-z-]+)` \|", text, re.M)
    assert sorted(defined) == sorted(RELATIONS)


def test_the_relations_that_are_judged_have_sections_and_the_others_are_reserved() -> None:
    sections = re.findall(r"^## ([a-z-]+)$", _text(RELATIONS_PAGE), re.M)
    judged = {
        node.value
        for room in (VERDICTS, VERDICTS / "relations")
        for path in room.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("Weighing", "_same")
        for node in call.args
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    } & set(RELATIONS)
    # What a recognition finding carries is told in a room of its own, and chosen there.
    judged |= {
        relation
        for path in (VERDICTS / "methods").glob("*.py")
        for relation in ("adapter-fine-tune", "abliteration", "upcycled-moe")
        if f'"{relation}"' in path.read_text()
    }
    assert set(sections) == judged


def test_the_numbers_of_the_rules_are_those_of_the_program() -> None:
    text = " ".join(_text(RELATIONS_PAGE).split())
    for words, value in (
        ("ΔLL ≥ {} around the recipe", blend_tests.LATER_CHANGE_DELTA_LL),
        ("or ≥ {} with a weight of its own", blend_tests.ALONE_DELTA_LL),
        ("is at most {} in weight", blend_tests.LATER_CHANGE_DRIFT),
        ("the scale of the change is at most {} coarse steps", blend_tests.MOST_STEPS),
        ("the *lattice lead* is ≥ {}", blend_tests.LATER_CHANGE_DELTA_LL),
        ("every weight between {} and", blend_tests.LATER_CHANGE_ENDS),
        ("*eligible* with {} informative elements", readings.ELIGIBLE_INFORMATIVE),
        ("correlate by {} or more", readings.RELATED),
        ("correlate by less than {} with", readings.UNRELATED),
        ("is at most {} in the median and", readings.AT_FORK),
        ("at most {} in two thirds", readings.AT_FORK_ALONE),
        ("by more than {} of the way", neighbours.ALONG),
        ("branch is below {} for", leaning.BETWEEN),
        ("at least {} of the two models' distance", ancestors.LEAN),
        ("of at least {} elements off the replay", post_training.LEAST_OFF),
        ("one intermediate rounding is at least {}", post_training.BEYOND_STEP_RATIO),
        ("by ≥ {} in all", post_training.REVISION_LEAD),
        ("difference by at most {} (median", blend_tests.ALONG_PARENTS),
        ("≥ {} where a weight is below .1", blend_tests.NEAR_ENDS_DELTA_LL),
        ("≥ 40 where a weight is below {} or", blend_tests.NEAR_ENDS),
        ("move that branch by at most {} of", neighbours.FORK_ERROR),
    ):
        shown = f"{value:g}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:g}"
        assert words.format(shown) in text


def _strings_of_the_program() -> list[str]:
    trees = (ast.parse(p.read_text(encoding="utf-8")) for p in (ROOT / "src").rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree))
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def test_a_limit_that_is_quoted_is_one_that_the_program_states() -> None:
    quoted = re.findall(r"^> (.+)$", _text(LIMITS_PAGE), re.M)
    known = _strings_of_the_program()
    assert len(quoted) > 10
    assert [q for q in quoted if not any(q in text for text in known)] == []


def test_the_python_of_the_readme_uses_what_there_is() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", _text(ROOT / "README.md"), re.M | re.S)
    assert blocks
    for node in ast.walk(ast.parse("\n".join(blocks))):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "api":
            assert node.attr in api.__all__


def test_the_changelog_has_the_version_of_the_package() -> None:
    version = tomllib.loads(_text(ROOT / "pyproject.toml"))["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", _text(ROOT / "CHANGELOG.md"), re.M)


def test_decisions_are_numbered_without_gaps_and_say_what_they_cost() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(p.name[:4]) for p in decisions] == list(range(1, len(decisions) + 1))
    for page in decisions:
        headings = re.findall(r"^## (\w+)", _text(page), re.M)
        assert headings == ["Context", "Options", "Decision", "Consequences"], page.name
        assert _text(page).startswith(f"# {int(page.name[:4])}. ")
