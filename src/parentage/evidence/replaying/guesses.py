"""Which weights are worth a replay: simple numbers that the evidence allows or that lie near it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from parentage.evidence.blends.set_weights import own_candidates, set_candidates
from parentage.numerics.feasible import candidates
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.evidence import Comparison, Mixture, SharedSweep, TensorEvidence
from parentage.records.weight_sets import SetComparison

__all__ = ["Guess", "best_pair", "grid_of", "own_guesses", "pair_guesses", "probe_names", "set_guesses"]

PROBE_TENSORS = 8
# How far from a pooled estimate simple numbers are still tried when no weight explains everything.
NEAR_RADIUS = 0.03
NEAR_LIMIT = 24
SIMPLE_LIMIT = 6
# Fewer informative elements say "above a half", not a number.
ENOUGH = 200


@dataclass(frozen=True, slots=True)
class Guess:
    """Weights that are worth a replay on every tensor, or by group of tensors."""

    parents: tuple[int, ...]
    weights: tuple[float, ...]


def probe_names(tensors: Sequence[TensorEvidence], pair: tuple[int, ...]) -> list[str]:
    """Tensors with the most informative elements, spread over the model."""
    scored = []
    for t in tensors:
        informative = max(
            (m.informative for m in t.mixtures if m.subject == 0 and _within(m, pair)), default=0
        )
        informative = max([informative, *(w.elements for w in t.weights)])
        if informative:
            scored.append((-informative, t.name))
    best = [name for _, name in sorted(scored)[: 4 * PROBE_TENSORS]]
    step = max(1, len(best) // PROBE_TENSORS)
    return best[::step][:PROBE_TENSORS]


def _within(mixture: Mixture, parents: tuple[int, ...]) -> bool:
    return mixture.first in parents and mixture.second in parents


def best_pair(tensors: Sequence[TensorEvidence]) -> tuple[int, int] | None:
    """The pair whose blends leave the least of the suspect unexplained over all tensors."""
    rest: dict[tuple[int, int], float] = {}
    for t in tensors:
        if t.spread == 0 or t.finite == 0:
            continue
        for m in t.mixtures:
            if m.subject != 0:
                continue
            g, i, j = t.gram, m.first - 1, m.second - 1
            dd = g[i][i] - 2 * g[i][j] + g[j][j]
            dm = g[j][j] - g[i][j]
            left = max(g[j][j] - (dm * dm / dd if dd > 0 else 0.0), 0.0)
            key = (m.first, m.second)
            rest[key] = rest.get(key, 0.0) + left / (t.spread**2 * t.finite)
    return min(sorted(rest), key=lambda k: rest[k]) if rest else None


def grid_of(tensors: Sequence[TensorEvidence], parents: tuple[int, ...]) -> DType | None:
    """The 16-bit format that a blend of these parents was stored in before it was changed in 32 bits.

    As the likelihoods of most numbers of such tensors see it; None where they see none, or where one weight
    explains a tensor of 32 bits, which was stored so.
    """
    votes: dict[str, int] = {}
    for tensor in tensors:
        if DType(tensor.effective_dtypes[0]) is not DType.F32:
            continue
        for m in tensor.mixtures:
            if m.subject != 0 or {m.first, m.second} != set(parents) or m.informative < ENOUGH:
                continue
            if m.consistency == 1.0:
                return None
            _vote(votes, m.comparison)
        for w in tensor.weights:
            if w.subject == 0 and set(w.parents) == set(parents):
                _vote(votes, w.comparison)
    top = max(votes, key=lambda name: votes[name], default="")
    return DType(top) if top in ("BF16", "F16") else None


def _vote(votes: dict[str, int], comparison: Comparison | SetComparison | Absent) -> None:
    if not isinstance(comparison, Absent):
        votes[comparison.merge_dtype] = votes.get(comparison.merge_dtype, 0) + comparison.elements


def pair_guesses(
    tensors: Sequence[TensorEvidence], sweeps: Sequence[SharedSweep], pair: tuple[int, int]
) -> list[Guess]:
    """Simple numbers in the set that all tensors allow; else near the pooled estimates."""
    alphas: list[float] = []
    centres = _centres(tensors, pair)
    for sweep in sweeps:
        same = sweep.subject == 0 and (sweep.first, sweep.second) == pair
        if not same or isinstance(sweep.low, Absent) or isinstance(sweep.high, Absent):
            continue
        # A range that only vectors allow ("above a half") is no place to look for a number.
        if _carried(tensors, pair) or not centres:
            alphas += candidates.simplest_in(sweep.low, sweep.high, SIMPLE_LIMIT)
    for centre in centres:
        alphas += candidates.near(centre, NEAR_RADIUS, NEAR_LIMIT)
    alphas += centres
    kept = dict.fromkeys(a for a in alphas if a not in (0.0, 1.0) and abs(a) <= 4)
    return [Guess(pair, (a, candidates.rest_of_one([a]))) for a in kept]


def _carried(tensors: Sequence[TensorEvidence], pair: tuple[int, int]) -> bool:
    """Does one weight explain at least one tensor that is large enough to say which?"""
    return any(
        m.subject == 0 and (m.first, m.second) == pair and m.consistency == 1.0 and m.informative >= ENOUGH
        for t in tensors
        for m in t.mixtures
    )


def _centres(tensors: Sequence[TensorEvidence], pair: tuple[int, int]) -> list[float]:
    replayed, free, swept = [], [], []
    for t in tensors:
        for m in t.mixtures:
            if m.subject != 0 or (m.first, m.second) != pair or m.informative < ENOUGH:
                continue
            if m.consistency == 1.0:
                swept.append((m.low + m.high) / 2)
            if not isinstance(m.comparison, Absent):
                replayed.append(m.comparison.alpha)
                free.append(m.comparison.free_alpha)
    return [median(found) for found in (swept, replayed, free) if found]


def set_guesses(tensors: Sequence[TensorEvidence]) -> list[Guess]:
    """Simple numbers for the weights of a set: three or more parents, or two whose sum is free."""
    sets = [w for t in tensors for w in t.weights]
    return [Guess(parents, weights) for parents, weights in set_candidates(sets)]


def own_guesses(tensor: TensorEvidence, pair: tuple[int, ...]) -> list[Guess]:
    """Simple weights that one tensor allows, for a suspect whose tensors were blended differently."""
    for m in tensor.mixtures:
        if m.subject == 0 and (m.first, m.second) == pair and m.consistency == 1.0:
            simple = candidates.simplest_in(m.low, m.high, 4)
            return [Guess(pair, (a, candidates.rest_of_one([a]))) for a in simple]
    return [Guess(parents, weights) for parents, weights in own_candidates(tensor.weights, pair)]
