"""Weights of K parents from rounding cells alone: a linear programme.

C = sum w_j A_j + (W - 1) ... is written in differences to the last parent R, because parents are
nearly parallel: C - R = sum_j w_j (A_j - R) + s R, with s = sum w - 1 the defect of the sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

__all__ = ["WeightRanges", "feasible_weights"]

Floats = NDArray[np.float64]
FLOAT32_STEP = 2.0**-23
# Rows that are first given to the solver; violated ones are added until none is left.
ACTIVE = 1_000
ROUNDS = 20


@dataclass(frozen=True, slots=True)
class WeightRanges:
    """Weights [K]; ``low``..``high`` and the sum's range are exact when ``feasible``."""

    estimate: Floats
    low: Floats
    high: Floats
    sum_low: float
    sum_high: float
    slack: float
    consistency: float
    feasible: bool


def feasible_weights(parents: Floats, low: Floats, high: Floats) -> WeightRanges:
    """``parents`` [K, n] float64, cells ``low``, ``high`` [n] of the suspect; the sum is free."""
    reference = parents[-1]
    columns = np.vstack([parents[:-1] - reference, reference])
    width = (high - low) / 2
    error = 2 * FLOAT32_STEP * np.abs(parents).max(axis=0)
    unit = np.maximum(width, 1e-300)
    matrix = (columns / unit).T
    upper, lower = (high + error - reference) / unit, (low - error - reference) / unit
    scale = np.abs(matrix).max(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    matrix = matrix / scale
    slack, solution = _minimal_slack(matrix, lower, upper)
    estimate = _weights(solution / scale)
    inside = _inside(matrix, lower, upper, solution, 1e-7)
    feasible = slack <= 1e-7
    bounds = _ranges(matrix, lower, upper, scale) if feasible else (estimate, estimate, 0.0, 0.0)
    if feasible:
        estimate = (bounds[0] + bounds[1]) / 2
    return WeightRanges(
        estimate,
        bounds[0],
        bounds[1],
        bounds[2],
        bounds[3],
        slack,
        float(np.mean(inside)),
        feasible,
    )


def _weights(solution: Floats) -> Floats:
    """Back from (differences, defect of the sum) to weights."""
    return np.append(solution[:-1], 1.0 + solution[-1] - np.sum(solution[:-1]))


def _inside(matrix: Floats, lower: Floats, upper: Floats, x: Floats, tol: float) -> NDArray[np.bool_]:
    value = matrix @ x
    return (value <= upper + tol) & (value >= lower - tol)


def _spread_rows(n: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(n, ACTIVE)).astype(np.int64))


def _minimal_slack(matrix: Floats, lower: Floats, upper: Floats) -> tuple[float, Floats]:
    """Smallest t with lower - t <= M x <= upper + t, by adding violated rows."""
    n, k = matrix.shape
    active = _spread_rows(n)
    for _ in range(ROUNDS):
        m = matrix[active]
        ones = np.ones((active.size, 1))
        left = np.vstack([np.hstack([m, -ones]), np.hstack([-m, -ones])])
        right = np.concatenate([upper[active], -lower[active]])
        cost = np.append(np.zeros(k), 1.0)
        limits = [(None, None)] * k + [(0, None)]
        found = linprog(cost, A_ub=left, b_ub=right, bounds=limits, method="highs")
        if found.x is None:
            return np.inf, np.zeros(k)
        x, t = found.x[:k], float(found.x[k])
        excess = np.maximum(matrix @ x - upper, lower - matrix @ x) - t
        violated = np.flatnonzero(excess > 1e-7)
        if violated.size == 0 or t > 1e-6:
            return t, x
        worst = violated[np.argsort(-excess[violated], kind="stable")[:ACTIVE]]
        active = np.union1d(active, worst)
    return t, x


def _extreme(matrix: Floats, lower: Floats, upper: Floats, cost: Floats) -> float:
    active = _spread_rows(matrix.shape[0])
    value = 0.0
    for _ in range(ROUNDS):
        m = matrix[active]
        found = linprog(
            cost,
            A_ub=np.vstack([m, -m]),
            b_ub=np.concatenate([upper[active], -lower[active]]) + 1e-7,
            bounds=[(-1e9, 1e9)] * matrix.shape[1],
            method="highs",
        )
        if found.x is None or found.fun is None:
            return value
        value = float(found.fun)
        excess = np.maximum(matrix @ found.x - upper, lower - matrix @ found.x)
        violated = np.flatnonzero(excess > 2e-7)
        if violated.size == 0:
            break
        worst = violated[np.argsort(-excess[violated], kind="stable")[:ACTIVE]]
        active = np.union1d(active, worst)
    return value


def _ranges(
    matrix: Floats, lower: Floats, upper: Floats, scale: Floats
) -> tuple[Floats, Floats, float, float]:
    k = matrix.shape[1]
    directions = [np.eye(k)[j] / scale for j in range(k - 1)]
    last = np.append(-np.ones(k - 1), 1.0) / scale
    directions.append(last)
    low, high = [], []
    for j, direction in enumerate(directions):
        offset = 1.0 if j == k - 1 else 0.0
        low.append(_extreme(matrix, lower, upper, direction) + offset)
        high.append(-_extreme(matrix, lower, upper, -direction) + offset)
    total = np.append(np.zeros(k - 1), 1.0) / scale
    return (
        np.array(low),
        np.array(high),
        _extreme(matrix, lower, upper, total) + 1.0,
        -_extreme(matrix, lower, upper, -total) + 1.0,
    )
