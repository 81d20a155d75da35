"""A merge that was quantised afterwards, seen through its scales: each code allows an interval of numbers,
so an interval of weights; a weight that all allow is replayed, blend and quantiser, code by code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor, Alignment
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.evidence.coded import CodeCells, Coded, Values
from parentage.evidence.quantized import CodedSample, coded_groups, read_coded_sample
from parentage.evidence.sampling import Sampling
from parentage.methods.linear import Arithmetic, variants
from parentage.numerics import candidates, interval
from parentage.numerics.formats import to_float32
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

# What a blend may have been stored in before it was quantised, with half a step relative to the number.
STORED = ((DType.F32, 2.0**-24), (DType.F16, 2.0**-11), (DType.BF16, 2.0**-8))
# Simplest weights of the interval that are replayed; tensors on which they compete.
CANDIDATES = 24
PROBE = 4
# Recipes that are told as giving the same codes.
ALIKE = 12
NOTHING = Absent("no weight is allowed by every code")
Pair = tuple[int, int]


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


@dataclass(frozen=True, slots=True)
class _Recipe:
    weights: tuple[float, ...]
    arithmetic: Arithmetic
    stored: DType

    @property
    def words(self) -> str:
        told = " : ".join(candidates.describe(w) for w in self.weights)
        return f"{told}, {self.arithmetic.id}, {self.stored.value}"


def measure_blend(
    alignment: Alignment,
    checkpoints: Sequence[Checkpoint],
    pairs: Sequence[Pair],
    controls: Sequence[int],
    tensors: Sequence[CodedTensor],
    sampling: Sampling,
    progress: Callable[[str, int, int], None],
) -> QuantizedBlend | Absent:
    """The pair of parents whose blend most codes allow, and its replay where all do."""
    if not pairs:
        return Absent("no two parents were given")
    rules = {t.name: t.quantizer for t in tensors}
    groups = coded_groups(alignment)

    def samples(some: Sequence[AlignedTensor]) -> list[CodedSample]:
        return [read_coded_sample(g, checkpoints, sampling) for g in some]

    found: dict[Pair, _Allowed] = {}
    for k, pair in enumerate(pairs):
        progress("codes as blends", k, len(pairs))
        found[pair] = _widest(groups, samples, pair)
    progress("codes as blends", len(pairs), len(pairs))
    pair = max(found, key=lambda p: (found[p].exact, found[p].share))
    best = found[pair]
    if not best.informative:
        return Absent("no code tells the parents apart")
    replay = _replay(groups, samples, pair, best, rules) if best.exact else NOTHING
    shares = tuple(_control(groups, samples, pair, c, rules, replay) for c in controls)
    return QuantizedBlend(
        parents=pair,
        informative=best.informative,
        consistent=best.consistent,
        low=best.low if best.exact else NOTHING,
        high=best.high if best.exact else NOTHING,
        replay=replay,
        controls=shares,
    )


Groups = Sequence[AlignedTensor]
Samples = Callable[[Groups], list[CodedSample]]


def _widest(groups: Groups, samples: Samples, pair: Pair) -> _Allowed:
    """Weights allowed if nothing, then if a 16-bit format, lay between blend and quantiser."""
    best: _Allowed | None = None
    for _, half in STORED:
        found = _allowed(groups, samples, pair, half)
        if best is None or (found.exact, found.share) > (best.exact, best.share):
            best = found
        if found.exact:
            break
    assert best is not None
    return best


def _allowed(groups: Groups, samples: Samples, pair: Pair, half: float) -> _Allowed:
    informative = consistent = 0
    low, high = -np.inf, np.inf
    for group in groups:
        (sample,) = samples([group])
        a, b = (sample.others[i - 1] for i in pair)
        if a is None or b is None:
            continue
        found = _swept(sample.coded.cells(), a, b, half)
        informative += found.informative
        consistent += found.count
        if found.informative:
            low, high = max(low, found.low), min(high, found.high)
    return _Allowed(informative, consistent, float(low), float(high))


def _swept(cells: CodeCells, a: Values, b: Values, half: float) -> interval.IntervalEstimate:
    """The weights of ``a`` that the inner codes allow."""
    use = cells.inner & np.isfinite(a) & np.isfinite(b)
    first, second = a[use].astype(np.float64), b[use].astype(np.float64)
    low, high = cells.low[use], cells.high[use]
    slack = half * np.maximum(np.abs(low), np.abs(high))
    closed = np.ones(low.size, np.bool_)
    return interval.estimate(first, second, low - slack, high + slack, closed, (low + high) / 2)


def _blended(recipe: _Recipe, sample: CodedSample, pair: Pair) -> Values | None:
    parts = [sample.others[i - 1] for i in pair]
    known = [p for p in parts if p is not None]
    if len(known) < len(parts):
        return None
    bits = recipe.arithmetic.apply(recipe.weights, known, out_dtype=recipe.stored)
    return to_float32(bits, recipe.stored)


def _matches(recipe: _Recipe, sample: CodedSample, pair: Pair, rule: str, coded: Coded) -> int:
    values = _blended(recipe, sample, pair)
    return 0 if values is None else int(np.count_nonzero(coded.replay(values, rule) == coded.codes))


def _replay(
    groups: Groups, samples: Samples, pair: Pair, allowed: _Allowed, rules: dict[str, str]
) -> BlendReplay | Absent:
    """Candidates compete on a few tensors, and those that give every code there on all."""
    probe = samples(_spread(groups))
    recipes = list(_recipes(allowed))
    codes = sum(s.coded.codes.size for s in probe)
    scores = [sum(_matches(r, s, pair, rules[s.name], s.coded) for s in probe) for r in recipes]
    top = max(scores, default=0)
    alive = [r for r, n in zip(recipes, scores, strict=True) if n == top]
    if not alive or top < 0.9 * codes:
        return Absent("a weight is allowed, and no blend that is known here gives the codes")
    rows: list[list[ReplayedCodes]] = [[] for _ in alive]
    for group in groups:
        (sample,) = samples([group])
        for k, recipe in enumerate(alive):
            rows[k].append(_replayed(recipe, sample, pair, rules[sample.name]))
    totals = [sum(t.matches for t in row) for row in rows]
    best = totals.index(max(totals))
    alike = [r.words for r, n in zip(alive, totals, strict=True) if n == totals[best]]
    chosen = alive[best]
    return BlendReplay(
        weights=chosen.weights,
        label=" : ".join(candidates.describe(w) for w in chosen.weights),
        arithmetic=chosen.arithmetic.id,
        stored=chosen.stored.value,
        indistinguishable=tuple(alike[1 : 1 + ALIKE]),
        tensors=tuple(rows[best]),
    )


def _spread(groups: Groups) -> Groups:
    return groups[:: max(1, len(groups) // PROBE)][:PROBE]


def _recipes(allowed: _Allowed) -> list[_Recipe]:
    """The simplest weights first, each under every arithmetic and dtype."""
    found = []
    for weight in candidates.simplest_in(allowed.low, allowed.high, CANDIDATES):
        weights = (weight, candidates.rest_of_one([weight]))
        found += [_Recipe(weights, a, d) for d, _ in STORED for a in variants(weights)]
    return found


def _replayed(recipe: _Recipe, sample: CodedSample, pair: Pair, rule: str) -> ReplayedCodes:
    coded = sample.coded
    values = _blended(recipe, sample, pair)
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


def _control(
    groups: Groups,
    samples: Samples,
    pair: Pair,
    control: int,
    rules: dict[str, str],
    replay: BlendReplay | Absent,
) -> QuantizedControl:
    """The same path for another model: quantised as the suspect is, its codes as a blend of the pair."""
    informative = consistent = codes = matches = 0
    recipe = None if isinstance(replay, Absent) else _recipe_of(replay)
    for group in groups:
        (sample,) = samples([group])
        a, b, own = (sample.others[i - 1] for i in (*pair, control))
        if a is None or b is None or own is None:
            continue
        coded = sample.coded.coded_as(own, rules[sample.name])
        swept = _swept(coded.cells(), a, b, STORED[-1][1])
        informative, consistent = informative + swept.informative, consistent + swept.count
        if recipe is not None:
            codes += coded.codes.size
            matches += _matches(recipe, sample, pair, rules[sample.name], coded)
    match = matches / codes if codes else Absent("no blend was replayed")
    return QuantizedControl(control, consistent / informative if informative else 0.0, match)


def _recipe_of(replay: BlendReplay) -> _Recipe:
    rule = next(a for a in variants(replay.weights) if a.id == replay.arithmetic)
    return _Recipe(replay.weights, rule, DType(replay.stored))
