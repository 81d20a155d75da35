"""The pages on errors and commands are what the program says of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import click
import pytest
from scripts.docs import make_commands, make_errors
from scripts.docs.error_texts import EXIT_CODES
from scripts.docs.raised_codes import raised_codes
from typer.main import get_command

from parentage.cli.main import app
from tests.cli.running import Run

TESTS = Path(__file__).resolve().parents[1]
STALE = "run scripts/docs/{}.py and commit the page"


def test_every_code_that_is_raised_is_explained_and_no_other() -> None:
    assert make_errors.missing_and_stale() == ([], [])


def test_the_page_on_errors_is_not_stale() -> None:
    assert make_errors.PAGE.read_text() == make_errors.page(), STALE.format("make_errors")


def test_a_code_has_one_exit_code_and_each_exit_code_its_meaning() -> None:
    found = raised_codes()
    assert len({r.code for r in found}) == len(found)
    assert {r.exit_code for r in found} <= set(EXIT_CODES)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", r.code) for r in found)


def test_codes_are_found_however_they_are_raised(tmp_path: Path) -> None:
    """Directly, by a class's own code, and through a helper; what the reader of codes must not miss."""
    codes = {r.code: r.exit_code for r in raised_codes()}
    assert codes["usage-no-parents"] == 2
    assert codes["fail-on"] == 5
    assert codes["header-gap"] == 3
    assert codes["header-bad-shape"] == 3
    assert codes["index-malformed"] == 3
    assert codes["nothing-aligned"] == 3
    assert codes["internal"] == 1
    (tmp_path / "parentage").mkdir()
    (tmp_path / "parentage" / "errors.py").write_text('ReadError("x", code=f"read-{1}")')
    with pytest.raises(LookupError, match="not a literal"):
        raised_codes(tmp_path)


# Reached by calling Python, or by a failure that only a patched system gives; tested where they live.
def test_every_code_is_provoked_by_some_test() -> None:
    tests = "\n".join(p.read_text() for p in sorted(TESTS.rglob("*.py")) if p != Path(__file__))
    untried = [r.code for r in raised_codes() if f'"{r.code}"' not in tests]
    assert untried == []


def test_every_code_of_input_is_provoked_by_a_hostile_one() -> None:
    hostile = "\n".join(p.read_text() for p in sorted((TESTS / "hostile").glob("*.py")))
    hostile += (TESTS / "evidence" / "test_proposals.py").read_text()
    hostile += (TESTS / "cli" / "test_audit_options.py").read_text()
    # What a format or a recipe alone can say wrongly is tried beside it.
    beside = ("checkpoints/test_gguf.py", "checkpoints/test_torch.py", "merging/test_merge.py")
    beside = (*beside, "merging/test_adapter_places.py", "checkpoints/test_adapters.py")
    hostile += "".join((TESTS / name).read_text() for name in (*beside, "merging/test_vocabularies.py"))
    # Clusters are no input, and fail in ways of their own.
    hostile += (TESTS / "engines" / "test_ray.py").read_text()
    hostile += (TESTS / "engines" / "test_ray_address.py").read_text()
    hostile += (TESTS / "evidence" / "test_full_pass_nodes.py").read_text()
    hostile += (TESTS / "merging" / "test_adapter_recipes.py").read_text()
    inputs = [r.code for r in raised_codes() if r.exit_code in (3, 4)]
    assert [code for code in inputs if f'"{code}"' not in hostile] == []


def test_the_page_on_commands_is_not_stale() -> None:
    written = make_commands.masked(make_commands.PAGE.read_text())
    assert written == make_commands.masked(make_commands.page()), STALE.format("make_commands")


def test_every_command_is_on_the_page_and_gives_examples(run: Run) -> None:
    page = make_commands.PAGE.read_text()
    commands = cast(click.Group, get_command(app)).commands
    assert set(commands) == set(make_commands.COMMANDS)
    for name in commands:
        assert f"\n## {name}\n" in page
        done = run(name, "--help")
        assert (done.code, done.err) == (0, "")
        assert "Example" in done.out
        assert f"parentage {name}" in done.out.split("Example", 1)[1]


def test_help_names_the_page_on_errors_and_the_exit_codes(run: Run) -> None:
    done = run("--help")
    assert "docs/errors.md" in done.out
    for number in (0, 1, 2, 3, 4, 5):
        assert re.search(rf"^ +{number}  \w", done.out, re.MULTILINE)
