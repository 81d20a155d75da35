"""What can be asked: an endpoint, a local model, or the answers of an earlier interview."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from parentage.records.absence import Absent
from parentage.records.interview import Respondent

NOT_COUNTED = Absent("not counted by the target")

__all__ = ["Ask", "Reply", "Target", "Together", "TokenScores"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: either ``messages`` for the target's own template, or a whole ``prompt`` as text."""

    messages: tuple[dict[str, str], ...]
    prompt: str | None
    temperature: float
    max_tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. ``text`` is what the model said and nothing else; absent when the asking failed."""

    text: str | Absent
    finish: str = ""
    clipped: bool = False
    tokens_in: int | Absent = NOT_COUNTED
    tokens_out: int | Absent = NOT_COUNTED


@dataclass(frozen=True, slots=True)
class TokenScores:
    """The most probable next tokens, as text, with natural log-probabilities, most probable first."""

    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]


class Target(Protocol):
    """One model that answers. Failures of one asking are absent replies; of all, ``ParentageError``."""

    @property
    def concurrency(self) -> int:
        """Requests that it takes at a time."""

    async def open(self) -> Respondent:
        """Reach it and find out what it offers."""

    async def ask(self, ask: Ask) -> Reply:
        """One answer."""

    async def next_tokens(self, prompt: str, top: int) -> TokenScores | Absent:
        """The distribution after a raw prompt, as far as it is offered."""

    async def score(self, prompt: str, continuation: str) -> Sequence[float] | Absent:
        """Natural log-probability of each token of ``continuation`` after ``prompt``, where offered."""

    async def close(self) -> None:
        """Let go of it."""


@runtime_checkable
class Together(Protocol):
    """A target that answers several prompts at once in less time than one after another.

    Which prompts stand together moves the last bits of sums: whoever asks keeps to the plan's own groups.
    """

    @property
    def together(self) -> int:
        """How many."""

    async def ask_together(self, asks: Sequence[Ask]) -> list[Reply]:
        """Each as ``Target.ask``; all of one temperature and length."""

    async def next_tokens_of(self, prompts: Sequence[str], top: int) -> list[TokenScores | Absent]:
        """Each as ``Target.next_tokens``, of any number of prompts."""
