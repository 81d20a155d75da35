"""The same recipe computed otherwise: sums in another order, weights of which one was computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

from parentage.evidence.replaying.guesses import Guess
from parentage.evidence.replaying.probe import Winner, matched_share
from parentage.evidence.replaying.replays import Operands, Recipe
from parentage.methods.linear import variants
from parentage.numerics.feasible import candidates

__all__ = ["retried"]

# Orders grow as the factorial: 24 of four parents take a second.
MOST_REORDERED = 4
# Recipes that are tried in every order, where a first one comes near: another order of three operands
# moves one element in a hundred, ties at worst one in three.
WORTH_REORDERING = 0.6
PLAINEST = 6
# Ties between a typed weight and a computed one are fewer than one element in a hundred.
WORTH_RETYPING = 0.99


def retried(winner: Winner, guesses: Sequence[Guess]) -> Winner:
    """The recipe, or a plainer one, with its parents summed in another order: float32 sums of three or
    more differ by it, and where many sums are ties, weights next to the true ones match more than the
    true ones in a wrong order."""
    count = len(winner.recipe.parents)
    if count == 2:
        return _retyped(winner) if winner.share >= WORTH_RETYPING else winner
    if count > MOST_REORDERED or winner.share < WORTH_REORDERING:
        return winner
    plain = sorted(
        {g.weights for g in guesses if g.parents == winner.recipe.parents},
        key=lambda ws: (sum(candidates.description_length(w) for w in ws), ws),
    )
    best = winner
    for weights in dict.fromkeys((winner.recipe.weights, *plain[:PLAINEST])):
        best = _best_order(best, replace(winner.recipe, weights=weights), winner.probe)
        if best.share == 1.0:
            break
    return best


def _retyped(winner: Winner) -> Winner:
    """Two weights of which one was computed: 1 - .95 is not .05 in float64, and ties tell them apart."""
    typed = [round(w, 6) for w in winner.recipe.weights]
    pairs = [(typed[0], 1.0 - typed[0]), (1.0 - typed[1], typed[1]), (typed[0], typed[1])]
    best = winner
    for weights in dict.fromkeys(pairs):
        for arithmetic in variants(weights):
            tried = replace(winner.recipe, weights=weights, arithmetic=arithmetic)
            share = matched_share(winner.probe, tried, best.share)
            if share > best.share:
                best = Winner(share, tried, winner.probe)
    return best


def _best_order(best: Winner, base: Recipe, probe: Sequence[Operands]) -> Winner:
    for order in permutations(range(len(base.parents))):
        recipe = replace(
            base,
            parents=tuple(base.parents[k] for k in order),
            weights=tuple(base.weights[k] for k in order),
        )
        turned = [replace(o, parents=o.parents[list(order)]) for o in probe]
        for arithmetic in variants(recipe.weights):
            tried = replace(recipe, arithmetic=arithmetic)
            share = matched_share(turned, tried, best.share)
            if share > best.share:
                best = Winner(share, tried, turned)
        if best.share == 1.0:
            break
    return best
