"""Scripted endpoints, closed when a test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.behaviour.servers import Persona, Scripted
from tests.behaviour.templates import CHATML_RIO
from tests.cli.running import Run

Serve = Callable[[Persona], Scripted]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    opened: list[Scripted] = []

    def start(persona: Persona) -> Scripted:
        opened.append(Scripted(persona))
        return opened[-1]

    yield start
    for server in opened:
        server.close()


@pytest.fixture
def template(tmp_path: Path) -> str:
    path = tmp_path / "chat_template.jinja"
    path.write_text(CHATML_RIO)
    return str(path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capfd)
