"""Run the command line as a user does: through ``main``, in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from parentage.cli.main import main

__all__ = ["FIXTURES", "MERGEKIT", "SPAWN", "Outcome", "Run", "spawn"]

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
MERGEKIT = FIXTURES / "mergekit"
SPAWN = (sys.executable, "-c", "from parentage.cli.main import main; main()")


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The stable code of the one error on standard error; fails where there is none or more."""
        assert "Traceback" not in self.err, self.err
        lines = [line for line in self.err.splitlines() if line.startswith("error[")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("error[").split("]")[0]


class Run:
    """Calls ``main`` in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def __call__(self, *arguments: str | Path) -> Outcome:
        self._capfd.readouterr()
        self._monkeypatch.setattr(sys, "argv", ["parentage", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capfd.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Outcome(code, said.out, said.err)


def spawn(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = SPAWN,
    cwd: Path | None = None,
) -> Outcome:
    """The same in a process of its own, without a terminal."""
    done = subprocess.run(
        [*program, *map(str, arguments)],
        capture_output=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        timeout=300,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
