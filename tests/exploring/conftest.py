"""The command line, called in this process."""

from __future__ import annotations

import pytest

from tests.cli.running import Run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """``run("explore", …)`` gives the exit code, standard output and standard error."""
    return Run(monkeypatch, capfd)
