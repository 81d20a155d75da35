"""Progress: a bar on a terminal, silence elsewhere, and never a word on standard output."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import MERGEKIT, SPAWN

SUSPECT, PARENT = MERGEKIT / "linear.safetensors", MERGEKIT / "A.safetensors"
COMMANDS: dict[str, list[str | Path]] = {
    "audit": ["audit", SUSPECT, "-p", PARENT, "-p", MERGEKIT / "O.safetensors", "--json", "-"],
    "audit candidates": ["audit", SUSPECT, "--candidates", MERGEKIT, "--json", "-"],
    "diff": ["diff", SUSPECT, PARENT, "--json"],
    "inspect": ["inspect", SUSPECT, "--digests", "--json"],
}
STAGES = {
    "audit": ("matching tensors", "measuring tensors"),
    "audit candidates": ("looking at candidates",),
    "diff": ("comparing",),
    "inspect": ("reading",),
}


def on_a_terminal(command: list[str | Path], columns: int = 100) -> tuple[int, str, str]:
    """Exit code, standard output (a pipe) and what the terminal behind standard error showed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    with subprocess.Popen(
        [*SPAWN, *map(str, command)], stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        streams = {process.stdout.fileno(): b"", ours: b""}
        open_ = set(streams)
        while open_:
            for number in select.select(list(open_), [], [], 300)[0]:
                try:
                    part = os.read(number, 65_536)
                except OSError:  # the terminal is gone with the process
                    part = b""
                streams[number] += part
                if not part:
                    open_.discard(number)
        process.wait(60)
    os.close(ours)
    out, err = (streams[n].decode() for n in (next(k for k in streams if k != ours), ours))
    return process.returncode, out, err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_shows_how_far_it_is(command: str) -> None:
    code, out, err = on_a_terminal(COMMANDS[command])
    assert code == 0
    assert [stage for stage in STAGES[command] if stage not in err] == []
    assert out.startswith("{")
    assert "\x1b" not in out


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_is_told_nothing(command: str) -> None:
    done = subprocess.run([*SPAWN, *map(str, COMMANDS[command])], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"{")


def test_the_bar_is_gone_when_the_work_is_done() -> None:
    """What stays on the terminal is the error alone."""
    code, _, err = on_a_terminal([*COMMANDS["audit"], "--fail-on", "linear-merge"])
    assert code == 5
    shown = err.rpartition("\x1b[2K")[2]
    assert "measuring" not in shown
    assert "error[fail-on]" in shown
