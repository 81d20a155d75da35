"""Recipes that explain a suspect about as well as the best weights: isolated points that no sampling meets.

At a recipe such as .5 : .3 : .2 many elements are exact ties, and the order in which a merger sums decides
each of them. Summed in another order than the merger's, the true recipe may lose to a false one (seen: two
nearly equal parents' weights exchanged, by 17 in log-likelihood). So each recipe is asked in every order.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.likelihoods.blend_field import Field
from parentage.numerics.likelihoods.profile import profile_at

__all__ = ["isolated_recipes"]

Floats = NDArray[np.float64]

# Recipes are written with so many decimals, and differ from one another by such steps of a weight.
_DECIMALS: Final = 3
_STEPS: Final = (0.01, 0.05, 0.1)
# Orders of sums gained 25 in log-likelihood at most.
_WORTH_ORDERING: Final = 60.0
# All orders of four parents are 24; of more, the given one is taken.
_MOST_ORDERED: Final = 4
# A recipe stands out where it leads weights this far from it by so much.
_ASIDE: Final = 1e-4
_STANDS_OUT: Final = 2.0


def isolated_recipes(field: Field, *, within: float) -> tuple[Floats, Field | None]:
    """Recipes [R, K] that stand out from the weights around them and, in their best order of sums, come
    ``within`` of the best weights known; and the field at the best of them. None where none does.

    Tried are the field's own weights as a recipe, those in which two parents exchange theirs, and those in
    which one gives to another what people's recipes differ by.
    """
    tried = _near(_recipe(field.weights))
    tried = tried[_values(field, tried) >= field.log_likelihood - _WORTH_ORDERING]
    if len(tried) == 0:
        return tried, None
    fields = [_ordered(field, order) for order in _orders(field.weights.size)]
    values = np.array([_values(f, tried) for f in fields])
    best = values.max(axis=0)
    likely = np.flatnonzero(best >= max(best.max(), field.log_likelihood) - within)
    kept = [k for k in likely if _stands_out(fields[int(values[:, k].argmax())], tried[k], best[k])]
    if not kept:
        return tried[:0], None
    top = max(kept, key=lambda k: best[k])
    there = fields[int(values[:, top].argmax())]
    return tried[kept], Field.around(there.cells, there.family, tried[top], guess=field.scale)


def _recipe(weights: Floats) -> Floats:
    """The nearest weights of three decimals with the same sum, as far as that has three."""
    near = np.round(weights, _DECIMALS)
    near[-1] = round(float(weights.sum()), _DECIMALS) - near[:-1].sum()
    return near


def _near(here: Floats) -> Floats:
    tried = [here]
    for i, j in permutations(range(here.size), 2):
        exchange = (here[i] - here[j],) if i < j else ()
        tried += [_given(here, i, j, step) for step in (*exchange, *_STEPS)]
    return np.unique(np.round(tried, 12), axis=0)


def _given(weights: Floats, giver: int, taker: int, step: float) -> Floats:
    moved = weights.copy()
    moved[giver], moved[taker] = weights[giver] - step, weights[taker] + step
    return moved


def _stands_out(field: Field, recipe: Floats, value: float) -> bool:
    beside = [_given(recipe, i, j, _ASIDE) for i, j in permutations(range(recipe.size), 2)]
    return bool(value - _values(field, np.array(beside)).max() >= _STANDS_OUT)


def _orders(count: int) -> list[tuple[int, ...]]:
    given = tuple(range(count))
    return list(permutations(given)) if count <= _MOST_ORDERED else [given]


def _ordered(field: Field, order: tuple[int, ...]) -> Field:
    return replace(field, cells=replace(field.cells, order=order))


def _values(field: Field, weights: Floats) -> Floats:
    return profile_at(field.cells, weights, field.family, guess=field.scale)[0]
