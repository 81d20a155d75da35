"""What ``parentage diff`` prints: names as text, numbers unbroken, JSON for pipes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from parentage.cli.main import app
from parentage.cli.tables import print_difference
from parentage.records.codec import from_plain
from parentage.records.difference import Difference
from tests.cli.test_diff import compare, write

HOSTILE = "[bold red]layer[/]\x1b[31m\u202e.weight"


@pytest.fixture(autouse=True)
def console_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as for a pipe, whatever the machine's terminal is."""
    monkeypatch.setenv("COLUMNS", "160")


def test_a_hostile_name_is_printed_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    w = np.ones(4, np.float32)
    first = write(tmp_path, "a", {HOSTILE: w, HOSTILE + "2": w})
    print_difference(compare(first, write(tmp_path, "b", {HOSTILE: w})), limit=0)
    printed = capsys.readouterr().out
    assert printed.count("[bold red]layer[/]\\x1b[31m\\u202e.weight") == 2
    assert "\x1b" not in printed
    assert "\u202e" not in printed


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["diff", *map(str, arguments)])


def test_the_command_prints_json_for_pipes(tmp_path: Path) -> None:
    first = write(tmp_path, "a", {"w": np.ones(4, np.float32)})
    second = write(tmp_path, "b", {"w": np.array([1, 1, 1, 2], np.float32)})
    outcome = run(first, second, "--json", "--full")
    assert outcome.exit_code == 0, outcome.output
    plain = json.loads(outcome.stdout)
    assert (plain.pop("schema"), plain.pop("version")) == ("parentage.difference", 1)
    assert from_plain(Difference, plain).tensors[0].equal_bits == 3
    assert plain["sample"] == {"absent": "every element was read"}


def test_the_command_lists_what_differs_most_first_and_as_many_as_asked(tmp_path: Path) -> None:
    w = np.ones(64, np.float32)
    first = write(tmp_path, "a", {f"tensor{k}": w for k in range(5)})
    second = write(tmp_path, "b", {f"tensor{k}": w + k for k in range(5)})
    outcome = run(first, second, "--limit", "2", "--base", first)
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.index("tensor4") < outcome.stdout.index("tensor3")
    assert "tensor2" not in outcome.stdout
    assert "and 3 more" in outcome.stdout


def test_a_narrow_console_breaks_names_and_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name = "encoder.layer.0.attention.output.dense.weight"
    w = np.full(64, 1 + 2.0**-23, np.float32)
    first, second = write(tmp_path, "a", {name: w}), write(tmp_path, "b", {name: -w})
    outcome = run(first, second, "--base", second)
    lines = [line.split() for line in outcome.stdout.splitlines()]
    row = next(line for line in lines if line and line[0].startswith("encoder"))
    # Equal bits, median and largest offset, relative delta, cosine: 2 × 0x3F800001 steps.
    assert row[1:] == ["0", "%", "2.13e9", "2.13e9", "2", "–"]
    assert all(len(line) <= 80 for line in outcome.stdout.splitlines())


def test_help_gives_examples() -> None:
    outcome = run("--help")
    assert outcome.exit_code == 0
    assert "parentage diff ./a ./b --base ./base" in " ".join(outcome.stdout.split())
