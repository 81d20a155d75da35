"""Combinations that thin factors at random: is there a seed that draws what stayed?

A tool's stream begins with the start values of the adapter that is made, and goes through the modules in
the model's order: the first matrix that is drawn for tells a seed. Without one of those that are tried
nothing can be replayed, for which numbers stayed is in no recipe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.recognition.adapters.proposals import (
    PROFILES,
    Looked,
    densities,
    plain_recipes,
)
from parentage.evidence.recognition.adapters.sets import Combined
from parentage.evidence.recognition.adapters.terms import (
    Estimated,
    Factor,
    Matrix,
    Sample,
    Watched,
    mixed,
    products_of,
    solved,
    watched,
)
from parentage.evidence.recognition.context import Context
from parentage.methods.adapters.mixing import Mixing
from parentage.methods.draws import CounterDraws, TorchDraws
from parentage.methods.method import Value

__all__ = ["SEEDS", "WORDS", "by_chance", "closest", "least"]

# Seeds that people type; each costs the words before the first matrix.
SEEDS: Final = (*range(32), 42, 100, 123, 1234, 1337, 2023, 2024, 2025, 2026, 3407, 12345, 123456)
# Words that all seeds together may cost: 3 s of one core.
WORDS: Final = 2**29
# Densities that seeds are held against: masks of one seed contain one another.
COARSE: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Seeds that leave least, of which densities are looked for.
CLOSEST: Final = 3
# Seeds that are held against the change by every way of combining.
WAYS: Final = {"adapter_dare_linear": Mixing("random"), "adapter_dare_ties": Mixing("random", elect=True)}
Uniform = tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]
"""By adapter that changes the matrix, of every number of its A; then of its B."""


@dataclass(frozen=True, slots=True)
class _Stream:
    """Where the numbers of one matrix come from: word ``drawn`` of a tool's stream, or our own."""

    one: Watched
    profile: str
    drawn: int

    def uniform(self, seed: int) -> Uniform:
        held = next(s for s in self.one.sides if s is not None)
        rows = sum(s is not None for s in self.one.sides)
        first, second = held.a.sizes.size, held.b.sizes.size
        if self.profile.startswith("parentage"):
            ours = CounterDraws(seed, self.one.target.name)
            return (
                [ours.uniform(k, 0, first) for k in range(rows)],
                [ours.uniform(rows + k, 0, second) for k in range(rows)],
            )
        words = TorchDraws(seed, self.drawn, first)
        more = TorchDraws(seed, self.drawn + rows * first, second)
        return (
            [words.uniform(k, 0, first) for k in range(rows)],
            [more.uniform(k, 0, second) for k in range(rows)],
        )

    def sample(self, drawn: Uniform, mixing: Mixing, density: float, by_count: bool) -> Sample:
        """Regressors, where these numbers decided what stayed."""
        rows = iter(range(len(drawn[0])))
        place = [None if s is None else next(rows) for s in self.one.sides]

        def side(which: str) -> list[Matrix | None]:
            def keep(k: int, factor: Factor) -> NDArray[np.bool_]:
                row = place[k]
                assert row is not None
                kept: NDArray[np.bool_] = drawn[which == "b"][row][factor.places] < np.float32(density)
                return kept

            factors = [None if s is None else (s.b if which == "b" else s.a) for s in self.one.sides]
            return mixed(factors, mixing, keep, density, by_count)

        a, b = side("a"), side("b")
        turned = next(s.turned for s in self.one.sides if s is not None)
        return products_of(self.one, a, b) if turned else products_of(self.one, b, a)


def by_chance(looked: Looked, context: Context) -> Iterator[Combined]:
    """``adapter_dare_linear`` and ``adapter_dare_ties``, of seeds that leave less over than others do."""
    if not looked.same_ranks or len(looked.found.models) < 2:
        return
    for profile in PROFILES:
        stream = _stream(looked, profile, context)
        if stream is not None:
            yield from _seeded(stream, looked)


def _stream(looked: Looked, profile: str, context: Context) -> _Stream | None:
    """Of the first matrix that is drawn for; None where no beginning of the stream is known."""
    found = looked.found
    one = Combined("adapter_dare_linear", profile, (1.0,) * len(found.models), {"density": 0.5}, 0)
    if profile.startswith("parentage"):
        return _Stream(looked.few[0], profile, 0) if looked.few else None
    before = found.drawn_before(one)
    names = {t.base.name: t for t in found.targets}
    first = min(before, key=lambda name: before[name], default=None)
    if first is None:
        return None
    return _Stream(watched(names[first], found, context), profile, before[first])


def _seeded(stream: _Stream, looked: Looked) -> Iterator[Combined]:
    seeds = SEEDS[: max(1, WORDS // (stream.drawn + 1))]
    for name, mixing in WAYS.items():
        for by_count in (False, True) if mixing.elect else (False,):
            shared: dict[str, Value] = {"by_count": True} if by_count else {}
            for seed in closest(seeds, partial(_left, stream, mixing, by_count)):
                weigh = partial(_weighed, stream, stream.uniform(seed), mixing, by_count)
                for density, estimate in densities(weigh):
                    more = {**shared, "density": density}
                    yield from plain_recipes(looked, name, estimate, more, (stream.profile,), seed)


def _weighed(
    stream: _Stream, drawn: Uniform, mixing: Mixing, by_count: bool, density: float
) -> Estimated | None:
    return solved([stream.sample(drawn, mixing, density, by_count)], crossed=True)


def _left(stream: _Stream, mixing: Mixing, by_count: bool, seed: int) -> float:
    return least(partial(_weighed, stream, stream.uniform(seed), mixing, by_count))


def least(weigh: Callable[[float], Estimated | None]) -> float:
    """What the best of a few densities leaves over."""
    return min((e.left for d in COARSE if (e := weigh(d)) is not None), default=math.inf)


def closest(seeds: Sequence[int], left: Callable[[int], float]) -> list[int]:
    """The seeds that leave least over."""
    found = {seed: left(seed) for seed in seeds}
    return sorted(found, key=lambda seed: (found[seed], seed))[:CLOSEST]
