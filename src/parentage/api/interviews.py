"""Interviews: who a model says that it is, asked now or read from kept answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.records import interview as records
from parentage.records.codec import from_plain
from parentage.records.interview import Interview
from parentage.records.json_files import load_json

if TYPE_CHECKING:
    from parentage.behaviour.conduct import Spent
    from parentage.behaviour.interviews import InterviewOptions, InterviewPlan

__all__ = ["interview", "load_interview", "plan_interview"]


def _unheard(label: str, spent: Spent) -> None:
    """Nobody listens."""


def interview(
    target: str,
    *,
    panel: Sequence[str] = (),
    model: str | None = None,
    template: str | None = None,
    options: InterviewOptions | None = None,
    heard: Callable[[str, Spent], None] = _unheard,
) -> Interview:
    """Ask a model, and a panel of others the same, who they are (docs/interview.md).

    ``target`` and ``panel``: addresses of OpenAI-compatible APIs, GGUF files, folders, files of answers
    (``.jsonl``). ``options``: what is asked, and the folder that keeps every answer. Raises
    ``ParentageError``.
    """
    from parentage.behaviour.interviews import InterviewOptions, hold_interview
    from parentage.behaviour.opening import spec_of

    specs = [spec_of(target, model=model, template=template), *map(spec_of, panel)]
    return hold_interview(specs, options or InterviewOptions(), heard)


def plan_interview(
    target: str,
    *,
    panel: Sequence[str] = (),
    options: InterviewOptions | None = None,
) -> InterviewPlan:
    """What :func:`interview` would ask at most; nothing is sent. Raises ``ParentageError``."""
    from parentage.behaviour.interviews import InterviewOptions
    from parentage.behaviour.interviews import plan_interview as planned
    from parentage.behaviour.opening import spec_of

    return planned([spec_of(target), *map(spec_of, panel)], options or InterviewOptions())


def load_interview(path: Path) -> Interview:
    """Read a saved interview (JSON); errors of ``json_files.load_json`` and ``codec.from_plain``."""
    plain = load_json(path, schema=records.SCHEMA, version=records.VERSION)
    return from_plain(Interview, plain)
