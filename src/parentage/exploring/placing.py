"""Where a suspect falls on the line between two models: the rule of ``parentage interview --line``.

The points of a line that is explored are few, and dear. A place needs finer ones, of which only the next
tokens are asked: blends in memory, stored as the suspect is. What is off that line is refused, as there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from parentage.behaviour.distributions import TOP, neutral_prompts
from parentage.behaviour.line.blends import Blends, stored_dtype
from parentage.behaviour.line.looking import Points, fallen
from parentage.behaviour.line.placing import WEIGHTS
from parentage.behaviour.runtimes.transformers_model import TransformersModel
from parentage.behaviour.targets import TokenScores
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.exploring import Ends
from parentage.training.models import enough_memory

__all__ = ["Fallen", "Kept", "Line", "Runner", "Told", "in_memory", "placed_among"]

Told = list[TokenScores | Absent]
"""What is said next after each of the plain beginnings."""
Kept = Callable[[str, Callable[[], Told]], Told]
"""What an earlier run noted under a key, else what is asked now."""
NO_LOSS = Absent("not asked for")


class Line(Protocol):
    """A line that is run; the suspect is asked by the same runtime."""

    @property
    def how(self) -> str:
        """What a point of it is, in words."""

    def suspect(self) -> Told:
        """What the suspect says next."""

    def at(self, weight: float) -> Told:
        """What the blend with ``weight`` of the first says next."""


Runner = Callable[[str, str, str], AbstractContextManager[Line]]
"""From the suspect, the first and the second."""


@dataclass(frozen=True, slots=True)
class Fallen:
    """As of ``records.exploring.SuspectPlace``."""

    weight: Estimate | Absent
    divergence: Ends | Absent
    nearest: float | Absent
    off: float | Absent
    how: str


def placed_among(
    line: Line, ends: tuple[str, str], kept: Kept, progress: Callable[[int, int], None]
) -> Fallen:
    """Ask the suspect and every blend, or what was kept of them. Raises what loading raises, and
    ``UsageError`` (``line-not-one``) where the ends have different tensors."""
    own = kept("suspect|told", line.suspect)
    told = []
    for k, weight in enumerate(WEIGHTS):
        progress(k, len(WEIGHTS))
        told.append(kept(f"blend {weight!r}|told", partial(line.at, weight)))
    progress(len(WEIGHTS), len(WEIGHTS))
    points = Points(line.how, True, WEIGHTS, told, [NO_LOSS] * len(WEIGHTS))
    names = [name for name, _ in neutral_prompts()]
    heard = {n: t for n, t in zip(names, own, strict=True) if not isinstance(t, Absent)}
    found = fallen(heard, *ends, points)
    if isinstance(found, Absent):
        return Fallen(found, found, found, found, line.how)
    away = {p.weight: p.divergence for p in found.points}
    apart = Ends(min(away.values()), away[1.0], away[0.0])
    return Fallen(found.weight, apart, found.nearest, found.off, found.how)


@contextmanager
def in_memory(suspect: str, first: str, second: str) -> Iterator[Line]:
    """Folders, run by transformers on the processor; loaded when first asked."""
    line = _InMemory(suspect, first, second)
    try:
        yield line
    finally:
        line.close()


class _InMemory:
    def __init__(self, suspect: str, first: str, second: str) -> None:
        self._suspect, self._open = suspect, False
        self._blends = Blends(first, second, stored_dtype(suspect))
        self._texts = [text for _, text in neutral_prompts()]

    @property
    def how(self) -> str:
        return self._blends.how

    def suspect(self) -> Told:
        with enough_memory(self._suspect):
            return asyncio.run(_next_tokens(self._suspect, self._texts))

    def at(self, weight: float) -> Told:
        with enough_memory(self._suspect):
            return asyncio.run(self._at(weight))

    async def _at(self, weight: float) -> Any:
        if not self._open:
            await self._blends.open()
            self._open = True
        return (await self._blends.at(weight, self._texts))[0]

    def close(self) -> None:
        asyncio.run(self._blends.close())


async def _next_tokens(folder: str, texts: list[str]) -> Told:
    """The model is let go of before the ends are loaded."""
    model = TransformersModel(folder)
    try:
        await model.open()
        return await model.next_tokens_of(texts, TOP)
    finally:
        await model.close()
