"""Which rules make one tensor by itself: where a search begins when no recipe makes all of the probe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.parts.growing import LEAST, Ground, tells
from parentage.evidence.recognition.parts.places import alone
from parentage.evidence.recognition.registry import recognisers

__all__ = ["rules_on", "seeds"]

# Judged by what they find, or by seeds that cost minutes: neither is followed from one tensor.
LEFT_OUT: Final = ("low-rank", "thinned-by-chance")
# Recipes of one recogniser that are tried, and rules that are compared by what else they give.
TRIED: Final = 60
COMPARED: Final = 6
# Recipes of one recogniser that make the seed: its few elements may not tell which model was the base.
EACH: Final = 3
# Open tensors on which rules that make the seed are compared.
SAMPLED: Final = 8


def seeds(ground: Ground, refused: set[str]) -> Iterator[str]:
    """Open matrices to begin with, the smallest first; once one was refused, of other roles or layers."""
    names = [n for n in ground.open if tells(ground, n)]
    names.sort(key=lambda n: (ground.places[n].elements, n))
    tried = [(ground.places[n].role, ground.places[n].layer) for n in refused]
    for name in names:
        place = ground.places[name]
        if all(place.role != role and place.layer != layer for role, layer in tried):
            yield name


def rules_on(seed: str, ground: Ground) -> list[tuple[Candidate, Recogniser]]:
    """The rule that makes every element of the seed, of several the one that makes most of other tensors
    with the same numbers, of equals the simplest; then the same method from another base, which the seed
    may not tell apart from it."""
    found = list(islice(_making(seed, ground), COMPARED))
    if len(found) < 2:
        return found
    others = [n for n in ground.open if n != seed and tells(ground, n)]
    others = sorted(others, key=lambda n: (ground.places[n].elements, n))[:SAMPLED]
    scores = [sum(ground.comes_out(c, n) is not None for n in others) for c, _ in found]
    best = found[scores.index(max(scores))]
    return [best, *(f for f in found if f is not best and f[0].method == best[0].method)]


def _making(seed: str, ground: Ground) -> Iterator[tuple[Candidate, Recogniser]]:
    here = alone(ground.context, seed)
    ground = replace(ground, context=here)
    for one in recognisers():
        if one.id in LEFT_OUT:
            continue
        found = list(islice(_of_one(one, seed, here, ground), EACH))
        yield from found
        here.found.extend(one.id for _ in found[:1])


def _of_one(
    one: Recogniser, seed: str, here: Context, ground: Ground
) -> Iterator[tuple[Candidate, Recogniser]]:
    for candidate in islice(one.propose(here), TRIED):
        counted = ground.comes_out(candidate, seed)
        if counted is not None and counted.informative >= LEAST:
            yield candidate, one
