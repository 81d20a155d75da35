"""Weights of three to eight parents, or of two whose sum is free: searches over several weights.

The sum of the weights is a coordinate of its own: real recipes miss 1 (bf16 weights
.6015625 + .400390625, ``normalize: false``). Weights move along directions that the parents'
differences make independent, so a search along one leaves the others nearly in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.likelihoods.blend_field import Field
from parentage.numerics.likelihoods.prediction import FREE, predict, residual_cells, rounding_code
from parentage.numerics.likelihoods.profile import Cells, profile_at
from parentage.numerics.likelihoods.tails import GAUSSIAN, STUDENT_T2, cell_scores
from parentage.records.dtypes import DType

__all__ = [
    "Space",
    "WeightPeak",
    "best_weights",
    "coarse_weights",
    "free_peaks",
    "gaussian_near",
    "peaks_over_weights",
]

Floats = NDArray[np.float64]

_NEWTON_STEPS: Final = 40
_SAMPLE: Final = 4096
# First spread of the weights drawn: storage rounding biases a free start by up to .2 where the parents
# are a grid step apart, and a drift of the later change moves it by .02 to .1 wherever they are.
_WIDE, _DRIFTING, _NARROW, _FINE = 0.1, 0.03, 0.01, 0.003
_POPULATION: Final = 40
_GENERATIONS: Final = 40
# Elites' covariance understates what is still open; without it one search in five stops short.
_INFLATION: Final = 1.5
_RADIUS: Final = 1e-7
_DENOMINATORS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 10, 16, 20, 32, 64, 100, 128)
_NEIGHBOUR_AXES: Final = 3
_FINALISTS: Final = 12
# A step that gains less than this ends a search.
_ENOUGH: Final = 0.05


@dataclass(frozen=True, slots=True)
class WeightPeak:
    """Best weights found ``[K]``, their profile log-likelihood, scale and evaluations spent."""

    weights: Floats
    log_likelihood: float
    scale: float
    evaluations: int


@dataclass(frozen=True, slots=True)
class Space:
    """Where weights may move: ``basis`` ``[J, K]`` of weight changes, ``spread`` ``[J, J]``.

    ``spread`` is the covariance, up to a factor, of least-squares coordinates on that basis.
    """

    basis: Floats
    spread: Floats
    moving: tuple[int, ...]
    """Parents whose weights move."""

    @staticmethod
    def of(parents: Floats, *, sum_to_one: bool, without: int | None = None) -> Space:
        """Differences to the last parent, and the last parent itself where the sum is free.

        ``without``: a parent whose weight does not move.
        """
        count = len(parents)
        moving = [j for j in range(count) if j != without]
        basis = np.eye(count)[moving]
        basis[:-1, moving[-1]] = -1.0
        if sum_to_one:
            basis = basis[:-1]
        moves = basis @ parents
        gram = moves @ moves.T
        # A hair on the diagonal: equal parents leave a direction that nothing measures, and parents that
        # are all equal leave no other.
        size = float(np.trace(gram))
        gram += (1e-12 * size / len(basis) if size > 0 else 1.0) * np.eye(len(basis))
        return Space(basis, np.asarray(np.linalg.inv(gram), dtype=np.float64), tuple(moving))

    def axes(self) -> Floats:
        """Independent weight changes ``[J, K]``, in proportion to how badly each is known."""
        return np.asarray(np.linalg.cholesky(self.spread).T @ self.basis, dtype=np.float64)

    def along_weight(self, j: int) -> Floats | None:
        """How all weights move, the others at their best, when weight ``j`` rises by 1."""
        functional = self.basis[:, j]
        moved = self.spread @ functional
        size = float(functional @ moved)
        return (moved / size) @ self.basis if size > 0.0 else None


def peaks_over_weights(
    cells: Cells, *, sum_to_one: bool, start: Floats | None = None
) -> dict[int, WeightPeak]:
    """The t₂ maximum over the weights, and the Gaussian one near it, by family.

    ``start`` ``[K]``: weights near which the suspect lies; else found by the free likelihood.
    """
    space = Space.of(cells.parents, sum_to_one=sum_to_one)
    if cells.code == FREE:
        return free_peaks(cells, space, [] if start is None else [start], sum_to_one=sum_to_one)
    if start is None:
        least = least_squares(cells, space, sum_to_one=sum_to_one)
        start = free_weights(cells.free(), STUDENT_T2, space, least).weights
    first = best_weights(cells, space, coarse_weights(cells, space, start).weights, start)
    if first.scale == 0.0:
        return {STUDENT_T2: first}
    return {STUDENT_T2: first, GAUSSIAN: gaussian_near(cells, space, first)}


def gaussian_near(cells: Cells, space: Space, first: WeightPeak) -> WeightPeak:
    """The Gaussian maximum next to the t₂ one."""
    return _populations(cells, GAUSSIAN, space, first.weights, _FINE)


def free_peaks(
    cells: Cells, space: Space, starts: Sequence[Floats], *, sum_to_one: bool
) -> dict[int, WeightPeak]:
    """Both families' maxima of the smooth likelihood: Newton from least squares and from ``starts``."""
    starts = [least_squares(cells, space, sum_to_one=sum_to_one), *starts]
    found = {}
    for family in (STUDENT_T2, GAUSSIAN):
        climbed = [free_weights(cells, family, space, start) for start in starts]
        best = max(climbed, key=lambda p: p.log_likelihood)
        # A change far under the cells leaves a cone around a kink, on which Newton stops short.
        polished = _populations(cells, family, space, best.weights, _FINE)
        found[family] = max(best, polished, key=lambda p: p.log_likelihood)
    return found


def least_squares(cells: Cells, space: Space, *, sum_to_one: bool) -> Floats:
    """Weights ``[K]`` that least squares gives: biased by rounding, a start only."""
    count = len(cells.parents)
    origin = np.zeros(count)
    origin[-1] = 1.0 if sum_to_one else 0.0
    centre = 0.5 * (cells.low + cells.high)
    moves = space.basis @ cells.parents
    theta = space.spread @ (moves @ (centre - origin @ cells.parents))
    return np.asarray(origin + theta @ space.basis, dtype=np.float64)


def free_weights(cells: Cells, family: int, space: Space, start: Floats) -> WeightPeak:
    """Maximum of the smooth likelihood by damped Newton with squared scores."""
    moves = space.basis @ cells.parents
    weights = start
    values, scales, spent = profile_at(cells, weights[None, :], family)
    value, scale, damping = float(values[0]), float(scales[0]), 1e-3
    for _ in range(_NEWTON_STEPS):
        if scale <= 0.0:
            break
        step, gain = _newton_step(cells, family, moves, weights, scale, damping)
        trial = weights + step @ space.basis
        values, scales, used = profile_at(cells, trial[None, :], family, guess=scale)
        spent += used + 1
        if values[0] > value:
            small = float(values[0]) - value < _ENOUGH * 0.01 and gain < _ENOUGH
            weights, value, scale = trial, float(values[0]), float(scales[0])
            damping = max(damping / 10.0, 1e-9)
            if small:
                break
        elif damping > 1e6 or gain < 1e-6:
            break
        else:
            damping *= 10.0
    return WeightPeak(weights, value, scale, spent)


def _newton_step(
    cells: Cells, family: int, moves: Floats, weights: Floats, scale: float, damping: float
) -> tuple[Floats, float]:
    n = cells.n
    prediction, lo, hi = np.empty(n), np.empty(n), np.empty(n)
    predict(cells.parents, weights, cells.code, cells.single, prediction)
    residual_cells(cells.low, cells.high, cells.relative, prediction, lo, hi)
    _, location, _ = cell_scores(lo, hi, scale, family)
    scores = moves * (location / cells.relative)
    gradient = scores.sum(axis=1)
    information = scores @ scores.T
    ridge = damping * np.diag(np.maximum(np.diag(information), 1e-300))
    step = np.linalg.solve(information + ridge, gradient)
    return step, float(gradient @ step)


def coarse_weights(cells: Cells, space: Space, start: Floats) -> WeightPeak:
    """The t₂ maximum on up to 4,096 elements, within about .2 of ``start`` ``[K]``."""
    sample = cells.every(max(1, cells.n // _SAMPLE))
    return _populations(sample, STUDENT_T2, space, start, _WIDE)


def best_weights(cells: Cells, space: Space, near: Floats, start: Floats) -> WeightPeak:
    """The t₂ maximum on all elements, near ``near`` ``[K]`` or a recipe near that or ``start``."""
    best = _populations(cells, STUDENT_T2, space, near, _NARROW)
    if best.scale == 0.0:
        return best
    recipe = _simplest(cells, STUDENT_T2, space, [best.weights, near, start])
    return max(best, recipe, key=lambda p: p.log_likelihood)


def _simplest(cells: Cells, family: int, space: Space, around: list[Floats]) -> WeightPeak:
    """The best recipe-like weights near each of ``around``.

    With weights such as .5, .3 and .2 many sums are exact ties, so the truth is an isolated point
    that gains hundreds over weights next to it: no search finds it, but recipes are short.
    """
    moving = list(space.moving)
    recipes = _recipes(len(space.basis), [weights[moving] for weights in around])
    grid = np.zeros((len(recipes), around[0].size))
    grid[:, moving] = recipes
    grid = np.vstack([grid, *around])
    rough = Field.around(cells.every(max(1, cells.n // _SAMPLE)), family, around[0]).at(grid)
    finalists = grid[np.argsort(-rough, kind="stable")[:_FINALISTS]]
    values, scales, spent = profile_at(cells, finalists, family)
    k = int(np.argmax(values))
    return WeightPeak(finalists[k], float(values[k]), float(scales[k]), spent)


def _recipes(count: int, around: list[Floats]) -> Floats:
    """Weights [G, K] on short grids near ``around``; ``count`` are free, K - 1 where they sum to one."""
    parents = around[0].size
    if count <= _NEIGHBOUR_AXES:
        offsets = np.array(list(product((-1, 0, 1), repeat=count)), dtype=np.float64)
    else:
        offsets = np.vstack([np.zeros(count), np.eye(count), -np.eye(count)])
    tried = []
    for weights in around:
        origin = np.append(weights[:-1], weights.sum())[:count]
        for q in _DENOMINATORS:
            coordinates = (np.round(origin * q) + offsets) / q
            last = coordinates[:, -1] if count == parents else np.ones(len(offsets))
            first = coordinates[:, : parents - 1]
            tried.append(np.column_stack([first, last - first.sum(axis=1)]))
    grid = np.asarray(np.unique(np.round(np.vstack(tried), 12), axis=0), dtype=np.float64)
    if count < parents:
        return grid
    # A merge done in bf16 rounds each weight too: .6 becomes .6015625.
    stored = np.empty(grid.size)
    predict(grid.reshape(1, -1), np.ones(1), rounding_code(DType.BF16), False, stored)
    return np.unique(np.vstack([grid, stored.reshape(grid.shape)]), axis=0)


def _populations(cells: Cells, family: int, space: Space, start: Floats, half: float) -> WeightPeak:
    """Cross-entropy search: draw weights, keep the best sixth, redraw around them.

    A replay's likelihood is a rough funnel in which line searches stick at every tie; ranks of a
    population do not. Size and drift of the change are held at those of the best weights so far. The draws
    are seeded, so the same input gives the same weights.
    """
    rng = np.random.default_rng(0)
    axes = _first_axes(space, half, drifting=cells.drift is not None)
    count = len(axes)
    size = _POPULATION + 10 * count
    best = Field.around(cells, family, start)
    mean, root, spent = np.zeros(count), np.eye(count, dtype=np.float64), 0
    for _ in range(_GENERATIONS):
        if best.scale == 0.0:
            break
        drawn = mean + rng.standard_normal((size, count)) @ root.T
        weights = start + drawn @ axes
        values = best.at(weights)
        spent += size
        order = np.argsort(-values, kind="stable")[: size // 6]
        k = int(order[0])
        if values[k] > best.log_likelihood:
            best = Field.around(cells, family, weights[k], guess=best.scale)
        mean = drawn[order].mean(axis=0)
        spread = np.atleast_2d(np.cov(drawn[order].T)) * _INFLATION + 1e-18 * np.eye(count)
        root = np.asarray(np.linalg.cholesky(spread), dtype=np.float64)
        settled = float(values[k] - values[order[-1]]) < _ENOUGH
        if settled or half * float(np.abs(root).max()) < _RADIUS:
            break
    return WeightPeak(best.weights, best.log_likelihood, best.scale, spent)


def _first_axes(space: Space, half: float, *, drifting: bool) -> Floats:
    """Directions of the first draw, the worst known one ``half`` long."""
    axes = space.axes()
    axes *= half / float(np.abs(axes).max())
    if not drifting or half < _WIDE:
        return axes
    lengths = np.abs(axes).max(axis=1, keepdims=True)
    return np.asarray(axes * np.maximum(1.0, _DRIFTING / lengths), dtype=np.float64)
