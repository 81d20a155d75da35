"""Tasks by name: what training is rewarded for and what a search is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from parentage.errors import UsageError
from parentage.training.arithmetic import ARITHMETIC
from parentage.training.problems import Task
from parentage.training.task_files import is_file_name, read_task
from parentage.training.words import WORDS

__all__ = ["open_task", "task_names"]


def open_task(name: str) -> Task:
    """A built-in task by name, or a file of the user's: ``FILE.jsonl`` or ``FILE.jsonl:SCORING``.

    A leading ``task:`` is taken off. Raises ``UsageError`` (``task-unknown`` and what reading the file
    raises).
    """
    plain = name.removeprefix("task:")
    built_in: Mapping[str, Task] = {**ARITHMETIC, **WORDS}
    if plain in built_in:
        return built_in[plain]
    if is_file_name(plain) or Path(plain).exists():
        return read_task(plain)
    raise UsageError(
        f"there is no task {plain[:80]!r}",
        code="task-unknown",
        hint=f"one of {', '.join(built_in)}, or a file that ends in .jsonl",
    )


def task_names() -> tuple[str, ...]:
    """Of the built-in tasks."""
    return (*ARITHMETIC, *WORDS)
