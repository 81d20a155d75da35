"""The command line, called in this process."""

from __future__ import annotations

import pytest

from tests.behaviour.conftest import serve
from tests.cli.running import Run
from tests.training.conftest import base, chats

__all__ = ["base", "chats", "run", "serve"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """``run("audit", …)`` gives the exit code, standard output and standard error."""
    return Run(monkeypatch, capfd)
