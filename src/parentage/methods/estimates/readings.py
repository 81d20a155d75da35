"""One tensor read as a merge of thinned task vectors, and what several tensors say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.methods.estimates.feasible import coefficient_range, share_range
from parentage.methods.estimates.masks import Kept, Spread, Window, by_rank, by_size, likely, rank_in_row
from parentage.methods.estimates.participation import Outcomes, Parts
from parentage.methods.estimates.randomness import Randomness, covariance, randomness
from parentage.methods.estimates.structures import (
    Structure,
    Told,
    kept_by,
    outcomes_of,
    structures,
    told_by,
)

__all__ = ["Range", "Reading", "Thinned", "read", "together"]

Range = tuple[float, float]
Floats = NDArray[np.float64]
# A tensor with fewer elements that tell says nothing.
LEAST: Final = 30


@dataclass(frozen=True)
class Reading:
    """A tensor, how its task vectors were put together, and how many of its elements that explains.

    ``row``: elements of a row; ``others`` that a rival of the structure explains of those that tell it.
    """

    parts: Parts
    row: int
    structure: Structure
    told: Told
    outcome: Outcomes

    @property
    def holds(self) -> bool:
        """Every element that tells is explained."""
        return self.told.explained == self.told.told

    def coefficient(self, j: int) -> Range:
        """What task vector ``j`` was multiplied by: what all elements allow, else where its peak stands."""
        exact = coefficient_range(self.parts, self.structure, self.outcome, j)
        if exact is not None:
            return exact
        value = self.structure.lone[j]
        reach = self.structure.slack[j] * abs(value)
        return value - reach, value + reach

    def ratio(self, j: int) -> Range:
        """Weight ``j`` over the first one, where those that take part are averaged."""
        shares = self.structure.shares
        assert shares is not None
        lone = self.coefficient(0), self.coefficient(j)
        exact = share_range(self.parts, self.structure, self.outcome, j, lone)
        if exact is not None and 0 < exact[0] <= exact[1]:
            return (1 - exact[1]) / exact[1], (1 - exact[0]) / exact[0]
        value = shares[j] / shares[0]
        reach = 2 * self.structure.share_slack * abs(value)
        return value - reach, value + reach

    def kept(self, j: int, *, elected: bool) -> Kept:
        """What is known of one task vector's mask."""
        return kept_by(self.parts, self.structure, self.outcome, j, elected=elected)


def read(parts: Parts, row: int, known: Sequence[Structure] = ()) -> Reading | None:
    """The structure that explains most, the simpler one of equals; None where too little tells.

    ``known``: structures of other tensors, to try instead of this one's own peaks.
    """
    best: Reading | None = None
    for structure in known or structures(parts):
        outcome = outcomes_of(parts, structure)
        told = told_by(parts, structure, outcome)
        found = Reading(parts, row, structure, told, outcome)
        if told.told >= LEAST and (best is None or _share(found) > _share(best)):
            best = found
    return best


def _share(found: Reading) -> float:
    return found.told.explained / found.told.told


@dataclass(frozen=True)
class Thinned:
    """Tensors that one structure explains: ``averages`` or adds up, with signs ``elected`` or not."""

    readings: tuple[Reading, ...]
    averages: bool

    @property
    def parents(self) -> int:
        """Task vectors."""
        return len(self.readings[0].structure.lone)

    @cached_property
    def elected(self) -> bool | None:
        """Were signs elected? None where no element tells: one parent, or none with two of one sign."""
        mixed = sum(r.told.mixed for r in self.readings)
        alike = sum(r.told.alike for r in self.readings)
        return None if mixed == alike == 0 else mixed == 0

    def kept(self, j: int) -> list[Kept]:
        """What is known of one parent's masks, tensor by tensor."""
        return [r.kept(j, elected=self.elected is True) for r in self.readings]

    def coefficient(self, j: int, factors: Sequence[float] | None = None) -> Range | None:
        """What one task vector was multiplied by in every tensor, ``factors`` of thinning divided out; None
        where tensors contradict each other."""
        ends = []
        for k, r in enumerate(self.readings):
            factor = 1.0 if factors is None else factors[k]
            low, high = sorted(x / factor for x in r.coefficient(j))
            # The weight itself is rounded to the merger's dtype.
            reach = r.parts.unit * max(abs(low), abs(high))
            ends.append((low - reach, high + reach))
        return common(ends)

    def ratio(self, j: int) -> Range | None:
        """Weight ``j`` over the first one, where those that take part are averaged."""
        ends = []
        for r in self.readings:
            low, high = r.ratio(j)
            reach = 2 * r.parts.unit * max(abs(low), abs(high))
            ends.append((low - reach, high + reach))
        return common(ends)

    def windows(self, j: int) -> list[Window] | None:
        """The windows of magnitudes that stayed; None where some tensor contradicts every one."""
        found = []
        for kept in self.kept(j):
            window = by_size(kept)
            if window is not None:
                found.append(likely(kept, window))
            elif kept.kept.any():
                return None
        return found or None

    def ranks(self, j: int) -> list[Floats]:
        """Each element's rank in its row by the size of one parent's change, tensor by tensor."""
        return [rank_in_row(np.abs(r.parts.deltas[j]), r.row) for r in self.readings]

    def spread(self, j: int) -> Spread | None:
        """How likely an element stays by its rank in the row, from all tensors."""
        return by_rank(_joined(self.kept(j)), np.concatenate(self.ranks(j)))

    def randomness(self, j: int, spread: Spread) -> Randomness:
        """Is that all that decides?"""
        ranks = self.ranks(j)
        rows = [r.row for r in self.readings]
        return randomness(self.kept(j), ranks, rows, spread)

    def dependence(self, j: int, k: int, spreads: Sequence[Spread]) -> float:
        """How many standard errors two parents' masks are from independent."""
        total = variance = 0.0
        for a, b, r in zip(self.kept(j), self.kept(k), self.readings, strict=True):
            z = [spreads[i].at(rank_in_row(np.abs(r.parts.deltas[i]), r.row)) for i in (j, k)]
            both, varied = covariance(a, b, *z)
            total, variance = total + both, variance + varied
        return total / math.sqrt(variance) if variance > 0 else 0.0


def _joined(known: Sequence[Kept]) -> Kept:
    return Kept(
        np.concatenate([k.size for k in known]),
        np.concatenate([k.kept for k in known]),
        np.concatenate([k.dropped for k in known]),
        np.concatenate([k.chosen for k in known]),
    )


def common(ends: Sequence[Range]) -> Range | None:
    """The overlap of ranges; None where there is none."""
    low, high = max(e[0] for e in ends), min(e[1] for e in ends)
    return (low, high) if low <= high else None


def together(readings: Sequence[Reading]) -> Thinned | None:
    """Tensors that agree on how task vectors were put together; None where one is not explained, or they
    disagree. Where none needs an average, none is assumed."""
    if not readings or not all(r.holds for r in readings):
        return None
    kinds = {r.structure.averages for r in readings}
    return Thinned(tuple(readings), kinds.pop()) if len(kinds) == 1 else None
