"""A merge that was quantised afterwards, seen through its scales: each code allows an interval of numbers,
so an interval of weights; a weight that all allow is replayed, blend and quantiser, code by code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.engines.threads import map_ordered
from parentage.evidence.coded import Coded, Values
from parentage.evidence.quantized import CodedSample, coded_groups, read_coded_sample
from parentage.evidence.sampling import Sampling
from parentage.methods.linear import Arithmetic, arithmetic
from parentage.numerics import candidates, interval
from parentage.numerics.formats import to_float32
from parentage.numerics.quantizers import ROUNDINGS, CodeCells
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.quantized import (
    BlendReplay,
    CodedTensor,
    QuantizedBlend,
    QuantizedControl,
    ReplayedCodes,
)

__all__ = ["measure_blend"]

# What a blend may have been stored in before it was quantised, with half a step: of the number, and
# least (binary16's below 6e-5).
STORED = ((DType.F32, 2.0**-24, 0.0), (DType.F16, 2.0**-11, 2.0**-25), (DType.BF16, 2.0**-8, 0.0))
# Simplest weights of each interval that are replayed; tensors on which they compete; how many of those that
# give most codes there are replayed on all.
CANDIDATES = 16
PROBE = 4
FINALISTS = 16
# Codes hardly tell roundings in float32 from each other; 16-bit weights and products they do.
WIDE, NARROW = (
    ("fp32-sum", "lerp-from-second"),
    ("fp32-sum", "fp32-fma", "mergekit-0.1.4", "scalar-16", "task-16"),
)
NOTHING = Absent("no weight is allowed by every code")
Pair = tuple[int, int]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Allowed:
    """Weights that one pair's codes allow, over all tensors."""

    informative: int
    consistent: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.consistent / self.informative if self.informative else 0.0

    @property
    def exact(self) -> bool:
        return self.informative > 0 and self.consistent == self.informative and self.low <= self.high

    def with_(self, found: interval.IntervalEstimate) -> _Allowed:
        return _Allowed(
            self.informative + found.informative,
            self.consistent + found.count,
            max(self.low, found.low),
            min(self.high, found.high),
        )


@dataclass(frozen=True, slots=True)
class _Recipe:
    weights: tuple[float, ...]
    arithmetic: Arithmetic
    stored: DType
    rule: str = ""

    @property
    def words(self) -> str:
        told = " : ".join(candidates.describe(w) for w in self.weights)
        return f"{told}, {self.arithmetic.id}, {self.stored.value}"

    def rule_for(self, coded: Coded) -> str:
        """The quantiser, where the tensor's format leaves a choice."""
        return self.rule if self.rule in coded.rules else coded.rules[0]


@dataclass(frozen=True, slots=True)
class _Blends:
    """Where samples come from, and the pairs of parents that are tried."""

    groups: Sequence[AlignedTensor]
    checkpoints: Sequence[Checkpoint]
    pairs: Sequence[Pair]
    sampling: Sampling
    workers: int

    def each(self, work: Callable[[CodedSample], Result]) -> Iterator[Result]:
        """The results for all tensors, in order."""

        def read(group: AlignedTensor) -> Result:
            return work(read_coded_sample(group, self.checkpoints, self.sampling))

        return map_ordered(read, self.groups, workers=self.workers)


def measure_blend(
    groups: Sequence[AlignedTensor],
    checkpoints: Sequence[Checkpoint],
    pairs: Sequence[Pair],
    controls: Sequence[int],
    tensors: Sequence[CodedTensor],
    sampling: Sampling,
    workers: int,
) -> QuantizedBlend | Absent:
    """The pair of parents whose blend most codes allow, and its replay where all do."""
    if not pairs or not tensors:
        return Absent("no two parents were given" if not pairs else "no tensor of codes can be replayed")
    own = _Blends(coded_groups(groups), checkpoints, pairs, sampling, workers)
    found = _all_allowed(own)
    best_of = {p: max((found[p, k] for k in range(len(STORED))), key=_rank) for p in pairs}
    pair = max(pairs, key=lambda p: _rank(best_of[p]))
    best = best_of[pair]
    if not best.informative:
        return Absent("no code tells the parents apart")
    exact = {d: a for k, (d, _, _) in enumerate(STORED) if (a := found[pair, k]).exact}
    replay, recipe = _replay(own, pair, exact) if exact else (NOTHING, None)
    range_ = _range_of(replay, exact)
    return QuantizedBlend(
        parents=pair,
        informative=best.informative,
        consistent=best.consistent,
        low=NOTHING if range_ is None else range_.low,
        high=NOTHING if range_ is None else range_.high,
        replay=replay,
        controls=tuple(_control(own, pair, c, recipe) for c in controls),
    )


def _range_of(replay: BlendReplay | Absent, exact: Mapping[DType, _Allowed]) -> _Allowed | None:
    """Weights allowed if the blend was stored in the coarsest format in which it gives the codes."""
    if not exact:
        return None
    told = set() if isinstance(replay, Absent) else {replay.stored, *replay.stored_alike}
    kept = [a for d, a in exact.items() if d.value in told] or list(exact.values())
    return kept[-1]


def _rank(allowed: _Allowed) -> tuple[bool, float]:
    return allowed.exact, allowed.share


def _all_allowed(own: _Blends) -> dict[tuple[Pair, int], _Allowed]:
    """For each pair and each format between, the weights that all tensors allow."""
    keys = [(pair, k) for pair in own.pairs for k in range(len(STORED))]

    def work(sample: CodedSample) -> list[interval.IntervalEstimate | None]:
        cells = sample.coded.cells()
        return [_of_pair(sample, cells, pair, k) for pair, k in keys]

    totals = dict.fromkeys(keys, _Allowed(0, 0, -np.inf, np.inf))
    for row in own.each(work):
        for key, found in zip(keys, row, strict=True):
            if found is not None and found.informative:
                totals[key] = totals[key].with_(found)
    return totals


def _of_pair(
    sample: CodedSample, cells: CodeCells, pair: Pair, stored: int
) -> interval.IntervalEstimate | None:
    a, b = (sample.others[i - 1] for i in pair)
    return None if a is None or b is None else _swept(cells, a, b, stored)


def _swept(cells: CodeCells, a: Values, b: Values, stored: int) -> interval.IntervalEstimate:
    """The weights of ``a`` that the inner codes allow."""
    use = cells.inner & np.isfinite(a) & np.isfinite(b)
    first, second = a[use].astype(np.float64), b[use].astype(np.float64)
    low, high = cells.low[use], cells.high[use]
    _, half, least = STORED[stored]
    slack = np.maximum(half * np.maximum(np.abs(low), np.abs(high)), least)
    closed = np.ones(low.size, np.bool_)
    return interval.estimate(first, second, low - slack, high + slack, closed, (low + high) / 2)


def _blended(recipe: _Recipe, sample: CodedSample, pair: Pair) -> Values | None:
    parts = [sample.others[i - 1] for i in pair]
    known = [p for p in parts if p is not None]
    if len(known) < len(parts):
        return None
    bits = recipe.arithmetic.apply(recipe.weights, known, out_dtype=recipe.stored)
    return to_float32(bits, recipe.stored)


def _matches(recipe: _Recipe, sample: CodedSample, pair: Pair, coded: Coded) -> int:
    values = _blended(recipe, sample, pair)
    if values is None:
        return 0
    return int(np.count_nonzero(coded.replay(values, recipe.rule_for(coded)) == coded.codes))


def _replay(own: _Blends, pair: Pair, exact: Mapping[DType, _Allowed]) -> tuple[BlendReplay, _Recipe]:
    """Candidates compete on a few tensors, and those that give most codes there on all."""
    probe = replace(own, groups=own.groups[:: max(1, len(own.groups) // PROBE)][:PROBE])
    recipes = _recipes(exact)
    rule = _best_rule(probe, pair, recipes)
    recipes = [replace(r, rule=rule) for r in recipes]
    scores = _scores(probe, pair, recipes)
    alive = [r for r, n in zip(recipes, scores, strict=True) if n == max(scores)][:FINALISTS]

    def work(sample: CodedSample) -> list[ReplayedCodes]:
        return [_replayed(r, sample, pair) for r in alive]

    rows = list(zip(*own.each(work), strict=True))
    totals = [sum(t.matches for t in row) for row in rows]
    best = totals.index(max(totals))
    alike = [r for r, n in zip(alive, totals, strict=True) if n == totals[best]]
    chosen = alive[best]
    found = BlendReplay(
        weights=chosen.weights,
        label=" : ".join(candidates.describe(w) for w in chosen.weights),
        arithmetic=chosen.arithmetic.id,
        stored=chosen.stored.value,
        indistinguishable=tuple(r.words for r in alike[1:]),
        tensors=tuple(rows[best]),
        stored_alike=tuple(sorted({r.stored.value for r in alike if r.weights == chosen.weights})),
    )
    return found, chosen


def _scores(own: _Blends, pair: Pair, recipes: Sequence[_Recipe]) -> list[int]:
    def work(sample: CodedSample) -> list[int]:
        return [_matches(r, sample, pair, sample.coded) for r in recipes]

    return [sum(column) for column in zip(*own.each(work), strict=True)]


def _best_rule(probe: _Blends, pair: Pair, recipes: Sequence[_Recipe]) -> str:
    """The quantiser under which the simplest blends give most codes: single parents may favour another."""
    few = recipes[:4]
    rules = sorted({r for names in probe.each(lambda s: s.coded.rules) for r in names}, key=_usual)
    tried = [replace(r, rule=rule) for rule in rules for r in few]
    scores = _scores(probe, pair, tried)
    return tried[scores.index(max(scores))].rule


def _usual(rule: str) -> int:
    return list(ROUNDINGS).index(rule) if rule in ROUNDINGS else -1


def _recipes(exact: Mapping[DType, _Allowed]) -> list[_Recipe]:
    """The simplest weights first, each under every arithmetic, in every format that leaves a weight."""
    found = []
    for stored, allowed in exact.items():
        ids = WIDE if stored is DType.F32 else NARROW
        for weight in candidates.simplest_in(allowed.low, allowed.high, CANDIDATES):
            weights = (weight, candidates.rest_of_one([weight]))
            found += [_Recipe(weights, arithmetic(name), stored) for name in ids]
    # Of those as simple, with as little as possible between blend and quantiser.
    return sorted(found, key=lambda r: candidates.description_length(r.weights[0]))


def _replayed(recipe: _Recipe, sample: CodedSample, pair: Pair) -> ReplayedCodes:
    coded = sample.coded
    values, rule = _blended(recipe, sample, pair), recipe.rule_for(coded)
    if values is None:
        return ReplayedCodes(sample.name, int(coded.codes.size), 0, 0, 0)
    same: NDArray[np.bool_] = coded.replay(values, rule) == coded.codes
    first, second = (v for i in pair if (v := sample.others[i - 1]) is not None)
    differ = coded.replay(first, rule) != coded.replay(second, rule)
    return ReplayedCodes(
        name=sample.name,
        codes=int(same.size),
        matches=int(np.count_nonzero(same)),
        informative=int(np.count_nonzero(differ)),
        informative_matches=int(np.count_nonzero(same & differ)),
    )


def _control(own: _Blends, pair: Pair, control: int, recipe: _Recipe | None) -> QuantizedControl:
    """The same path for another model: quantised as the suspect is, its codes as a blend of the pair."""

    def work(sample: CodedSample) -> tuple[int, int, int, int]:
        values = sample.others[control - 1]
        if values is None:
            return 0, 0, 0, 0
        rule = sample.coded.rules[0] if recipe is None else recipe.rule_for(sample.coded)
        coded = sample.coded.coded_as(values, rule)
        swept = _of_pair(sample, coded.cells(), pair, len(STORED) - 1)
        if swept is None:
            return 0, 0, 0, 0
        matched = 0 if recipe is None else _matches(recipe, sample, pair, coded)
        return swept.informative, swept.count, int(coded.codes.size), matched

    informative, consistent, codes, matches = (sum(c) for c in zip(*own.each(work), strict=True))
    match = Absent("no blend was replayed") if recipe is None or not codes else matches / codes
    return QuantizedControl(control, consistent / informative if informative else 0.0, match)
