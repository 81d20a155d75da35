"""Which recipe, under which arithmetic? Candidates are tried on a few tensors, the winner on all.

Estimates only propose; a recipe is accepted by exact replay alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median

import numpy as np

from parentage.architectures.alignment import AlignedTensor, Alignment
from parentage.checkpoints.local import Checkpoint
from parentage.evidence.mixtures import AS_STORED
from parentage.evidence.reading import read_sample
from parentage.evidence.replays import (
    Operands,
    Recipe,
    backward_match,
    predict_bits,
    prepare,
    replay_tensor,
)
from parentage.evidence.sweeps import SharedSweep
from parentage.methods.linear import Arithmetic, variants
from parentage.numerics import candidates
from parentage.records.absence import Absent
from parentage.records.evidence import Mixture, Replay, ReplayTensor, TensorEvidence

__all__ = ["search_replays"]

# Tensors and elements on which candidates compete: 64k elements tell float32 recipes apart.
PROBE_TENSORS = 8
PROBE_ELEMENTS = 16_384
# How far from a pooled estimate simple numbers are still tried when no weight explains everything.
NEAR_RADIUS = 0.03
NEAR_LIMIT = 24
SIMPLE_LIMIT = 6


@dataclass(frozen=True, slots=True)
class _Guess:
    """Weights that are worth a replay on every tensor, or by group of tensors."""

    parents: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Probe:
    name: str
    operands: Operands


def _probe_names(tensors: Sequence[TensorEvidence], pair: tuple[int, ...]) -> list[str]:
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


def pair_guesses(
    tensors: Sequence[TensorEvidence], sweeps: Sequence[SharedSweep], pair: tuple[int, int]
) -> list[_Guess]:
    """Simple numbers in the set that all tensors allow; else near the pooled estimates."""
    alphas: list[float] = []
    for sweep in sweeps:
        same = sweep.subject == 0 and (sweep.first, sweep.second) == pair
        if same and not isinstance(sweep.low, Absent) and not isinstance(sweep.high, Absent):
            alphas += candidates.simplest_in(sweep.low, sweep.high, SIMPLE_LIMIT)
    for centre in _centres(tensors, pair):
        alphas += candidates.near(centre, NEAR_RADIUS, NEAR_LIMIT)
    kept = dict.fromkeys(a for a in alphas if a not in (0.0, 1.0) and abs(a) <= 4)
    return [_Guess(pair, (a, 1.0 - a)) for a in kept]


def _centres(tensors: Sequence[TensorEvidence], pair: tuple[int, int]) -> list[float]:
    replayed, free, swept = [], [], []
    for t in tensors:
        for m in t.mixtures:
            if m.subject != 0 or (m.first, m.second) != pair or m.informative < 200:
                continue
            if m.consistency == 1.0:
                swept.append((m.low + m.high) / 2)
            if not isinstance(m.comparison, Absent):
                replayed.append(m.comparison.alpha)
                free.append(m.comparison.free_alpha)
    return [median(found) for found in (swept, replayed, free) if found]


def set_guesses(tensors: Sequence[TensorEvidence]) -> list[_Guess]:
    """Simple numbers for each of three or more weights, from the ranges that tensors share."""
    found = [w for t in tensors for w in t.weights if w.feasible]
    if not found:
        return []
    parents = found[0].parents
    choices = []
    for k in range(len(parents)):
        low, high = max(w.low[k] for w in found), min(w.high[k] for w in found)
        middle = median(w.estimate[k] for w in found)
        simple = candidates.simplest_in(low, high, 2) if low <= high else []
        choices.append(list(dict.fromkeys([*simple, round(middle, 3), middle]))[:3])
    return [_Guess(parents, tuple(c)) for c in product(*choices)][:128]


def search_replays(
    tensors: Sequence[TensorEvidence],
    sweeps: Sequence[SharedSweep],
    alignment: Alignment,
    checkpoints: Sequence[Checkpoint],
    *,
    sample: int,
    seed: int,
    progress: Callable[[str, int, int], None],
) -> tuple[Replay, ...]:
    """The best replay of the suspect on every tensor, and the runner-up arithmetic on the probe."""
    groups = {g.name: g for g in alignment.groups}
    pair = best_pair(tensors)
    guesses = set_guesses(tensors)
    if pair is not None:
        guesses += pair_guesses(tensors, sweeps, pair)
    if not guesses:
        return ()

    def read(name: str) -> tuple[str, AlignedTensor]:
        return name, groups[name]

    best: tuple[float, Recipe] | None = None
    for parents in dict.fromkeys(g.parents for g in guesses):
        names = _probe_names(tensors, parents)
        mine = [g for g in guesses if g.parents == parents]
        found = _compete(mine, names, groups, checkpoints, sample, seed)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
    if best is None:
        return ()
    recipe = best[1]
    return (_replay_all(recipe, tensors, groups, checkpoints, sample, seed, progress),)


def _compete(
    guesses: Sequence[_Guess],
    names: Sequence[str],
    groups: dict[str, AlignedTensor],
    checkpoints: Sequence[Checkpoint],
    sample: int,
    seed: int,
) -> tuple[float, Recipe] | None:
    """The recipe with the most exact matches among informative elements of the probe."""
    best: tuple[float, Recipe] | None = None
    for cast in (AS_STORED, "BF16", "F16"):
        probe = _read_probe(names, groups, checkpoints, guesses[0].parents, cast, sample, seed)
        if not probe:
            continue
        for guess in guesses:
            for arithmetic in variants(guess.weights):
                recipe = Recipe(guess.parents, guess.weights, arithmetic, cast)
                share = _share(probe, recipe, best[0] if best else 0.0)
                if best is None or share > best[0]:
                    best = (share, recipe)
        if best is not None and best[0] == 1.0:
            break
    return best


def _read_probe(
    names: Sequence[str],
    groups: dict[str, AlignedTensor],
    checkpoints: Sequence[Checkpoint],
    parents: tuple[int, ...],
    cast: str,
    sample: int,
    seed: int,
) -> list[_Probe]:
    found = []
    for name in names:
        read = read_sample(groups[name], checkpoints, sample=sample, seed=seed)
        operands = prepare(read, 0, parents, cast)
        if operands is not None and operands.informative.any():
            found.append(_Probe(name, _thin(operands)))
    return found


def _thin(operands: Operands) -> Operands:
    chosen = np.flatnonzero(operands.informative)
    if chosen.size > PROBE_ELEMENTS:
        chosen = chosen[np.linspace(0, chosen.size - 1, PROBE_ELEMENTS).astype(np.int64)]
    return Operands(
        operands.parents[:, chosen],
        operands.suspect[chosen],
        operands.bits[chosen],
        operands.dtype,
        operands.informative[chosen],
    )


def _share(probe: Sequence[_Probe], recipe: Recipe, to_beat: float) -> float:
    """Share of exact matches; gives up on a recipe that its first tensor already rules out."""
    matches = total = 0
    for item in probe:
        bits = predict_bits(item.operands, recipe)
        matches += int(np.count_nonzero(bits == item.operands.bits))
        total += bits.size
        if matches / total < to_beat - 0.2:
            return matches / total
    return matches / total if total else 0.0
