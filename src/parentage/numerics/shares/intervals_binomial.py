"""Intervals for shares, and one estimate from many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

__all__ = ["Pooled", "clopper_pearson", "hartung_knapp", "smallest_detectable_share", "wilson"]


def clopper_pearson(x: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval of a binomial share (Clopper & Pearson 1934)."""
    if n <= 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    low = 0.0 if x == 0 else float(special.betaincinv(x, n - x + 1, tail))
    high = 1.0 if x == n else float(special.betaincinv(x + 1, n - x, 1 - tail))
    return low, high


def wilson(x: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a binomial share (Wilson 1927)."""
    if n <= 0:
        return 0.0, 1.0
    z = float(special.ndtri(0.5 + level / 2))
    share = x / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def smallest_detectable_share(n: int, *, power: float = 0.99) -> float:
    """The share of changed elements of which at least one of ``n`` is seen with this power."""
    return 1.0 if n <= 0 else -math.expm1(math.log1p(-power) / n)


@dataclass(frozen=True, slots=True)
class Pooled:
    """A random-effects estimate with its interval and its heterogeneity."""

    estimate: float
    low: float
    high: float
    tau2: float
    q: float
    i2: float


def hartung_knapp(estimates: Sequence[float], variances: Sequence[float], *, level: float = 0.95) -> Pooled:
    """Pool k estimates: DerSimonian & Laird's tau², Hartung & Knapp's (2001) interval.

    Its variance is never taken below the fixed-effect one (Röver 2015): by chance alike estimates must
    not make the interval shorter than their own errors allow. With k = 1 the normal interval.
    """
    y, v = np.asarray(estimates, float), np.maximum(np.asarray(variances, float), 1e-300)
    w = 1 / v
    fixed = float(np.sum(w * y) / np.sum(w))
    if y.size == 1:
        half = float(special.ndtri(0.5 + level / 2)) * math.sqrt(float(v[0]))
        return Pooled(fixed, fixed - half, fixed + half, 0.0, 0.0, 0.0)
    k = y.size
    q = float(np.sum(w * (y - fixed) ** 2))
    c = float(np.sum(w) - np.sum(w**2) / np.sum(w))
    tau2 = max(0.0, (q - (k - 1)) / c) if c > 0 else 0.0
    w = 1 / (v + tau2)
    mean = float(np.sum(w * y) / np.sum(w))
    spread = float(np.sum(w * (y - mean) ** 2) / ((k - 1) * np.sum(w)))
    error = math.sqrt(max(spread, float(1 / np.sum(w))))
    half = float(special.stdtrit(k - 1, 0.5 + level / 2)) * error
    i2 = max(0.0, (q - (k - 1)) / q) if q > 0 else 0.0
    return Pooled(mean, mean - half, mean + half, tau2, q, i2)
