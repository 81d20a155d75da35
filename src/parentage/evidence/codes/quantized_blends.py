"""A merge that was quantised afterwards, seen through its scales: each code allows an interval of numbers,
so an interval of weights; a weight that all allow is replayed, blend and quantiser, code by code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.evidence.codes.coded import Values
from parentage.evidence.codes.quantized import CodedSample, coded_groups
from parentage.evidence.codes.quantized_replays import (
    STORED,
    Blends,
    Recipe,
    codes_given,
    of_pair,
    recipes_for,
    replay,
    replay_with_own_weights,
    replayed,
)
from parentage.evidence.codes.quantized_sets import measure_set
from parentage.evidence.sampling.positions import Sampling
from parentage.evidence.tensors import TensorPlan
from parentage.numerics.feasible import interval
from parentage.numerics.storage.quantizers import CodeCells
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.quantized import (
    AllowedWeights,
    BlendReplay,
    CodedTensor,
    QuantizedBlend,
    QuantizedControl,
)

__all__ = ["measure_blend"]

NOTHING = Absent("no weight is allowed by every code")
# A tensor says something of its own weight where so many of its codes tell the parents apart.
TELLING = 200
# Its simplest weights that are replayed, where each tensor has its own.
OWN_WEIGHTS = 6
Pair = tuple[int, int]
Key = tuple[Pair, int]


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

    @property
    def telling(self) -> bool:
        return self.informative >= TELLING

    @property
    def sound(self) -> bool:
        """A blend by itself: of neither parent alone."""
        alone = self.low <= 0 <= self.high or self.low <= 1 <= self.high
        return self.telling and self.exact and not alone

    def with_(self, found: _Allowed) -> _Allowed:
        return _Allowed(
            self.informative + found.informative,
            self.consistent + found.consistent,
            max(self.low, found.low),
            min(self.high, found.high),
        )


Rows = Mapping[str, Mapping[Key, _Allowed]]
EVERYTHING = _Allowed(0, 0, -np.inf, np.inf)


def measure_blend(
    groups: Sequence[AlignedTensor],
    checkpoints: Sequence[Checkpoint],
    plan: TensorPlan,
    tensors: Sequence[CodedTensor],
    sampling: Sampling,
    workers: int,
) -> QuantizedBlend | Absent:
    """The parents whose blend most codes allow, and its replay where all do: two with weights that sum to
    one, else all that are needed with any weights, else two with weights for each tensor."""
    if not plan.pairs or not tensors:
        return Absent(
            "no two parents were given" if not plan.pairs else "no tensor of codes can be replayed"
        )
    own = Blends(coded_groups(groups), checkpoints, sampling, workers)
    rows = _allowed(own, plan.pairs)
    found = {key: _together(rows, key) for key in _keys(plan.pairs)}
    best_of = {p: max((found[p, k] for k in range(len(STORED))), key=_rank) for p in plan.pairs}
    pair = max(plan.pairs, key=lambda p: _rank(best_of[p]))
    if not best_of[pair].informative:
        return Absent("no code tells the parents apart")
    exact = {d: a for k, (d, _, _) in enumerate(STORED) if (a := found[pair, k]).exact}
    if exact:
        return _one_weight(own, pair, exact, plan.controls)
    several = measure_set(own, plan.parents, plan.controls)
    return several or _in_parts(own, rows, plan) or _unexplained(pair, best_of[pair])


def _unexplained(pair: Pair, best: _Allowed) -> QuantizedBlend:
    return QuantizedBlend(pair, best.informative, best.consistent, NOTHING, NOTHING, NOTHING, ())


def _one_weight(
    own: Blends, pair: Pair, exact: Mapping[DType, _Allowed], controls: Sequence[int]
) -> QuantizedBlend:
    told, recipe = replay(own, pair, recipes_for({d: of_pair(a.low, a.high) for d, a in exact.items()}))
    range_ = _range_of(told, exact)
    return QuantizedBlend(
        parents=pair,
        informative=range_.informative,
        consistent=range_.consistent,
        low=range_.low,
        high=range_.high,
        replay=told,
        controls=tuple(_control(own, pair, c, recipe) for c in controls),
    )


def _range_of(told: BlendReplay, exact: Mapping[DType, _Allowed]) -> _Allowed:
    """Weights allowed if the blend was stored in the coarsest format in which it gives the codes."""
    formats = {told.stored, *told.stored_alike}
    kept = [a for d, a in exact.items() if d.value in formats] or list(exact.values())
    return kept[-1]


def _rank(allowed: _Allowed) -> tuple[bool, float]:
    return allowed.exact, allowed.share


def _keys(pairs: Sequence[Pair]) -> list[Key]:
    return [(pair, k) for pair in pairs for k in range(len(STORED))]


def _allowed(own: Blends, pairs: Sequence[Pair]) -> Rows:
    """For each tensor, pair, and format between, the weights that its codes allow."""
    keys = _keys(pairs)

    def work(sample: CodedSample) -> tuple[str, dict[Key, _Allowed]]:
        cells = sample.coded.cells()
        found = {key: _of_pair(sample, cells, *key) for key in keys}
        return sample.name, {key: a for key, a in found.items() if a is not None and a.informative}

    return dict(own.each(work))


def _together(rows: Rows, key: Key) -> _Allowed:
    total = EVERYTHING
    for row in rows.values():
        total = total.with_(row.get(key, EVERYTHING))
    return total


def _of_pair(sample: CodedSample, cells: CodeCells, pair: Pair, stored: int) -> _Allowed | None:
    a, b = (sample.others[i - 1] for i in pair)
    if a is None or b is None:
        return None
    found = _swept(cells, a, b, stored)
    return _Allowed(found.informative, found.count, found.low, found.high)


def _swept(cells: CodeCells, a: Values, b: Values, stored: int) -> interval.IntervalEstimate:
    """The weights of ``a`` that the inner codes allow."""
    use = cells.inner & np.isfinite(a) & np.isfinite(b)
    first, second = a[use].astype(np.float64), b[use].astype(np.float64)
    low, high = cells.low[use], cells.high[use]
    _, half, least = STORED[stored]
    slack = np.maximum(half * np.maximum(np.abs(low), np.abs(high)), least)
    closed = np.ones(low.size, np.bool_)
    return interval.estimate(first, second, low - slack, high + slack, closed, (low + high) / 2)


def _control(own: Blends, pair: Pair, control: int, recipe: Recipe) -> QuantizedControl:
    """The same path for another model: quantised as the suspect is, its codes as a blend of the pair."""

    def work(sample: CodedSample) -> tuple[int, int, int, int]:
        values = sample.others[control - 1]
        if values is None:
            return 0, 0, 0, 0
        coded = sample.coded.coded_as(values, recipe.rule_for(sample.coded))
        swept = _of_pair(sample, coded.cells(), pair, len(STORED) - 1)
        if swept is None:
            return 0, 0, 0, 0
        matched = codes_given(recipe, sample, pair, coded)
        return swept.informative, swept.consistent, int(coded.codes.size), matched

    informative, consistent, codes, matches = (sum(c) for c in zip(*own.each(work), strict=True))
    match = matches / codes if codes else Absent("it shares no tensor of codes")
    return QuantizedControl(control, consistent / informative if informative else 0.0, match)


def _in_parts(own: Blends, rows: Rows, plan: TensorPlan) -> QuantizedBlend | None:
    """At least half of the tensors whose codes tell are blends of one pair, of one weight or their own."""
    key = max(_keys(plan.pairs), key=lambda k: len(_sound(rows, k)))
    sound = _sound(rows, key)
    telling = [name for name, row in rows.items() if key in row and row[key].telling]
    off = tuple(name for name in telling if name not in sound)
    if len(sound) < 2 or len(off) > len(sound):
        return None
    pair, stored = key[0], STORED[key[1]][0]
    total = EVERYTHING
    for allowed in sound.values():
        total = total.with_(allowed)
    inside = own.only(tuple(sound))
    if total.exact:
        told, recipe = replay(inside, pair, recipes_for({stored: of_pair(total.low, total.high)}))
    else:
        several = {name: of_pair(a.low, a.high, OWN_WEIGHTS) for name, a in sound.items()}
        told, recipe = replay_with_own_weights(inside, pair, several, stored)
    rest = own.only(off).each(lambda s: replayed(recipe, s, pair, own.sampling.seed))
    own_weights = tuple(AllowedWeights(n, a.informative, a.low, a.high) for n, a in sound.items())
    return QuantizedBlend(
        parents=pair,
        informative=sum(rows[n][key].informative for n in telling),
        consistent=sum(rows[n][key].consistent for n in telling),
        low=total.low if total.exact else NOTHING,
        high=total.high if total.exact else NOTHING,
        replay=replace(told, tensors=(*told.tensors, *rest)),
        controls=tuple(_control_in_parts(own, key, c, recipe) for c in plan.controls),
        by_tensor=own_weights,
        off=off,
    )


def _sound(rows: Rows, key: Key) -> dict[str, _Allowed]:
    return {name: row[key] for name, row in rows.items() if key in row and row[key].sound}


def _control_in_parts(own: Blends, key: Key, control: int, recipe: Recipe) -> QuantizedControl:
    """The share of its tensors that are blends by themselves."""

    def work(sample: CodedSample) -> tuple[int, int]:
        values = sample.others[control - 1]
        if values is None:
            return 0, 0
        coded = sample.coded.coded_as(values, recipe.rule_for(sample.coded))
        found = _of_pair(sample, coded.cells(), *key)
        return (0, 0) if found is None else (int(found.telling), int(found.sound))

    telling, sound = (sum(c) for c in zip(*own.each(work), strict=True))
    share = sound / telling if telling else 0.0
    return QuantizedControl(control, share, Absent("tensors were judged one by one"))
