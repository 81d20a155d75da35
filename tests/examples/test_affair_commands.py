"""Every command that the example runs is one that the command line takes."""

from __future__ import annotations

from typing import Any

import pytest
from examples.affair.sizes import SIZES
from examples.affair.steps import Step, shown
from examples.affair.story import steps
from typer.main import get_command

from parentage.cli.failures import usage_of
from parentage.cli.main import app

STEPS = [s for s in steps(SIZES["tiny"]) if not s.argv[0].startswith("examples.")]


def refusal(words: list[str]) -> str:
    """Why the command line does not take these arguments; empty when it does."""
    command: Any = get_command(app)
    while hasattr(command, "commands"):
        name, *words = words
        if name not in command.commands:
            return f"no command {name}"
        command = command.commands[name]
    try:
        command.make_context("parentage", words)
    except Exception as error:
        usage = usage_of(error)
        if usage is None:
            raise
        return usage.message
    return ""


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.name)
def test_the_command_line_takes_every_step(step: Step) -> None:
    assert refusal(list(step.argv)) == ""


def test_a_wrong_option_is_noticed() -> None:
    assert "--no-such" in refusal(["merge", "a", "b", "--no-such"])
    assert refusal(["train", "forge"]) == "no command forge"


def test_what_is_shown_is_what_a_reader_can_type() -> None:
    (nex,) = (s for s in STEPS if s.name == "nex")
    assert shown(nex).startswith("parentage train sft ./base ./data/nex.jsonl --out ./nex --steps ")
