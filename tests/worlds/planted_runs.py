"""Training runs in miniature: Adam on a noisy gradient that keeps some of its direction.

What matters here is what a run leaves in storage: checkpoints that lie nearly on a line, averages of
them, and steps too small for the grid of a 16-bit master copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.storage.formats import quantize
from parentage.records.dtypes import DType
from tests.worlds.planted import Weights
from tests.worlds.planted_changes import unit_delta

__all__ = ["Run", "simulate_run"]

FIRST_DECAY, SECOND_DECAY = 0.9, 0.99


@dataclass(frozen=True, slots=True)
class Run:
    """States before storage: at each fraction of the run, and an exponential average at its end."""

    checkpoints: dict[float, Weights]
    average: Weights
    variant: str


def simulate_run(
    rng: np.random.Generator,
    start: Weights,
    fractions: tuple[float, ...],
    *,
    size: float,
    decay: float = 0.95,
    dtype: DType = DType.BF16,
) -> Run:
    """Train from ``start`` until the weights have moved by about ``size`` of their norm.

    How much of the gradient persists, how many steps, and whether the master copy is kept in float32
    or in ``dtype`` are drawn. ``fractions`` of the steps are kept, 1.0 always.
    """
    steps = int(rng.integers(50, 101))
    persistence = float(np.exp(rng.uniform(np.log(0.05), np.log(1.5))))
    # Small steps vanish in a 16-bit master copy, so it is tried where the steps are coarse enough.
    narrow = dtype is not DType.F32 and size > 5e-3 and rng.random() < 0.3
    keep = {max(1, round(f * steps)): f for f in (*fractions, 1.0)}
    finished = {
        name: _train_tensor(rng, value, steps, persistence, size, decay, dtype if narrow else None, keep)
        for name, value in start.items()
    }
    checkpoints = {f: {n: finished[n][0][f] for n in start} for f in keep.values()}
    average = {n: finished[n][1] for n in start}
    return Run(
        checkpoints, average, f"{'16-bit' if narrow else 'fp32'} master, persistence {persistence:.2f}"
    )


def _train_tensor(
    rng: np.random.Generator,
    start: NDArray[np.float64],
    steps: int,
    persistence: float,
    size: float,
    decay: float,
    narrow: DType | None,
    keep: dict[int, float],
) -> tuple[dict[float, NDArray[np.float64]], NDArray[np.float64]]:
    signal = persistence * unit_delta(rng, start.shape).astype(np.float32)
    spread = rng.lognormal(0.0, 0.3, start.shape).astype(np.float32)
    rate = _rate(start, steps, persistence, size * rng.lognormal(0.0, 0.3))
    weights = start.copy()
    average = start.copy()
    first = np.zeros(start.shape, np.float32)
    second = np.zeros(start.shape, np.float32)
    kept = {}
    for step in range(1, steps + 1):
        gradient = signal + spread * rng.standard_normal(start.shape, dtype=np.float32)
        first += (1 - FIRST_DECAY) * (gradient - first)
        second += (1 - SECOND_DECAY) * (gradient * gradient - second)
        scaled = first / (1 - FIRST_DECAY**step) / np.sqrt(second / (1 - SECOND_DECAY**step) + 1e-12)
        warm = min(1.0, step / (0.1 * steps)) * (1.0 - 0.9 * step / steps)
        weights = weights - rate * warm * scaled
        if narrow is not None:
            weights = quantize(weights.ravel(), narrow).reshape(weights.shape)
        average = decay * average + (1 - decay) * weights
        if step in keep:
            kept[keep[step]] = weights.copy()
    return kept, average


def _rate(start: NDArray[np.float64], steps: int, persistence: float, size: float) -> float:
    """Learning rate at which drift and random walk together cover ``size`` of the norm."""
    drift = min(1.0, persistence / np.hypot(1.0, persistence)) * 0.5 * steps
    walk = np.sqrt(steps) * 0.7
    return float(size * np.sqrt(np.mean(start**2)) / np.hypot(drift, walk))
