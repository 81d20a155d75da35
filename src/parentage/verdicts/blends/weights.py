"""Weights of the parents, whole model and tensor by tensor, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.evidence import Comparison, Mixture, Replay
from parentage.records.report import VerdictParent
from parentage.verdicts.beside.tensors import NOT_TESTED, TensorReading
from parentage.verdicts.blends.blend_tests import passes_later_change
from parentage.verdicts.blends.post_training import pooled_weights
from parentage.verdicts.readings import Readings

__all__ = ["CERTAIN", "mixture_weights", "model_weights", "tensor_weights"]

LEVEL = 0.95
# A feasible set excludes every number outside it outright.
CERTAIN = 1.0
NO_GRID = Absent("not on the grid of a stored blend: a weight would mean nothing here")


def tensor_weights(reading: TensorReading, parents: Sequence[int]) -> tuple[Estimate | Absent, ...]:
    """One tensor's weights in the order of the verdict's parents."""
    replay = reading.replay
    if replay is not None and reading.kind == "exact" and not _on_a_line(replay.weights):
        return _set_weights(reading, replay.weights, parents)
    if reading.weight_set is not None:
        return _likely_set(reading, parents)
    if reading.mixture is None or {reading.mixture.first, reading.mixture.second} != set(parents):
        return tuple(NOT_TESTED for _ in parents)
    exact = replay is not None and reading.kind == "exact"
    return mixture_weights(reading.mixture, replay.weights[0] if exact and replay else None)


def _on_a_line(weights: Sequence[float]) -> bool:
    """Two weights that sum to one: the second is what the first leaves."""
    return len(weights) == 2 and abs(sum(weights) - 1.0) < 1e-9


def _set_weights(
    reading: TensorReading, weights: Sequence[float], parents: Sequence[int]
) -> tuple[Estimate | Absent, ...]:
    """Each replayed weight with the range that the tensor's elements allow it."""
    if len(weights) != len(parents):
        # The verdict speaks of other parents than the recipe that was replayed.
        return tuple(Absent("the recipe that was replayed has other parents") for _ in parents)
    for found in reading.tensor.weights:
        if found.subject == 0 and found.feasible and set(parents) <= set(found.parents):
            places = [found.parents.index(p) for p in parents]
            ends = [(found.low[k], found.high[k]) for k in places]
            bounds = list(zip(weights, ends, strict=True))
            if not all(low <= w <= high for w, (low, high) in bounds):
                # Roundings of the arithmetic's own: the set is that of other weights, by chance.
                return tuple(Estimate(w, w, w, CERTAIN) for w in weights)
            return tuple(Estimate(w, low, high, CERTAIN) for w, (low, high) in bounds)
    return tuple(Absent("too few elements differ for a range of the weights") for _ in parents)


def _likely_set(reading: TensorReading, parents: Sequence[int]) -> tuple[Estimate | Absent, ...]:
    """Several parents' weights: the feasible set where there is one, else the likelihood's intervals."""
    found = reading.weight_set
    if found is None or not set(parents) <= set(found.parents):
        return tuple(NOT_TESTED for _ in parents)
    places = [found.parents.index(p) for p in parents]
    if found.feasible:
        return tuple(Estimate(found.estimate[k], found.low[k], found.high[k], CERTAIN) for k in places)
    tested = found.comparison
    if isinstance(tested, Absent):
        return tuple(tested for _ in parents)
    if not passes_later_change(tested):
        return tuple(NO_GRID for _ in parents)
    return tuple(Estimate(tested.weights[k], tested.low[k], tested.high[k], LEVEL) for k in places)


def mixture_weights(mixture: Mixture, replayed: float | None) -> tuple[Estimate | Absent, ...]:
    """α and 1 - α: the feasible set when one weight explains all, else the likelihood's interval."""
    if mixture.informative == 0:
        reason = Absent("the parents are equal here")
        return (reason, reason)
    # An arithmetic with roundings of its own may leave a set that another weight explains by chance.
    foreign = replayed is not None and not mixture.low <= replayed <= mixture.high
    if mixture.consistency == 1.0 and not foreign:
        middle = (mixture.low + mixture.high) / 2
        first = Estimate(middle if replayed is None else replayed, mixture.low, mixture.high, CERTAIN)
    elif replayed is not None:
        first = Estimate(replayed, replayed, replayed, CERTAIN)
    else:
        found = _from_likelihood(mixture.comparison)
        if isinstance(found, Absent):
            return (found, found)
        first = found
    second = Estimate(1 - first.estimate, 1 - first.high, 1 - first.low, first.level)
    return (first, second)


def _from_likelihood(comparison: Comparison | Absent) -> Estimate | Absent:
    if isinstance(comparison, Absent):
        return comparison
    low, high = comparison.alpha_low, comparison.alpha_high
    if isinstance(low, Absent) or isinstance(high, Absent) or not passes_later_change(comparison):
        return NO_GRID
    return Estimate(comparison.alpha, min(low, comparison.alpha), max(high, comparison.alpha), LEVEL)


def model_weights(
    readings: Readings, tensors: Sequence[TensorReading], parents: Sequence[int]
) -> tuple[VerdictParent, ...]:
    """One weight a parent for the whole model, when one describes it."""
    names = [readings.name(i) for i in parents]
    changed = [t for t in tensors if t.kind == "changed" and t.eligible]
    explained = [t for t in tensors if t.kind in ("exact", "blend") and _alike(t, readings)]
    if sum(t.eligible for t in explained) >= max(1, len(changed)) and readings.replay is not None:
        found = [tensor_weights(t, parents) for t in explained]
        weights = _in_order(readings.replay, parents)
        return tuple(
            VerdictParent(name, _whole([row[k] for row in found], weights[k]))
            for k, name in enumerate(names)
        )
    pooled = pooled_weights(changed, parents)
    return tuple(VerdictParent(n, e) for n, e in zip(names, pooled, strict=True))


def _in_order(replay: Replay, parents: Sequence[int]) -> tuple[float, ...]:
    """The replayed weights in the order of the verdict's parents; not a number where it has others."""
    known = dict(zip(replay.parents, replay.weights, strict=True))
    return tuple(known.get(p, math.nan) for p in parents)


def _alike(reading: TensorReading, readings: Readings) -> bool:
    """Did this tensor see its parents as the replay did? Where they meet once cast, as another cast
    shows them they may fit any weight."""
    cast = None if readings.replay is None else readings.replay.cast
    return reading.replay is not None and (reading.mixture is None or reading.mixture.cast == cast)


def _whole(found: Sequence[Estimate | Absent], weight: float) -> Estimate | Absent:
    """The intersection of the tensors' feasible sets when it holds the weight, else their range."""
    known = [e for e in found if isinstance(e, Estimate) and e.low < e.high]
    if not known and math.isnan(weight):
        return Absent("no tensor is large enough for a range of the weight")
    if not known:
        return Estimate(weight, weight, weight, CERTAIN)
    low, high = max(e.low for e in known), min(e.high for e in known)
    if low <= weight <= high:
        return Estimate(weight, low, high, CERTAIN)
    return Estimate(
        median(e.estimate for e in known),
        min(e.estimate for e in known),
        max(e.estimate for e in known),
        CERTAIN,
    )
