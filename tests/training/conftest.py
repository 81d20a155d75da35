"""One tiny base for all tests that train; they need torch and transformers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import Run
from tests.training.tiny import save_tiny, write_lines


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """``run("train", "sft", …)`` gives the exit code, standard output and standard error."""
    return Run(monkeypatch, capfd)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama in bf16, and ``chats.jsonl`` beside its folder."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("training") / "base"
    save_tiny(folder)
    write_lines(folder.parent / "chats.jsonl")
    return folder


@pytest.fixture(scope="session")
def chats(base: Path) -> Path:
    """Five chats as JSON lines."""
    return base.parent / "chats.jsonl"
