"""Weights of K parents from rounding cells alone: a linear programme.

Each cell [low, high] of C makes two constraints, low - e <= sum w_j A_j <= high + e. They are solved
around a first estimate, in coordinates in which the elements are as good as uncorrelated: parents are
nearly parallel, and a weight's range is a few parts in a hundred thousand.

The ranges are outward-safe. Bounds come from dual solutions, each of which is a proof by itself: for any
y >= 0, max c.x over M x <= b is at most y.b + |c - M'y|.|x|. So neither the solver's tolerances nor the
constraints that it was not shown can exclude the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

__all__ = ["LARGEST_WEIGHT", "WeightRanges", "feasible_weights"]

Floats = NDArray[np.float64]
# Largest relative error of one float32 operation.
_UNIT: Final = 2.0**-24
_UNDERFLOW: Final = 2.0**-145
# No parent's weight is larger than this: recipes stay below 2, and bounds make every programme finite.
LARGEST_WEIGHT: Final = 8.0
# Half-cells by which constraints may be missed: a hundred times the solver's tolerance.
_SLACK: Final = 1e-5
# Constraints that are first shown to the solver, and how many of the worst are added in a round.
_FIRST: Final = 400
_NEAREST: Final = 12
_ADDED: Final = 50
_ROUNDS: Final = 40


@dataclass(frozen=True, slots=True)
class WeightRanges:
    """Weights [K] with ``low``..``high``, the exact feasible ranges when ``feasible``.

    Else no weights explain every element: ``estimate`` is the one that was given, its ranges are empty
    of meaning and equal to it. ``slack``: by how many half-cells the cells would have to grow, at least
    (0 when feasible). ``consistency``: share of cells that hold the estimate's blend.
    """

    estimate: Floats
    low: Floats
    high: Floats
    sum_low: float
    sum_high: float
    slack: float
    consistency: float
    feasible: bool


@dataclass(frozen=True, slots=True)
class _Rows:
    """``lower <= matrix @ x <= upper`` in half-cells, [n, K]; weights are ``start + back @ x``."""

    matrix: Floats
    lower: Floats
    upper: Floats
    back: Floats


def feasible_weights(parents: Floats, low: Floats, high: Floats, start: Floats) -> WeightRanges:
    """Ranges of the weights and of their sum, which is free.

    ``parents`` float64 [K, n], the suspect's cells ``low``, ``high`` [n], ``start`` [K]: an estimate of
    any quality. The tolerance for float32 arithmetic scales with the operands, for weights up to the
    ranges that a first solution under the widest tolerance allows.
    """
    limits = np.full(len(parents), LARGEST_WEIGHT)
    ranges = None
    for _ in range(2):
        error = _rounding_error(parents, low, high, limits)
        rows = _rows(parents, low - error, high + error, start)
        slack, point = _least_slack(rows)
        if slack > _SLACK:
            inside = _inside(parents, low - error, high + error, start)
            return WeightRanges(
                start, start, start, float(start.sum()), float(start.sum()), slack, inside, False
            )
        start = start + rows.back @ point
        rows = _rows(parents, low - error, high + error, start)
        ranges = _ranges(rows, start)
        limits = np.array([max(abs(a), abs(b)) for a, b in ranges[:-1]])
    assert ranges is not None
    ends = np.array(ranges)
    lows, highs = ends[:-1, 0], ends[:-1, 1]
    return WeightRanges(
        (lows + highs) / 2, lows, highs, float(ends[-1, 0]), float(ends[-1, 1]), 0.0, 1.0, True
    )


def _rounding_error(parents: Floats, low: Floats, high: Floats, limits: Floats) -> Floats:
    """Largest distance of a float32 blend from the real one, for |w_j| <= ``limits``.

    Weights and products each round; so does each of K - 1 partial sums, none larger than the sum of
    sizes. A division by the weights' own float32 sum adds K + 1 roundings of the whole; ``1 - w`` and a
    lerp of two parents round their difference three times over.
    """
    count, total = len(parents), float(limits.sum())
    sizes = (count + 4.0) * (limits @ np.abs(parents))
    if count == 2:
        sizes += limits[0] * np.abs(parents[1])
        sizes = np.maximum(sizes, 3.0 * total * np.abs(parents[0] - parents[1]))
    whole = np.maximum(np.abs(low), np.abs(high)) * max(1.0, total)
    error: Floats = _UNIT * (sizes + (count + 1.0) * whole) + _UNDERFLOW
    return error


def _rows(parents: Floats, low: Floats, high: Floats, start: Floats) -> _Rows:
    half = (high - low) / 2
    blend = start @ parents
    matrix = np.ascontiguousarray((parents / half).T)
    # Bounds of the weights are rows like any other, so that each optimum has a dual that proves it.
    count = len(parents)
    matrix = np.vstack([matrix, np.eye(count)])
    lower = np.append((low - blend) / half, -LARGEST_WEIGHT - start)
    upper = np.append((high - blend) / half, LARGEST_WEIGHT - start)
    # Long rows belong to cells that are tiny beside their operands: they would own the coordinates.
    size = np.linalg.norm(matrix, axis=1)
    damped = matrix / np.maximum(1.0, size / np.median(size))[:, None]
    triangle = np.linalg.qr(damped, mode="r")
    back = np.linalg.inv(triangle) * np.sqrt(len(matrix))
    return _Rows(matrix @ back, lower, upper, back)


def _inside(parents: Floats, low: Floats, high: Floats, weights: Floats) -> float:
    blend = weights @ parents
    return float(np.mean((low <= blend) & (blend <= high)))


def _first_rows(rows: _Rows) -> NDArray[np.int64]:
    """The rows that are tightest along any axis, some spread evenly, and the weights' bounds."""
    n, count = rows.matrix.shape
    tight = np.argsort(-np.abs(rows.matrix), axis=0, kind="stable")[: _FIRST // (2 * count)]
    spread = np.linspace(0, n - 1, min(n, _FIRST // 2)).astype(np.int64)
    return np.unique(np.concatenate([tight.ravel(), spread, np.arange(n - count, n)]))


def _least_slack(rows: _Rows) -> tuple[float, Floats]:
    """Smallest t with lower - t <= M x <= upper + t, and its x.

    Violated rows are added until none is left. Some rows alone bound t from below, so the search ends as
    soon as they exclude every weight.
    """
    k = rows.matrix.shape[1]
    active = _first_rows(rows)
    t, x = 0.0, np.zeros(k)
    for _ in range(_ROUNDS):
        m = rows.matrix[active]
        ones = np.ones((active.size, 1))
        found = linprog(
            np.append(np.zeros(k), 1.0),
            A_ub=np.vstack([np.hstack([m, -ones]), np.hstack([-m, -ones])]),
            b_ub=np.concatenate([rows.upper[active], -rows.lower[active]]),
            bounds=[(None, None)] * k + [(0, None)],
            method="highs-ds",
        )
        if found.x is None:
            return np.inf, x
        x, t = found.x[:k], float(found.x[k])
        excess = np.maximum(rows.matrix @ x - rows.upper, rows.lower - rows.matrix @ x) - t
        violated = np.flatnonzero(excess > _SLACK / 10)
        if violated.size == 0 or t > _SLACK:
            break
        worst = violated[np.argsort(-excess[violated], kind="stable")[:_ADDED]]
        active = np.union1d(active, worst)
    return t, x


def _ranges(rows: _Rows, start: Floats) -> list[tuple[float, float]]:
    """Least and greatest value of each weight, then of their sum."""
    count = start.size
    active = _nearest(rows)
    ranges = []
    for direction in np.vstack([np.eye(count), np.ones((1, count))]):
        centre = float(direction @ start)
        above, active = _greatest(rows, active, direction, start)
        below, active = _greatest(rows, active, -direction, start)
        ranges.append((centre - below, centre + above))
    return ranges


def _nearest(rows: _Rows) -> NDArray[np.int64]:
    """The constraints that lie nearest to x = 0, which is feasible, and the weights' bounds."""
    n, count = rows.matrix.shape
    room = np.minimum(rows.upper, -rows.lower) / np.maximum(np.linalg.norm(rows.matrix, axis=1), 1e-300)
    near = np.argsort(room, kind="stable")[: _NEAREST * count]
    return np.union1d(near, np.arange(n - count, n))


def _greatest(
    rows: _Rows, active: NDArray[np.int64], direction: Floats, start: Floats
) -> tuple[float, NDArray[np.int64]]:
    """A proven upper bound of what ``direction`` @ weights gains, tight once no row is violated; the rows
    that it took."""
    cost = direction @ rows.back
    reach = float(np.sum(np.abs(direction) * (LARGEST_WEIGHT + np.abs(start))))
    best = reach
    for _ in range(_ROUNDS):
        m = rows.matrix[active]
        found = linprog(
            -cost,
            A_ub=np.vstack([m, -m]),
            b_ub=np.concatenate([rows.upper[active], -rows.lower[active]]) + _SLACK,
            bounds=(None, None),
            method="highs-ds",
        )
        if found.x is None:
            break
        best = min(best, _proven(rows, active, cost, -found.ineqlin.marginals, start))
        excess = np.maximum(rows.matrix @ found.x - rows.upper, rows.lower - rows.matrix @ found.x)
        violated = np.flatnonzero(excess > 2 * _SLACK)
        if violated.size == 0:
            break
        worst = violated[np.argsort(-excess[violated], kind="stable")[:_ADDED]]
        active = np.union1d(active, worst)
    return best, active


def _proven(rows: _Rows, active: NDArray[np.int64], cost: Floats, dual: Floats, start: Floats) -> float:
    """The bound that a dual solution proves, its few rows solved for anew in full precision."""
    count = active.size
    signed = np.vstack([rows.matrix[active], -rows.matrix[active]])
    bound = np.concatenate([rows.upper[active], -rows.lower[active]])
    dual = np.maximum(dual, 0.0)
    support = np.flatnonzero(dual > 1e-9 * dual.max(initial=0.0))
    if 0 < support.size <= cost.size:
        sharper, *_ = np.linalg.lstsq(signed[support].T, cost, rcond=None)
        if (sharper >= 0.0).all():
            dual = np.zeros(2 * count)
            dual[support] = sharper
    # What the dual leaves of the cost, in weights, times how far any weight can be.
    left = np.linalg.solve(rows.back.T, cost - dual @ signed)
    return float(dual @ bound + np.abs(left) @ (LARGEST_WEIGHT + np.abs(start)))
