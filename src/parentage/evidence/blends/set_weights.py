"""Weights of several parents that are worth a replay, simplest first.

Where one set of weights explains whole tensors, numbers are taken from the ranges that those tensors share;
else from near the pooled estimates. A parent whose weight may be zero is also left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from statistics import median

from parentage.numerics.feasible import candidates
from parentage.records.absence import Absent
from parentage.records.weight_sets import SetComparison, WeightSet

__all__ = ["SetCandidate", "own_candidates", "set_candidates"]

# Parents, in the order of the evidence, and their weights.
SetCandidate = tuple[tuple[int, ...], tuple[float, ...]]

# Replays of a set: each costs as much as a pair's, and the truth has been among the first ten.
MOST = 96
# And for one tensor alone.
OWN = 8
# Numbers tried for each weight, by how many parents there are.
CHOICES = {2: 8, 3: 5, 4: 3}
FEW_CHOICES = 2
# How far from a pooled estimate simple numbers are still tried, and what a hundredth of a weight that
# they are away costs against a character of their description.
NEAR_RADIUS = 0.03
DISTANCE_COST = 1.0
# Weights this close to a sum of one are typed to sum to it.
SUM_SLACK = 2e-3
# Tensors whose blend leads by this much say where the weights lie.
ENOUGH_LEAD = 10.0


def set_candidates(sets: Sequence[WeightSet]) -> list[SetCandidate]:
    """Candidates for the whole suspect, from the sets of all tensors."""
    own = [w for w in sets if w.subject == 0]
    if not own:
        return []
    feasible = [w for w in own if w.feasible]
    found: list[SetCandidate] = []
    if feasible:
        found += _from_ranges(_alike(feasible))
    if 2 * len(feasible) < len(own):
        found += _from_estimates(own)
    return list(dict.fromkeys(found))[: 2 * MOST]


def own_candidates(sets: Sequence[WeightSet], parents: tuple[int, ...]) -> list[SetCandidate]:
    """Candidates for a tensor that alone may have been blended differently, from its own sets."""
    own = [w for w in sets if w.subject == 0 and w.feasible]
    if not own or not set(parents) <= set(own[0].parents):
        return []
    found = []
    for names, weights in _from_ranges(own):
        if set(names) == set(parents):
            # The common recipe's order: float32 sums depend on it.
            found.append((parents, tuple(weights[names.index(p)] for p in parents)))
    return found[:OWN]


def _alike(found: Sequence[WeightSet]) -> list[WeightSet]:
    """The sets that saw their parents as most elements did."""
    votes: dict[str, int] = {}
    for w in found:
        votes[w.cast] = votes.get(w.cast, 0) + w.elements
    usual = max(sorted(votes), key=lambda c: votes[c])
    return [w for w in found if w.cast == usual]


def _from_ranges(found: Sequence[WeightSet]) -> list[SetCandidate]:
    """Simple numbers within the ranges that all of ``found`` allow; where they share none, the widest
    tensor's own."""
    parents = found[0].parents
    count = len(parents)
    lows = [max(w.low[k] for w in found) for k in range(count)]
    highs = [min(w.high[k] for w in found) for k in range(count)]
    sums = max(w.sum_low for w in found), min(w.sum_high for w in found)
    if sums[0] > sums[1] or any(a > b for a, b in zip(lows, highs, strict=True)):
        largest = max(found, key=lambda w: w.elements)
        return _from_ranges([largest]) if len(found) > 1 else []
    ranges = list(zip(lows, highs, strict=True))
    numbers = [_numbers(low, high, count) for low, high in ranges]
    combined = [
        weights
        for weights in _combinations(numbers, ranges)
        if sums[0] <= sum(weights) <= sums[1] + 1e-12 or sums[0] <= round(sum(weights), 9) <= sums[1]
    ]
    combined.sort(key=lambda ws: sum(candidates.description_length(w) for w in ws))
    return _without_zeros(parents, combined[:MOST])


def _numbers(low: float, high: float, count: int) -> list[float]:
    limit = CHOICES.get(count, FEW_CHOICES)
    simple = candidates.simplest_in(low, high, limit)
    return list(dict.fromkeys([*simple, (low + high) / 2]))


def _combinations(
    numbers: Sequence[Sequence[float]], ranges: Sequence[tuple[float, float]]
) -> list[tuple[float, ...]]:
    """All of them, and those in which one weight is what the others leave of one."""
    combined = list(product(*numbers))
    for k, (low, high) in enumerate(ranges):
        for others in product(*(n for j, n in enumerate(numbers) if j != k)):
            rest = candidates.rest_of_one(others)
            if low <= rest <= high:
                combined.append((*others[:k], rest, *others[k:]))
    return list(dict.fromkeys(combined))


def _without_zeros(parents: tuple[int, ...], combined: Sequence[tuple[float, ...]]) -> list[SetCandidate]:
    """Parents of weight zero are no parents."""
    found = []
    for weights in combined:
        kept = [(p, w) for p, w in zip(parents, weights, strict=True) if w != 0.0]
        if len(kept) > 1:
            found.append((tuple(p for p, _ in kept), tuple(w for _, w in kept)))
    return found


def _from_estimates(found: Sequence[WeightSet]) -> list[SetCandidate]:
    """Simple numbers near the replay likelihood's weights, else near the free likelihood's."""
    parents = found[0].parents
    compared = [w.comparison for w in found if not isinstance(w.comparison, Absent)]
    leading = [c for c in compared if c.delta_ll >= ENOUGH_LEAD]
    if not compared:
        return []
    centres = [_middle([c.weights for c in leading])] if leading else []
    centres.append(_middle([c.free_weights for c in compared]))
    candidates_: list[SetCandidate] = []
    for centre in centres:
        candidates_ += _near(parents, centre, _tied(compared, centre))
    return list(dict.fromkeys(candidates_))


def _middle(weights: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(median(column) for column in zip(*weights, strict=True))


def _tied(compared: Sequence[SetComparison], centre: tuple[float, ...]) -> bool:
    tied = sum(c.sum_to_one for c in compared) * 2 >= len(compared)
    return tied or abs(sum(centre) - 1.0) < SUM_SLACK


def _near(parents: tuple[int, ...], centre: tuple[float, ...], tied: bool) -> list[SetCandidate]:
    def cost(weights: tuple[float, ...]) -> float:
        away = sum(abs(w - c) for w, c in zip(weights, centre, strict=True))
        return sum(candidates.description_length(w) for w in weights) + 100 * DISTANCE_COST * away

    numbers = [_near_numbers(c, len(parents)) for c in centre]
    combined = set(product(*numbers))
    if tied:
        last = {(*ws[:-1], round(1.0 - sum(ws[:-1]), 12)) for ws in combined}
        combined = {ws for ws in last if abs(ws[-1] - centre[-1]) <= NEAR_RADIUS}
    ordered = sorted(combined, key=lambda ws: (cost(ws), ws))
    return _without_zeros(parents, [*ordered[:MOST], centre])


def _near_numbers(centre: float, count: int) -> list[float]:
    found = candidates.near(centre, NEAR_RADIUS, 24)
    zero = [0.0] if abs(centre) <= NEAR_RADIUS else []
    ordered = sorted(
        dict.fromkeys([*found, *zero]),
        key=lambda w: candidates.description_length(w) + 100 * DISTANCE_COST * abs(w - centre),
    )
    return ordered[: CHOICES.get(count, FEW_CHOICES) + 1]
