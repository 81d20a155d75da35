"""Credible intervals of weights: an ensemble of walkers over a replay's likelihood.

A replay's likelihood is piecewise constant, and near its maximum it falls like a random walk with drift,
not like a parabola: a drop of 1.92 covered 59 % of three parents' weights (75 planted weights, a dense
change), and no drop is right for every number of parents. Under a flat prior the posterior of such a
location problem covers what it says (Pitman's argument), so it is sampled: walkers move along differences
of one another (differential evolution, ter Braak 2006), which needs no tuning of step or direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.deciding.recipe_rivals import isolated_recipes
from parentage.numerics.likelihoods.blend_field import Field

__all__ = ["Posterior", "sample_weights", "weight_intervals"]

Floats = NDArray[np.float64]

_WALKERS, _WALKERS_EACH = 24, 8
_BURN_IN, _KEPT = 120, 180
# Where this many elements take part, intervals are wide and smooth, and fewer draws suffice.
_MANY: Final = 2048
_FEWER: Final = 0.6
# The region is a box of this many times the steps at which the likelihood falls by ``_FALL``.
_BOX: Final = 6.0
_FALL: Final = 3.0
_LEAST_STEP = 1e-8
# No weight is sought farther off than this: with a free drift the likelihood is level there, and a level
# without end would hold all of the draws.
_FARTHEST: Final = 0.5
# Walkers that press against the box by this share of its half-width ask for a wider one.
_PRESSING: Final = 0.8
_WIDER: Final = 4.0
_ATTEMPTS: Final = 4
# A weight that is better by this much, or whose change is of another size, is where to sample.
_BETTER: Final = 2.0
_RESIZED: Final = 0.03
# A recipe's weights stand alone where they lead all others by this much: some thousand are tried, and
# luck among them explains a lead of log 1000.
_ISOLATED_LEAD: Final = 8.0
# Float32 weights and sums move an element's break point by parts in 2^23 of the weight.
_BLUR: Final = 2.0**-22


@dataclass(frozen=True, slots=True)
class Posterior:
    """Draws of the weights [N, K], and the field at the best of them."""

    draws: Floats
    best: Field


def weight_intervals(field: Field, axes: Floats, *, level: float) -> tuple[Floats, Floats, Field]:
    """Ends [K] of each weight's interval around ``field.weights``, and the field at the best weights met.

    ``axes`` [J, K]: independent weight changes. Weights that lead every other by far are a recipe's, at
    which many elements are exact ties: they stand alone, or with other recipes that are as likely.
    """
    axes = axes / np.abs(axes).max(axis=1, keepdims=True)
    posterior = sample_weights(field, axes)
    rest = (1.0 - level) / 2.0
    low, high = np.quantile(posterior.draws, [rest, 1.0 - rest], axis=0)
    best = max(field, posterior.best, key=lambda f: f.log_likelihood)
    if field.log_likelihood - posterior.best.log_likelihood >= _ISOLATED_LEAD:
        low = high = field.weights
    recipes, found = isolated_recipes(best, within=_ISOLATED_LEAD)
    if found is not None:
        low, high = np.minimum(low, recipes.min(axis=0)), np.maximum(high, recipes.max(axis=0))
        best = max(best, found, key=lambda f: f.log_likelihood)
    here = best.weights
    blur = _BLUR * (1.0 + np.abs(here))
    return np.minimum(low, here) - blur, np.maximum(high, here) + blur, best


def sample_weights(field: Field, axes: Floats, *, seed: int = 0) -> Posterior:
    """Sample the weights around ``field.weights``, which itself is not a draw: it may be an isolated
    point, a recipe at which many elements are exact ties.

    ``axes`` [J, K]: independent weight changes that the sampled weights are sums of. The draws are
    seeded, so the same input gives the same intervals.
    """
    rng = np.random.default_rng(seed)
    steps = np.array([_step(field, axis) for axis in axes])
    for attempt in range(_ATTEMPTS):
        where, region, top = _sample(field, axes, steps, rng)
        best = Field.around(field.cells, field.family, region.weights(top[None, :])[0], guess=field.scale)
        pressing = np.abs(where).max(axis=0) > _PRESSING * _BOX * steps
        pressing &= steps < _FARTHEST / _BOX
        resized = abs(best.scale - field.scale) > _RESIZED * field.scale
        better = best.log_likelihood > field.log_likelihood + _BETTER
        if attempt == _ATTEMPTS - 1 or best.scale == 0.0 or not (pressing.any() or resized or better):
            break
        field = best if resized or better else field
        steps = np.where(pressing, np.minimum(_WIDER * steps, _FARTHEST / _BOX), steps)
    return Posterior(region.weights(where), best)


def _step(field: Field, axis: Floats) -> float:
    """Distance along ``axis`` at which the likelihood has fallen by ``_FALL``, to a factor of 2."""
    step, top = _LEAST_STEP, -np.inf
    while step < _FARTHEST / _BOX:
        ends = np.array([-1.3, -1.0, 1.0, 1.3])[:, None] * (step * axis)
        value = float(field.at(field.weights + ends).max())
        if value < top - _FALL:
            break
        top = max(top, value)
        step *= 2.0
    return min(step, _FARTHEST / _BOX)


@dataclass(frozen=True, slots=True)
class _Region:
    """A field within a box of weights: ``where`` [N, J] are positions along ``axes`` [J, K]."""

    field: Field
    axes: Floats
    half: Floats

    @staticmethod
    def around(field: Field, axes: Floats, half: Floats) -> _Region:
        """Prepare the field for the weights in the box."""
        return _Region(field.within(half @ np.abs(axes @ field.cells.parents)), axes, half)

    def weights(self, where: Floats) -> Floats:
        """Weights [N, K] of positions [N, J]."""
        return np.asarray(self.field.weights + where @ self.axes, dtype=np.float64)

    def at(self, where: Floats) -> Floats:
        """Log-likelihoods [N]; nothing is allowed outside of the box."""
        inside = (np.abs(where) <= self.half).all(axis=1)
        values = np.full(len(where), -np.inf)
        if inside.any():
            values[inside] = self.field.at(self.weights(where[inside]))
        return values


def _sample(
    field: Field, axes: Floats, steps: Floats, rng: np.random.Generator
) -> tuple[Floats, _Region, Floats]:
    """Positions drawn [N, J], the region that they lie in, and the likeliest position."""
    region = _Region.around(field, axes, _BOX * steps)
    share = 1.0 if region.field.cells.n <= _MANY else _FEWER
    burn_in, kept = round(share * _BURN_IN), round(share * _KEPT)
    walkers = _WALKERS + _WALKERS_EACH * len(axes)
    where = 0.5 * steps * rng.standard_normal((walkers, len(axes)))
    values = region.at(where)
    top, top_value = where[int(np.argmax(values))].copy(), float(values.max())
    draws = []
    for generation in range(burn_in + kept):
        for side in (0, 1):
            _move(region, where, values, side, generation, rng)
        k = int(np.argmax(values))
        if values[k] > top_value:
            top, top_value = where[k].copy(), float(values[k])
        if generation >= burn_in:
            draws.append(where.copy())
    return np.concatenate(draws), region, top


def _move(
    region: _Region,
    where: Floats,
    values: Floats,
    side: int,
    generation: int,
    rng: np.random.Generator,
) -> None:
    """Let every other walker try a step along a difference of two of the rest."""
    own, others = where[side::2], where[1 - side :: 2]
    count, dimensions = own.shape
    first = rng.integers(0, len(others), count)
    second = (first + rng.integers(1, len(others), count)) % len(others)
    # Every tenth step is a whole difference: it jumps between separate maxima.
    size = 1.0 if generation % 10 == 9 else 2.38 / np.sqrt(2.0 * dimensions)
    sizes = size * np.where(rng.random(count) < 0.3, rng.random(count), 1.0)
    step = sizes[:, None] * (others[first] - others[second])
    trial = own + step * (1.0 + 0.05 * rng.standard_normal((count, dimensions)))
    at_trial = region.at(trial)
    accepted = np.log(rng.random(count)) < at_trial - values[side::2]
    where[side::2] = np.where(accepted[:, None], trial, own)
    values[side::2] = np.where(accepted, at_trial, values[side::2])
