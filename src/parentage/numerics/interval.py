"""The interval estimator: which weight do the rounding cells allow?

With D = A - B != 0, the cell [low, high] of C confines alpha in C = alpha A + (1 - alpha) B to an
interval. The weight that most intervals contain is found by a sweep over their sorted ends. Only
when all of them share a weight is the overlap an estimate: the exact feasible set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["IntervalEstimate", "alpha_intervals", "consistency_curve", "estimate"]

Floats = NDArray[np.float64]
# Relative error of a product, a sum and a product in float32, scaled with the operands: a tolerance
# relative to the cell misses the truth where the blend cancels.
FLOAT32_STEP = 2.0**-23


@dataclass(frozen=True, slots=True)
class IntervalEstimate:
    """``low``..``high``: the weights that ``count`` of ``informative`` intervals contain.

    At ``consistency`` 1 it is the feasible set; below, it is not an estimate of anything. ``equal``
    counts elements with D = 0, ``equal_agree`` those of them where C equals both parents.
    """

    low: float
    high: float
    count: int
    informative: int
    consistency: float
    equal: int
    equal_agree: int

    @property
    def feasible(self) -> tuple[float, float] | None:
        """The exact set of weights, when one exists."""
        return (self.low, self.high) if self.informative and self.consistency == 1.0 else None


def alpha_intervals(a: Floats, b: Floats, low: Floats, high: Floats, c: Floats) -> tuple[Floats, Floats]:
    """Interval of alpha for each element [n] with a != b, widened for float32 arithmetic."""
    delta = a - b
    first, second = (low - b) / delta, (high - b) / delta
    start, stop = np.minimum(first, second), np.maximum(first, second)
    weight = np.maximum(np.abs(start), np.abs(stop))
    rest = np.maximum(np.abs(1 - start), np.abs(1 - stop))
    # Weights far outside say nothing more: bound what they add to the tolerance.
    weight, rest = np.minimum(weight, 4.0), np.minimum(rest, 4.0)
    error = FLOAT32_STEP * (weight * np.abs(a) + rest * np.abs(b) + np.abs(c))
    slack = error / np.abs(delta)
    return start - slack, stop + slack


def estimate(
    a: Floats, b: Floats, low: Floats, high: Floats, closed: NDArray[np.bool_], c: Floats
) -> IntervalEstimate:
    """Sweep over finite elements [n]; ``low``, ``high`` are C's cells.

    The widening makes every interval closed, so ``closed`` matters only where D = 0 (it is kept in the
    signature for callers that hold cells). With no informative element: consistency 0, count 0.
    """
    del closed
    informative = a != b
    equal = int(np.count_nonzero(~informative))
    agree = int(np.count_nonzero(~informative & (c == a)))
    n = int(np.count_nonzero(informative))
    if n == 0:
        return IntervalEstimate(0.0, 1.0, 0, 0, 0.0, equal, agree)
    start, stop = alpha_intervals(
        a[informative], b[informative], low[informative], high[informative], c[informative]
    )
    left, right, count = _deepest(start, stop)
    return IntervalEstimate(left, right, count, n, count / n, equal, agree)


def _deepest(start: Floats, stop: Floats) -> tuple[float, float, int]:
    """The stretch covered by most closed intervals; the first one of equals."""
    starts, stops = np.sort(start), np.sort(stop)
    # Depth just after the k-th start: starts so far minus stops strictly before it.
    depth = np.arange(1, starts.size + 1) - np.searchsorted(stops, starts, side="left")
    best = int(np.argmax(depth))
    left = float(starts[best])
    right = float(stops[np.searchsorted(stops, left, side="left")])
    return left, right, int(depth[best])


def consistency_curve(a: Floats, b: Floats, low: Floats, high: Floats, grid: Floats) -> Floats:
    """Share of informative elements whose interval holds each weight of ``grid``."""
    informative = a != b
    n = int(np.count_nonzero(informative))
    if n == 0:
        return np.zeros(grid.size)
    a, b, low, high = a[informative], b[informative], low[informative], high[informative]
    start, stop = alpha_intervals(a, b, low, high, np.maximum(np.abs(low), np.abs(high)))
    inside = np.searchsorted(np.sort(start), grid, side="right")
    past = np.searchsorted(np.sort(stop), grid, side="left")
    return (inside - past) / n
