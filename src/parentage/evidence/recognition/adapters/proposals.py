"""Recipes that adapters may have been combined by: weights read by least squares, densities looked for.

What is proposed here is replayed whole, and what is not replayed is not said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.recognition.adapters.sets import AdapterSet, Combined, Target
from parentage.evidence.recognition.adapters.terms import (
    Estimated,
    Factor,
    Sample,
    Watched,
    mixed,
    products_of,
    solved,
    watched,
)
from parentage.evidence.recognition.context import Context
from parentage.methods.adapters.factors import scaling_of
from parentage.methods.adapters.mixing import Mixing
from parentage.methods.method import Profile, Value
from parentage.numerics.feasible.candidates import near, simplest_in
from parentage.records.dtypes import DType

__all__ = [
    "FINEST",
    "PROFILES",
    "Looked",
    "by_factors",
    "densities",
    "looked_at",
    "plain_recipes",
    "plain_weights",
    "related",
    "summed",
]

# Tensors that the weights are read from, and those among them that densities are looked for on.
TENSORS, FEW = 8, 3
# A matrix whose factors hold more numbers takes no part in a search of densities.
SEARCHED: Final = 2**22
# Standard errors within which plain numbers are looked for, how many of each, and recipes in all.
ERRORS, EACH, TRIED = 5.0, 2, 81
# Decimals beside which no fraction is looked for; parts of one that densities may be, beside decimals.
SHORT: Final = 3
PARTS: Final = (3, 6, 7, 9)
# peft's cat holds its factors in the base's 16 bits: how far that moves a weight at most.
HELD: Final = 2.0**-9
# Plain numbers are looked for this far off at least: in float32 estimates are nearer than their errors say.
FINEST: Final = 2e-6
PROFILES: Final = ("peft", "parentage-1")
# A change of which known adapters explain less is none of theirs.
RELATED: Final = 0.01
STEPS: Final = (0.01, 0.001, 0.0001)

BY_SIZE: Final = {
    "adapter_ties": Mixing("largest", elect=True),
    "adapter_magnitude_prune": Mixing("largest"),
}


@dataclass(frozen=True, slots=True)
class Looked:
    """Samples of some matrices of a set, and the few that searches go over."""

    found: AdapterSet
    all: tuple[Watched, ...]
    few: tuple[Watched, ...]

    @property
    def same_ranks(self) -> bool:
        """Can factors be added up?"""
        return len({*self.found.ranks}) == 1


def looked_at(found: AdapterSet, context: Context) -> Looked:
    """Read what is needed of the set."""
    targets = found.targets[:: max(1, -(-len(found.targets) // TENSORS))]
    seen = tuple(watched(t, found, context) for t in targets)
    small = [w for w in seen if sum(_numbers(w.target)) <= SEARCHED]
    return Looked(found, seen, tuple(small[:: max(1, -(-len(small) // FEW))]))


def _numbers(target: Target) -> list[int]:
    return [h.a.elements + h.b.elements for h in target.how if h is not None and h.a and h.b]


def summed(looked: Looked) -> Iterator[Combined]:
    """``adapter_cat`` and ``adapter_linear``."""
    samples = [_whole(w) for w in looked.all]
    for name in ("adapter_cat", "adapter_linear"):
        if name == "adapter_linear" and not looked.same_ranks:
            continue
        estimate = solved(samples, crossed=name == "adapter_linear")
        if estimate is not None:
            yield from plain_recipes(looked, name, estimate, {})


def _whole(one: Watched) -> Sample:
    left = [None if s is None else s.left.part for s in one.sides]
    right = [None if s is None else s.right.part for s in one.sides]
    return products_of(one, left, right)


def related(looked: Looked) -> bool:
    """Do the adapters' own products explain some of the change, and need all of them for it?"""
    estimate = solved([_whole(w) for w in looked.all], crossed=looked.same_ranks)
    if estimate is None:
        return False
    if estimate.explains(0.0) and np.any(np.abs(estimate.weights) <= ERRORS * estimate.errors):
        return False
    return 1 - estimate.left / max(estimate.whole, 1e-300) >= RELATED


def by_factors(looked: Looked) -> Iterator[Combined]:
    """``adapter_ties`` and ``adapter_magnitude_prune``: densities whose masks leave rounding alone."""
    if not looked.same_ranks or len(looked.found.models) < 2 or not looked.few:
        return
    for name, mixing in BY_SIZE.items():
        for by_count in (False, True) if mixing.elect else (False,):

            def weigh(d: float, mixing: Mixing = mixing, by_count: bool = by_count) -> Estimated | None:
                return solved([_pruned(w, mixing, d, by_count) for w in looked.few], crossed=True)

            shared: dict[str, Value] = {"by_count": True} if by_count else {}
            for density, estimate in densities(weigh):
                yield from plain_recipes(looked, name, estimate, {**shared, "density": density})


def _pruned(one: Watched, mixing: Mixing, density: float, by_count: bool) -> Sample:
    def keep(k: int, factor: Factor) -> NDArray[np.bool_]:
        return factor.largest(density)

    left = mixed([None if s is None else s.left for s in one.sides], mixing, keep, density, by_count)
    right = mixed([None if s is None else s.right for s in one.sides], mixing, keep, density, by_count)
    return products_of(one, left, right)


def densities(
    weigh: Callable[[float], Estimated | None], share: float = 0.0
) -> Iterator[tuple[float, Estimated]]:
    """Densities under which little is left over: hundredths, then finer ones. ``share``: how much of the
    change may be, where regressors are read through rounding."""
    middle, seen = 0.5, dict[float, tuple[float, Estimated]]()
    for level, step in enumerate(STEPS):
        reach = 0.5 if not level else STEPS[level - 1]
        count = round(reach / step)
        for k in range(-count, count + 1):
            density = round(middle + k * step, 4)
            if not 0 < density <= 1 or density in seen:
                continue
            estimate = weigh(density)
            if estimate is not None:
                seen[density] = (estimate.left, estimate)
        if not seen:
            return
        middle = min(seen, key=lambda d: (seen[d][0], d))
        if seen[middle][1].explains(share):
            yield middle, seen[middle][1]
            for plain in (k / of for of in PARTS for k in range(1, of)):
                again = weigh(plain) if abs(plain - middle) <= step else None
                if again is not None and again.explains(share):
                    yield plain, again


def plain_recipes(
    looked: Looked,
    name: str,
    estimate: Estimated,
    shared: dict[str, Value],
    profiles: Sequence[str] = PROFILES,
    seed: int | None = None,
) -> Iterator[Combined]:
    """Plain numbers within the estimate's errors."""
    for profile in profiles:
        scale = _scale(looked.found, name, profile, shared)
        blur = HELD if (name, profile) == ("adapter_cat", "peft") else FINEST
        for weights in plain_weights(estimate.weights / scale, estimate.errors / scale, blur):
            yield Combined(name, profile, weights, shared, seed)


def plain_weights(
    weights: Sequence[float] | NDArray[np.float64],
    errors: Sequence[float] | NDArray[np.float64],
    blur: float,
) -> Iterator[tuple[float, ...]]:
    """Numbers that a person may have typed, simplest first."""
    plain = [
        _plain(float(w), max(ERRORS * float(e), blur * max(abs(float(w)), 1.0)))
        for w, e in zip(weights, errors, strict=True)
    ]
    yield from (numbers for numbers in islice(product(*plain), TRIED) if all(numbers))


def _plain(weight: float, radius: float) -> list[float]:
    """Decimals, the shortest first; fractions and stored forms where no short decimal is so near; then the
    estimate itself."""
    decimals = [d for d in (round(weight, digits) for digits in range(1, 7)) if abs(d - weight) <= radius]
    found = list(dict.fromkeys(decimals))[:EACH]
    if not found or found[0] != round(found[0], SHORT):
        near_by = near(weight, radius, EACH) + simplest_in(weight - radius, weight + radius, EACH)
        found = list(dict.fromkeys(near_by + found))[: EACH + 1]
    return [*found, weight]


def _scale(found: AdapterSet, name: str, profile: str, shared: dict[str, Value]) -> float:
    """By what the outcome is multiplied beside the weights."""
    additions = found.over([1.0] * len(found.models)).additions(found.targets[0].base.name)
    assert additions is not None
    rank = sum(additions.ranks) if name == "adapter_cat" else additions.ranks[0]
    if name.endswith("svd"):
        rank = int(shared.get("svd_rank", 0)) or max(additions.ranks)
    return scaling_of(rank, additions, Profile(profile, DType.F32, DType.F32))
