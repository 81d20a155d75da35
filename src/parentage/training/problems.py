"""Problems whose answers can be checked, and the two splits that share none of them.

A problem's own text decides which split it belongs to, whatever the seed and the count. What is chosen on
``TUNED`` is told on ``HELD_OUT``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["HELD_OUT", "SPLITS", "TUNED", "Item", "Message", "Task", "split_of"]

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
        """What ``tasks.open_task`` takes."""

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


def split_of(problem: str) -> str:
    """The split that a problem belongs to for ever: by the first bit of its text's SHA-256."""
    return SPLITS[hashlib.sha256(problem.encode()).digest()[0] >> 7]
