"""Which recipe, under which arithmetic? Candidates compete on a few tensors, the winner runs on all.

Estimates only propose; a recipe is accepted by exact replay alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.engines.devices import CPU
from parentage.engines.engine import Engine
from parentage.engines.threads import map_ordered
from parentage.evidence.blends.mixtures import AS_STORED
from parentage.evidence.full.full_pass import FullPass, replay_every_element
from parentage.evidence.replaying.guesses import (
    Guess,
    best_pair,
    grid_of,
    own_guesses,
    pair_guesses,
    probe_names,
    set_guesses,
)
from parentage.evidence.replaying.later_change import (
    log_likelihood,
    measure_reach,
    measure_replay_fit,
    measure_revision_leads,
)
from parentage.evidence.replaying.orders import retried
from parentage.evidence.replaying.probe import Winner, count_matches, matched_share
from parentage.evidence.replaying.replays import (
    Operands,
    Recipe,
    backward_match,
    prepare,
    replay_tensor,
)
from parentage.evidence.sampling.positions import Sampling
from parentage.evidence.sampling.reading import read_sample
from parentage.methods.linear import variants
from parentage.numerics.feasible import candidates
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.evidence import (
    ArithmeticShare,
    Comparison,
    Replay,
    ReplayTensor,
    SharedSweep,
    TensorEvidence,
)
from parentage.records.weight_sets import SetComparison

__all__ = ["ReplayContext", "search_replays"]

# Elements of a tensor on which candidates compete: eight tensors of 16k tell float32 recipes apart.
PROBE_ELEMENTS = 16_384
# Elements of a tensor on which recipes compete by likelihood where nothing is exact.
LIKELIHOOD_ELEMENTS = 4_096
# Weights that are tried under every arithmetic, and the lead (in log-likelihood, over the whole probe) by
# which an arithmetic must win to be told from another: a likelihood ratio of 150.
FINALISTS = 3
ALIKE = 5.0
CASTS = (AS_STORED, "BF16", "F16")


@dataclass(frozen=True, slots=True)
class ReplayContext:
    """Where samples come from, and who else is put through the same path."""

    groups: dict[str, AlignedTensor]
    checkpoints: Sequence[Checkpoint]
    controls: tuple[int, ...]
    sampling: Sampling
    workers: int
    progress: Callable[[str, int, int], None]
    full: bool = False
    engine: Engine | None = None
    resume: Path | None = None
    device: str = CPU


def search_replays(
    tensors: Sequence[TensorEvidence], sweeps: Sequence[SharedSweep], context: ReplayContext
) -> tuple[Replay, ...]:
    """The suspect's best replay on every tensor, then each control's under the same recipe."""
    pair = best_pair(tensors)
    guesses = set_guesses(tensors)
    if pair is not None:
        guesses += pair_guesses(tensors, sweeps, pair)
    winner: Winner | None = None
    for parents in dict.fromkeys(g.parents for g in guesses):
        mine = [g for g in guesses if g.parents == parents]
        found = _compete(mine, probe_names(tensors, parents), grid_of(tensors, parents), context)
        if found is not None and (winner is None or found.share > winner.share):
            winner = found
    if winner is None:
        return ()
    if winner.share < 1.0:
        winner = retried(winner, guesses)
    if winner.share == 1.0:
        winner, alike = _settle(winner)
    else:
        winner, alike = settle_changed(winner, guesses)
    own = replace(_replay_all(winner, tensors, context), indistinguishable=alike)
    return (own, *_replay_controls(winner.recipe, own, tensors, context))


def _compete(
    guesses: Sequence[Guess], names: Sequence[str], grid: DType | None, context: ReplayContext
) -> Winner | None:
    """The recipe with the most exact matches among the informative elements of the probe."""
    best: Winner | None = None
    for cast in CASTS:
        if best is not None and (best.share == 1.0 or not _wide(names, guesses, context)):
            break
        probe = _read_probe(names, 0, guesses[0].parents, cast, grid, context)
        for guess in guesses:
            for arithmetic in variants(guess.weights):
                recipe = Recipe(guess.parents, guess.weights, arithmetic, cast, grid)
                share = matched_share(probe, recipe, best.share if best else 0.0)
                if probe and (best is None or share > best.share):
                    best = Winner(share, recipe, probe)
    return best


def _settle(winner: Winner) -> tuple[Winner, tuple[str, ...]]:
    """The first arithmetic of those that reproduce every bit of the probe, and the others' ids."""
    alike = []
    for arithmetic in variants(winner.recipe.weights):
        rival = replace(winner.recipe, arithmetic=arithmetic)
        matches, total = count_matches(winner.probe, rival)
        if matches == total:
            alike.append(arithmetic)
    recipe = replace(winner.recipe, arithmetic=alike[0])
    return replace(winner, recipe=recipe), tuple(a.id for a in alike[1:])


def settle_changed(winner: Winner, guesses: Sequence[Guess]) -> tuple[Winner, tuple[str, ...]]:
    """Where nothing replays exactly: the likeliest weights, then the likeliest arithmetic.

    Exact matches mislead here: a change that drifts towards a parent makes a blend nearer to that parent
    match more elements. The likelihood lets the change drift.
    """
    probe = [_thin(operands, LIKELIHOOD_ELEMENTS) for operands in winner.probe]
    told = [o.told() for o in probe]

    def score(recipe: Recipe) -> float:
        return sum(log_likelihood(o, t, recipe) for o, t in zip(probe, told, strict=True))

    parents = winner.recipe.parents
    plain = variants(winner.recipe.weights)[0]
    base = replace(winner.recipe, arithmetic=plain)
    # Simplest first: of weights that are as likely, the simplest is taken.
    weights = [*(g.weights for g in guesses if g.parents == parents), winner.recipe.weights]
    scores = {w: score(replace(base, weights=w)) for w in dict.fromkeys(weights)}
    finalists = sorted(scores, key=lambda w: -scores[w])[:FINALISTS]
    near = next(w for w in scores if scores[w] >= scores[finalists[0]] - ALIKE)
    found = [
        (score(recipe), recipe)
        for w in dict.fromkeys([near, *finalists])
        for a in variants(w)
        if (recipe := replace(base, weights=w, arithmetic=a))
    ]
    top = max(value for value, _ in found)
    likeliest = next(recipe for value, recipe in found if value >= top - ALIKE)
    alike = [r.arithmetic for value, r in found if value >= top - ALIKE and r.weights == likeliest.weights]
    recipe = replace(likeliest, arithmetic=alike[0])
    share = matched_share(winner.probe, recipe, 0.0)
    return replace(winner, recipe=recipe, share=share), tuple(a.id for a in alike[1:])


def _wide(names: Sequence[str], guesses: Sequence[Guess], context: ReplayContext) -> bool:
    """Is any parent stored wider than 16 bits, so that a merger may have cast it?"""
    refs = (context.groups[name].others[i - 1] for name in names for i in guesses[0].parents)
    return any(getattr(ref, "dtype", None) == "F32" for ref in refs)


def _read_probe(
    names: Sequence[str],
    subject: int,
    parents: tuple[int, ...],
    cast: str,
    grid: DType | None,
    context: ReplayContext,
) -> list[Operands]:
    found = []
    for name in names:
        sample = read_sample(context.groups[name], context.checkpoints, context.sampling)
        operands = prepare(sample, subject, parents, cast, grid)
        if operands is not None and operands.informative.any():
            found.append(_thin(operands))
    return found


def _thin(operands: Operands, most: int = PROBE_ELEMENTS) -> Operands:
    chosen = np.flatnonzero(operands.informative)
    if chosen.size > most:
        chosen = chosen[np.linspace(0, chosen.size - 1, most).astype(np.int64)]
    return operands.only(chosen)


def _replay_all(winner: Winner, tensors: Sequence[TensorEvidence], context: ReplayContext) -> Replay:
    recipe = winner.recipe

    def work(tensor: TensorEvidence) -> tuple[ReplayTensor, tuple[int, int], Recipe] | None:
        sample = read_sample(
            context.groups[tensor.name],
            context.checkpoints,
            context.sampling,
        )
        operands = prepare(sample, 0, recipe.parents, recipe.cast, recipe.grid)
        if operands is None:
            return None
        chosen = _own_recipe(tensor, operands, recipe)
        return _replayed(tensor, operands, chosen), backward_match(operands, chosen), chosen

    found = []
    for done, item in enumerate(map_ordered(work, tensors, workers=context.workers), 1):
        context.progress("replaying", done, len(tensors))
        if item is not None:
            found.append(item)
    own = _total(0, recipe, [t for t, _, _ in found], [b for _, b, _ in found], _rivals(winner))
    if not context.full:
        return own
    plan = FullPass(
        context.groups,
        context.checkpoints,
        context.workers,
        context.progress,
        engine=context.engine,
        resume=context.resume,
        device=context.device,
    )
    return replay_every_element(own, {t.name: chosen for t, _, chosen in found}, tensors, plan)


def _replayed(tensor: TensorEvidence, operands: Operands, recipe: Recipe) -> ReplayTensor:
    found = replay_tensor(tensor.name, operands, recipe)
    if found.informative_matches == found.informative:
        return found
    fit = measure_replay_fit(operands, recipe, _comparison(tensor, recipe))
    return replace(
        found,
        reach=measure_reach(operands, recipe, () if isinstance(fit, Absent) else fit.drift),
        fit=fit,
        revision_leads=measure_revision_leads(operands, recipe),
    )


def _comparison(tensor: TensorEvidence, recipe: Recipe) -> Comparison | SetComparison | Absent:
    """The likelihoods of the recipe's parents, as they were seen by the replay."""
    parents = set(recipe.parents)
    for m in tensor.mixtures:
        if m.subject == 0 and {m.first, m.second} == parents:
            return m.comparison
    for w in tensor.weights:
        if w.subject == 0 and set(w.parents) == parents and w.cast == recipe.cast:
            return w.comparison
    return Absent("these parents were not compared here")


def _own_recipe(tensor: TensorEvidence, operands: Operands, recipe: Recipe) -> Recipe:
    """The common recipe, unless the tensor allows none of it and another weight explains it all."""
    if not operands.informative.any():
        return recipe
    best, share = recipe, matched_share([operands], recipe, 0.0)
    if share == 1.0:
        return best
    for guess in own_guesses(tensor, recipe.parents):
        for arithmetic in dict.fromkeys((recipe.arithmetic, *variants(guess.weights)[:2])):
            own = replace(recipe, weights=guess.weights, arithmetic=arithmetic)
            found = matched_share([operands], own, share)
            if found > share:
                best, share = own, found
        if share == 1.0:
            break
    return best


def _rivals(winner: Winner) -> tuple[ArithmeticShare, ...]:
    """The same weights under every other arithmetic: can they be told apart?"""
    recipe = winner.recipe
    found = []
    for arithmetic in variants(recipe.weights):
        matches, total = count_matches(winner.probe, replace(recipe, arithmetic=arithmetic))
        found.append(ArithmeticShare(arithmetic.id, recipe.cast, matches, total))
    return tuple(sorted(found, key=lambda a: (-a.matches, a.arithmetic)))


def _replay_controls(
    recipe: Recipe, own: Replay, tensors: Sequence[TensorEvidence], context: ReplayContext
) -> list[Replay]:
    names = probe_names(tensors, recipe.parents)
    found = []
    for control in context.controls:
        probe = _read_probe(names, control, recipe.parents, recipe.cast, recipe.grid, context)
        matches, total = count_matches(probe, recipe)
        entry = replace(
            own,
            subject=control,
            examined=total,
            matches=matches,
            informative=total,
            informative_matches=matches,
            backward_matches=0,
            backward_informative=0,
            full=False,
            alternatives=(),
            tensors=(),
        )
        found.append(entry)
    return found


def _total(
    subject: int,
    recipe: Recipe,
    tensors: list[ReplayTensor],
    backward: list[tuple[int, int]],
    alternatives: tuple[ArithmeticShare, ...],
) -> Replay:
    label = " : ".join(candidates.describe(w) for w in recipe.weights)
    return Replay(
        subject=subject,
        parents=recipe.parents,
        arithmetic=recipe.arithmetic.id,
        cast=recipe.cast,
        weights=recipe.weights,
        label=label,
        examined=sum(t.examined for t in tensors),
        matches=sum(t.matches for t in tensors),
        informative=sum(t.informative for t in tensors),
        informative_matches=sum(t.informative_matches for t in tensors),
        backward_matches=sum(hit for hit, _ in backward),
        backward_informative=sum(total for _, total in backward),
        full=False,
        alternatives=alternatives,
        tensors=tuple(tensors),
    )
