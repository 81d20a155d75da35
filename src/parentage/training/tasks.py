"""Tasks whose answers can be checked: what training is rewarded for and what a search is judged by.

A task has two splits that share no problem, whatever the seed and the count: a problem's own text decides
which of them it belongs to. What is chosen on ``TUNED`` is told on ``HELD_OUT``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from parentage.errors import UsageError

__all__ = ["HELD_OUT", "SPLITS", "TUNED", "Item", "Message", "Task", "open_task", "split_of", "task_names"]

TUNED: Final = "tuned"
HELD_OUT: Final = "held-out"
SPLITS: Final = (TUNED, HELD_OUT)
Message = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Item:
    """One problem. ``messages``: a chat, each with ``role`` and ``content``; ``others``: wrong answers
    among which the problem lets one choose, if it does."""

    messages: tuple[Message, ...]
    answer: str
    others: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The same for equal problems, different for others; 16 hexadecimal digits."""
        parts = [f"{m['role']}\x1f{m['content']}" for m in self.messages]
        return hashlib.sha256("\x1e".join([*parts, self.answer]).encode()).hexdigest()[:16]


class Task(Protocol):
    """Problems and how their answers are read."""

    @property
    def name(self) -> str:
        """What :func:`open_task` takes."""

    @property
    def most_tokens(self) -> int:
        """New tokens that an answer needs at most."""

    def items(self, split: str, count: int, seed: int) -> tuple[Item, ...]:
        """``count`` different problems of a split, the same for the same seed.

        Raises ``UsageError``: ``task-split``, ``task-too-few`` where the split has not so many.
        """

    def read(self, item: Item, text: str) -> str:
        """The answer that a model's text gives, in one spelling; empty where it gives none."""

    def score(self, item: Item, text: str) -> float:
        """1 for the right answer, 0 for another or none."""


def open_task(name: str) -> Task:
    """A built-in task by name, or a file of the user's: ``FILE.jsonl`` or ``FILE.jsonl:SCORING``.

    A leading ``task:`` is taken off. Raises ``UsageError`` (``task-unknown`` and what reading the file
    raises).
    """
    from parentage.training.arithmetic import ARITHMETIC
    from parentage.training.task_files import is_file_name, read_task
    from parentage.training.words import WORDS

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
    from parentage.training.arithmetic import ARITHMETIC
    from parentage.training.words import WORDS

    return (*ARITHMETIC, *WORDS)


def split_of(problem: str) -> str:
    """The split that a problem belongs to for ever: by the first bit of its text's SHA-256."""
    return SPLITS[hashlib.sha256(problem.encode()).digest()[0] >> 7]
