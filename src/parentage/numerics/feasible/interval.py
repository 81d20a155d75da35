"""The interval estimator: which weight do the rounding cells allow?

With D = A - B != 0, the cell [low, high] of C confines alpha in C = alpha A + (1 - alpha) B to an
interval. The weight that most intervals contain is found by a sweep over their sorted ends. Only
when all of them share a weight is the overlap an estimate: the exact feasible set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["IntervalEstimate", "alpha_intervals", "consistency_curve", "estimate"]

Floats = NDArray[np.float64]
# Largest relative error of one float32 operation.
_UNIT: Final = 2.0**-24
# Second-order terms of up to eight such operations.
_SECOND_ORDER: Final = 1.0 + 2.0**-20
# Gradual underflow: four results of an arithmetic may each miss by half of the least float32 step.
_UNDERFLOW: Final = 2.0**-148
# Relative error of the interval's own ends: three float64 operations, with room.
_DOUBLE: Final = 2.0**-50
# Weights beyond this are promised nothing: else an element with a tiny D would excuse everything.
_LARGEST_WEIGHT: Final = 4.0


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


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _error(alpha: float, size_a: float, size_b: float, delta: float, size_c: float) -> float:
    """Largest distance of a float32 blend from the real one: it scales with the operands.

    Weights, products and sum each round (2|aA| + 2|(1-a)B| + |C|); ``1 - float32(a)`` adds |a B|; a lerp
    rounds weight, difference and product (3|a D|, from the nearer end also |a D| in its 1 - w); a
    division by the weights' float32 sum adds (2 + |a| + |1-a|)|C|.
    """
    weight, rest = abs(alpha), abs(1.0 - alpha)
    products = 2.0 * (weight * size_a + rest * size_b) + weight * size_b
    lerp = 3.0 * (weight + rest) * abs(delta)
    total = max(products, lerp) + (3.0 + weight + rest) * size_c
    return _UNIT * _SECOND_ORDER * total + _UNDERFLOW


@njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _widened(a: float, b: float, low: float, high: float) -> tuple[float, float]:
    """The weights, up to 4 in size, whose blend rounds into [low, high] under some float32 arithmetic."""
    delta = a - b
    first, second = (low - b) / delta, (high - b) / delta
    start, stop = (first, second) if delta > 0.0 else (second, first)
    size_a, size_b, size_c, size = abs(a), abs(b), max(abs(low), abs(high)), abs(delta)
    largest = _error(-_LARGEST_WEIGHT, size_a, size_b, delta, size_c) / size
    # The tolerance grows with the weight, so the truth lies at the end of a geometric series.
    slope = _UNIT * _SECOND_ORDER * (max(2.0 * size_a + 3.0 * size_b, 6.0 * size) + 2.0 * size_c) / size
    left = right = largest
    if slope < 1.0:
        left = min(left, _error(start, size_a, size_b, delta, size_c) / size / (1.0 - slope))
        right = min(right, _error(stop, size_a, size_b, delta, size_c) / size / (1.0 - slope))
    return start - left - _DOUBLE * abs(start), stop + right + _DOUBLE * abs(stop)


@njit(cache=True, nogil=True, error_model="numpy")
def _all_intervals(a: Floats, b: Floats, low: Floats, high: Floats, start: Floats, stop: Floats) -> int:
    """Fill ``start`` and ``stop`` for the elements with a != b, in order; returns their number."""
    n = 0
    for i in range(a.size):
        if a[i] != b[i]:
            start[n], stop[n] = _widened(a[i], b[i], low[i], high[i])
            n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _overlap(
    a: Floats, b: Floats, low: Floats, high: Floats, c: Floats
) -> tuple[float, float, int, int, int]:
    """Latest start, earliest stop; elements that have an interval, a != b, a == b == c."""
    left, right = -np.inf, np.inf
    usable = informative = agree = 0
    for i in range(a.size):
        if a[i] != b[i]:
            start, stop = _widened(a[i], b[i], low[i], high[i])
            informative += 1
            if start <= stop:
                usable += 1
                left, right = max(left, start), min(right, stop)
        elif c[i] == a[i]:
            agree += 1
    return left, right, usable, informative, agree


@njit(cache=True, nogil=True)
def _deepest(starts: Floats, stops: Floats) -> tuple[float, float, int]:
    """The stretch covered by most closed intervals, from sorted ends; the first one of equals."""
    best = depth = passed = 0
    left = right = 0.0
    for k in range(starts.size):
        while stops[passed] < starts[k]:
            passed += 1
        depth = k + 1 - passed
        if depth > best:
            best, left, right = depth, starts[k], stops[passed]
    return left, right, best


@njit(cache=True, nogil=True, error_model="numpy")
def _curve(a: Floats, b: Floats, low: Floats, high: Floats, grid: Floats, depth: NDArray[np.int64]) -> int:
    """Add to ``depth`` [G + 1] +1 where an interval begins on the sorted ``grid``, -1 past its end."""
    n = 0
    for i in range(a.size):
        if a[i] != b[i]:
            n += 1
            start, stop = _widened(a[i], b[i], low[i], high[i])
            if start <= stop:
                depth[np.searchsorted(grid, start, side="left")] += 1
                depth[np.searchsorted(grid, stop, side="right")] -= 1
    return n


def alpha_intervals(a: Floats, b: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Interval of alpha for each element [n] with a != b, widened for float32 arithmetic."""
    a, b, low, high = _ready(a, b, low, high)
    start, stop = np.empty(a.size), np.empty(a.size)
    n = _all_intervals(a, b, low, high, start, stop)
    return start[:n], stop[:n]


def estimate(
    a: Floats, b: Floats, low: Floats, high: Floats, closed: NDArray[np.bool_], c: Floats
) -> IntervalEstimate:
    """Sweep over finite elements [n]; ``low``, ``high`` are C's cells.

    ``closed`` does not decide: an open end is one that a tie would have rounded away from, and a blend
    within float32's error of the tie may have been computed on either side of it, so the widened
    interval holds both ends. With no informative element: consistency 0, count 0.
    """
    del closed
    a, b, low, high = _ready(a, b, low, high)
    left, right, usable, n, agree = _overlap(a, b, low, high, _ready(c)[0])
    equal = a.size - n
    if n == 0:
        return IntervalEstimate(0.0, 1.0, 0, 0, 0.0, equal, agree)
    if usable == n and left <= right:
        return IntervalEstimate(left, right, n, n, 1.0, equal, agree)
    start, stop = np.empty(n), np.empty(n)
    _all_intervals(a, b, low, high, start, stop)
    # What is not finite holds no weight.
    known = start <= stop
    if not known.all():
        start, stop = start[known], stop[known]
    start.sort()
    stop.sort()
    left, right, count = _deepest(start, stop)
    return IntervalEstimate(left, right, count, n, count / n, equal, agree)


def consistency_curve(a: Floats, b: Floats, low: Floats, high: Floats, grid: Floats) -> Floats:
    """Share of informative elements whose interval holds each weight of ``grid``."""
    order = np.argsort(grid, kind="stable")
    depth = np.zeros(grid.size + 1, np.int64)
    a, b, low, high = _ready(a, b, low, high)
    n = _curve(a, b, low, high, grid[order].astype(np.float64), depth)
    shares = np.zeros(grid.size)
    shares[order] = np.cumsum(depth)[:-1] / max(n, 1)
    return shares


def _ready(*arrays: Floats) -> tuple[Floats, ...]:
    """One memory layout, so that one compiled kernel serves all."""
    return tuple(np.ascontiguousarray(x, dtype=np.float64) for x in arrays)
