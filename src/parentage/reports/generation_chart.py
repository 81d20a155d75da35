"""Where the marks of a writing's plot lie: entropy over tokens, stretches of latent input behind it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Final

from parentage.records.generation import Token, Writing

__all__ = ["EntropyChart", "Stretch", "entropy_chart"]

WIDTH: Final = 960
HEIGHT: Final = 220
LEFT: Final = 44
BOTTOM: Final = 190
TOP: Final = 12
# Beyond this many points the line is thinned to the largest of each group: peaks stay.
MOST_POINTS: Final = 1_800


@dataclass(frozen=True, slots=True)
class Stretch:
    """Tokens in a row under one mode, as a band of the plot."""

    mode: str
    first: int
    count: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class EntropyChart:
    """``line``: points of the curve; ``switches``: where the mode changed; ``highest``: nats at the top."""

    width: int
    height: int
    left: int
    bottom: int
    line: str
    stretches: tuple[Stretch, ...]
    switches: tuple[float, ...]
    highest: float
    tokens: int


def entropy_chart(writing: Writing) -> EntropyChart | None:
    """None where nothing was written."""
    tokens = writing.tokens
    if not tokens:
        return None
    highest = max(1e-9, *(t.entropy for t in tokens))
    step = (WIDTH - LEFT) / len(tokens)
    kept = _thinned(tokens)
    points = (
        f"{LEFT + (k + 0.5) * step:.1f},{BOTTOM - (BOTTOM - TOP) * tokens[k].entropy / highest:.1f}"
        for k in kept
    )
    return EntropyChart(
        WIDTH,
        HEIGHT,
        LEFT,
        BOTTOM,
        " ".join(points),
        tuple(_stretches(tokens, step)),
        tuple(round(LEFT + k * step, 1) for k, t in enumerate(tokens) if t.switched),
        highest,
        len(tokens),
    )


def _thinned(tokens: tuple[Token, ...]) -> list[int]:
    group = -(-len(tokens) // MOST_POINTS)
    starts = range(0, len(tokens), group)
    return [max(range(s, min(s + group, len(tokens))), key=lambda k: tokens[k].entropy) for s in starts]


def _stretches(tokens: tuple[Token, ...], step: float) -> list[Stretch]:
    found, place = list[Stretch](), 0
    for mode, members in groupby(tokens, key=lambda t: t.mode):
        count = sum(1 for _ in members)
        found.append(Stretch(mode, place, count, round(LEFT + place * step, 1), round(count * step, 1)))
        place += count
    return found
