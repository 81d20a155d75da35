"""Weights of the parents, whole model and tensor by tensor, each with its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.evidence import Comparison, Mixture
from parentage.records.report import Heterogeneity, VerdictParent
from parentage.verdicts.blend_tests import passes_later_change
from parentage.verdicts.post_training import pooled_weights
from parentage.verdicts.readings import Readings
from parentage.verdicts.tensors import NOT_TESTED, TensorReading

__all__ = ["heterogeneity", "mixture_weights", "model_weights", "tensor_weights"]

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
            bounds = zip(weights, ends, strict=True)
            return tuple(Estimate(w, min(w, low), max(w, high), CERTAIN) for w, (low, high) in bounds)
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
    if isinstance(tested, Absent) or not passes_later_change(tested):
        return tuple(NO_GRID for _ in parents)
    return tuple(Estimate(tested.weights[k], tested.low[k], tested.high[k], LEVEL) for k in places)


def mixture_weights(mixture: Mixture, replayed: float | None) -> tuple[Estimate | Absent, ...]:
    """α and 1 - α: the feasible set when one weight explains all, else the likelihood's interval."""
    if mixture.informative == 0:
        reason = Absent("the parents are equal here")
        return (reason, reason)
    if mixture.consistency == 1.0:
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
    exact = [t for t in tensors if t.kind == "exact" and _alike(t, readings)]
    if sum(t.eligible for t in exact) >= max(1, len(changed)) and readings.replay is not None:
        found = [tensor_weights(t, parents) for t in exact]
        weights = readings.replay.weights
        return tuple(
            VerdictParent(name, _whole([row[k] for row in found], weights[k]))
            for k, name in enumerate(names)
        )
    pooled = pooled_weights(changed, parents)
    return tuple(VerdictParent(n, e) for n, e in zip(names, pooled, strict=True))


def _alike(reading: TensorReading, readings: Readings) -> bool:
    """Did this tensor see its parents as the replay did? Where they meet once cast, as another cast
    shows them they may fit any weight."""
    cast = None if readings.replay is None else readings.replay.cast
    return reading.replay is not None and (reading.mixture is None or reading.mixture.cast == cast)


def _whole(found: Sequence[Estimate | Absent], weight: float) -> Estimate:
    """The intersection of the tensors' feasible sets when it holds the weight, else their range."""
    known = [e for e in found if isinstance(e, Estimate) and e.low < e.high]
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


def heterogeneity(tensors: Sequence[TensorReading], parents: Sequence[int]) -> Heterogeneity | Absent:
    """One weight for all, one a component, a course over depth, or one a tensor."""
    rows = [(t, w[0]) for t in tensors if isinstance((w := _weights(t, parents))[0], Estimate)]
    known = [(t, e) for t, e in rows if isinstance(e, Estimate) and t.kind in _BLENDS]
    casts = Counter(t.mixture.cast for t, _ in known if t.mixture is not None)
    usual = casts.most_common(1)[0][0] if casts else ""
    known = [(t, e) for t, e in known if t.mixture is None or t.mixture.cast == usual]
    if len(known) < 2:
        return Absent("fewer than two tensors carry a weight")
    estimates = [e.estimate for _, e in known]
    low, high = min(estimates), max(estimates)
    if max(e.low for _, e in known) <= min(e.high for _, e in known):
        return Heterogeneity("one-weight", "One weight fits every tensor.", low, high)
    for pattern, key, sentence in _PATTERNS:
        if _constant_within(known, key):
            return Heterogeneity(pattern, sentence, low, high)
    if all(e.level != CERTAIN for _, e in known):
        sentence = "The tensors' intervals do not all overlap; their spread is part of the interval."
        return Heterogeneity("varies", sentence, low, high)
    return Heterogeneity("by-tensor", "The weight differs from tensor to tensor.", low, high)


_BLENDS = ("exact", "blend", "changed")
_PATTERNS: tuple[tuple[str, Callable[[TensorReading], str], str], ...] = (
    ("by-component", lambda t: t.tensor.component, "One weight for each kind of component."),
    ("by-depth", lambda t: str(t.tensor.layer), "One weight for each layer."),
)


def _weights(reading: TensorReading, parents: Sequence[int]) -> tuple[Estimate | Absent, ...]:
    return tensor_weights(reading, parents)


def _constant_within(
    known: Sequence[tuple[TensorReading, Estimate]], key: Callable[[TensorReading], str]
) -> bool:
    groups: dict[str, list[Estimate]] = {}
    for reading, estimate in known:
        groups.setdefault(key(reading), []).append(estimate)
    if len(groups) in (1, len(known)):
        return False
    return all(max(e.low for e in g) <= min(e.high for e in g) for g in groups.values())
