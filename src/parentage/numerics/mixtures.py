"""Weights of three to eight parents, or of two whose sum is free: searches over several weights.

The sum of the weights is a coordinate of its own: real recipes miss 1 (bf16 weights
.6015625 + .400390625, ``normalize: false``). Weights move along directions that the parents'
differences make independent, so a search along one leaves the others nearly in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.profile import (
    Cells,
    predict,
    profile_at,
    residual_cells,
    rounding_code,
)
from parentage.numerics.search import Line, Peak, peak_of
from parentage.numerics.tails import GAUSSIAN, STUDENT_T2, cell_scores
from parentage.records.dtypes import DType

__all__ = ["Space", "WeightPeak", "peaks_over_weights"]

Floats = NDArray[np.float64]

_NEWTON_STEPS: Final = 40
_SAMPLE: Final = 4096
# Half-widths of the line searches, in weight: storage rounding biases a free start by up to .2.
_WIDE, _NARROW, _FINE = 0.1, 0.01, 0.0125
_POPULATION: Final = 40
_GENERATIONS: Final = 40
# Elites' covariance understates what is still open; without it one search in five stops short.
_INFLATION: Final = 1.5
_RADIUS: Final = 1e-7
_DENOMINATORS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 10, 16, 20, 32, 64, 100, 128)
_NEIGHBOUR_AXES: Final = 3
_FINALISTS: Final = 12
# A round of line searches that gains less than this ends the search.
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

    @staticmethod
    def of(parents: Floats, *, sum_to_one: bool) -> Space:
        """Differences to the last parent, and the last parent itself where the sum is free."""
        count = len(parents)
        basis = np.eye(count)
        basis[:-1, -1] = -1.0
        if sum_to_one:
            basis = basis[:-1]
        moves = basis @ parents
        gram = moves @ moves.T
        # A hair on the diagonal: equal parents leave a direction that nothing measures.
        gram += 1e-12 * float(np.trace(gram)) * np.eye(len(basis)) / len(basis)
        return Space(basis, np.asarray(np.linalg.inv(gram), dtype=np.float64))

    def directions(self) -> list[Floats]:
        """Independent weight changes ``[K]``, each with a largest component of 1."""
        independent = np.linalg.cholesky(self.spread).T @ self.basis
        return [move / np.abs(move).max() for move in independent]

    def along_weight(self, j: int) -> Floats | None:
        """How all weights move, the others at their best, when weight ``j`` rises by 1."""
        functional = self.basis[:, j]
        moved = self.spread @ functional
        size = float(functional @ moved)
        return (moved / size) @ self.basis if size > 0.0 else None


def peaks_over_weights(
    cells: Cells, *, sum_to_one: bool, also: tuple[float, ...] | None = None
) -> dict[int, WeightPeak]:
    """The t₂ maximum over the weights, and the Gaussian one near it, by family."""
    space = Space.of(cells.parents, sum_to_one=sum_to_one)
    start = free_weights(cells, space, least_squares(cells, space, sum_to_one=sum_to_one)).weights
    first = best_weights(cells, STUDENT_T2, space, start)
    if also is not None:
        other = _rounds(cells, STUDENT_T2, space, np.array(also), (_FINE,))
        first = max(first, other, key=lambda p: p.log_likelihood)
    if first.scale == 0.0:
        return {STUDENT_T2: first}
    second = _rounds(cells, GAUSSIAN, space, first.weights, (_FINE / 4.0,) * 3)
    return {STUDENT_T2: first, GAUSSIAN: second}


def least_squares(cells: Cells, space: Space, *, sum_to_one: bool) -> Floats:
    """Weights ``[K]`` that least squares gives: biased by rounding, a start only."""
    count = len(cells.parents)
    origin = np.zeros(count)
    origin[-1] = 1.0 if sum_to_one else 0.0
    centre = 0.5 * (cells.low + cells.high)
    moves = space.basis @ cells.parents
    theta = space.spread @ (moves @ (centre - origin @ cells.parents))
    return np.asarray(origin + theta @ space.basis, dtype=np.float64)


def free_weights(cells: Cells, space: Space, start: Floats) -> WeightPeak:
    """Maximum of the smooth t₂ likelihood by damped Newton with squared scores."""
    cells = cells.free()
    moves = space.basis @ cells.parents
    weights = start
    values, scales, spent = profile_at(cells, weights[None, :], STUDENT_T2)
    value, scale, damping = float(values[0]), float(scales[0]), 1e-3
    for _ in range(_NEWTON_STEPS):
        if scale <= 0.0:
            break
        step, gain = _newton_step(cells, moves, weights, scale, damping)
        trial = weights + step @ space.basis
        values, scales, used = profile_at(cells, trial[None, :], STUDENT_T2, guess=scale)
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
    cells: Cells, moves: Floats, weights: Floats, scale: float, damping: float
) -> tuple[Floats, float]:
    n = cells.n
    prediction, lo, hi = np.empty(n), np.empty(n), np.empty(n)
    predict(cells.parents, weights, cells.code, cells.single, prediction)
    residual_cells(cells.low, cells.high, cells.relative, prediction, lo, hi)
    _, location, _ = cell_scores(lo, hi, scale, STUDENT_T2)
    scores = moves * (location / cells.relative)
    gradient = scores.sum(axis=1)
    information = scores @ scores.T
    ridge = damping * np.diag(np.maximum(np.diag(information), 1e-300))
    step = np.linalg.solve(information + ridge, gradient)
    return step, float(gradient @ step)


def best_weights(cells: Cells, family: int, space: Space, start: Floats) -> WeightPeak:
    """Maximum over the weights: shrinking populations on a sample, then on all elements."""
    sample = cells.every(max(1, cells.n // _SAMPLE))
    near = _populations(sample, family, space, start, _WIDE)
    best = _populations(cells, family, space, near.weights, _NARROW)
    recipe = _simplest(cells, family, space, [best.weights, near.weights, start])
    best = max(best, recipe, key=lambda p: p.log_likelihood)
    polished = _rounds(cells, family, space, best.weights, (_FINE / 10.0,) * 2)
    best = max(best, polished, key=lambda p: p.log_likelihood)
    spent = near.evaluations * sample.n // cells.n + best.evaluations
    return WeightPeak(best.weights, best.log_likelihood, best.scale, spent)


def _simplest(cells: Cells, family: int, space: Space, around: list[Floats]) -> WeightPeak:
    """The best recipe-like weights near each of ``around``.

    With weights such as .5, .3 and .2 many sums are exact ties, so the truth is an isolated point
    that gains hundreds over weights next to it: no search finds it, but recipes are short.
    """
    count = len(space.basis)
    if count <= _NEIGHBOUR_AXES:
        offsets = np.array(list(product((-1, 0, 1), repeat=count)), dtype=np.float64)
    else:
        offsets = np.vstack([np.zeros(count), np.eye(count), -np.eye(count)])
    tried = []
    for weights in around:
        origin = np.append(weights[:-1], weights.sum())[:count]
        for q in _DENOMINATORS:
            coordinates = (np.round(origin * q) + offsets) / q
            last = coordinates[:, -1] if count == weights.size else np.ones(len(offsets))
            first = coordinates[:, : weights.size - 1]
            tried.append(np.column_stack([first, last - first.sum(axis=1)]))
    grid: Floats = np.unique(np.round(np.vstack(tried), 12), axis=0)
    if count == around[0].size:
        # A merge done in bf16 rounds each weight too: .6 becomes .6015625.
        stored = grid.copy()
        predict(grid.ravel()[None, :], np.ones(1), rounding_code(DType.BF16), False, stored.ravel())
        grid = np.unique(np.vstack([grid, stored]), axis=0).astype(np.float64)
    grid = np.vstack([grid, *around])
    sample = cells.every(max(1, cells.n // _SAMPLE))
    rough = profile_at(sample, grid, family)[0]
    finalists = grid[np.argsort(-rough, kind="stable")[:_FINALISTS]]
    values, scales, spent = profile_at(cells, finalists, family)
    k = int(np.argmax(values))
    return WeightPeak(finalists[k], float(values[k]), float(scales[k]), spent)


def _populations(cells: Cells, family: int, space: Space, start: Floats, half: float) -> WeightPeak:
    """Cross-entropy search: draw weights, keep the best sixth, redraw around them.

    A replay's likelihood is a rough funnel in which line searches stick at every tie; ranks of a
    population do not. The draws are seeded, so the same input gives the same weights.
    """
    rng = np.random.default_rng(0)
    axes = np.linalg.cholesky(space.spread).T @ space.basis
    axes *= half / float(np.abs(axes).max())
    count = len(axes)
    size = _POPULATION + 10 * count
    values, scales, spent = profile_at(cells, start[None, :], family)
    best = WeightPeak(start, float(values[0]), float(scales[0]), spent)
    mean, root = np.zeros(count), np.eye(count)
    for _ in range(_GENERATIONS):
        drawn = mean + rng.standard_normal((size, count)) @ root.T
        weights = start + drawn @ axes
        values, scales, used = profile_at(cells, weights, family, guess=best.scale)
        spent += used
        order = np.argsort(-values, kind="stable")[: size // 6]
        k = int(order[0])
        if values[k] > best.log_likelihood:
            best = WeightPeak(weights[k], float(values[k]), float(scales[k]), spent)
        mean = drawn[order].mean(axis=0)
        spread = np.atleast_2d(np.cov(drawn[order].T)) * _INFLATION + 1e-18 * np.eye(count)
        root = np.linalg.cholesky(spread)
        settled = float(values[k] - values[order[-1]]) < _ENOUGH
        if best.scale == 0.0 or settled or half * float(np.abs(root).max()) < _RADIUS:
            break
    return WeightPeak(best.weights, best.log_likelihood, best.scale, spent)


def _rounds(
    cells: Cells, family: int, space: Space, start: Floats, halves: tuple[float, ...]
) -> WeightPeak:
    values, scales, spent = profile_at(cells, start[None, :], family)
    best = WeightPeak(start, float(values[0]), float(scales[0]), spent)
    for half in halves:
        before = best.log_likelihood
        for direction in space.directions():
            if best.scale == 0.0:
                return best
            best = _along(cells, family, best, direction, half)
        if half <= _FINE and best.log_likelihood - before < _ENOUGH:
            break
    return best


def _along(cells: Cells, family: int, best: WeightPeak, direction: Floats, half: float) -> WeightPeak:
    line = Line(best.weights, direction)
    start = Peak(0.0, best.log_likelihood, best.scale, 0)
    peak = peak_of(cells, line, family, [start], half=half)
    spent = best.evaluations + peak.evaluations
    if peak.log_likelihood <= best.log_likelihood:
        return WeightPeak(best.weights, best.log_likelihood, best.scale, spent)
    weights = line.at(np.array([peak.position]))[0]
    return WeightPeak(weights, peak.log_likelihood, peak.scale, spent)
