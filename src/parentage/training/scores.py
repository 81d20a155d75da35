"""Scores on a task as shares with intervals, and two models' scores compared.

Scores lie from 0 to 1. Where they are not all 0 or 1 the intervals are too wide, never too narrow: of all
scores of one mean, those of 0 and 1 vary most.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from scipy import special

from parentage.records.estimate import Estimate

__all__ = ["gap", "majority", "paired_difference", "rate", "sign_test"]

LEVEL = 0.95


def rate(scores: Sequence[float]) -> Estimate:
    """The mean score with Wilson's interval (1927). Without scores: anything from 0 to 1."""
    n = len(scores)
    if n == 0:
        return Estimate(0.5, 0.0, 1.0)
    share = math.fsum(scores) / n
    z = float(special.ndtri(0.5 + LEVEL / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(max(0.0, share * (1 - share)) / n + z * z / (4 * n * n))
    return Estimate(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def gap(first: Estimate, second: Estimate) -> Estimate:
    """first - second, of scores on different problems (Newcombe 1998, method 10: from both intervals)."""
    apart = first.estimate - second.estimate
    low = math.hypot(first.estimate - first.low, second.high - second.estimate)
    high = math.hypot(first.high - first.estimate, second.estimate - second.low)
    return Estimate(apart, apart - low, apart + high)


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """The mean of first - second on the same problems (Agresti & Min 2005: half a problem is added to each
    kind of disagreement, and two to all, before the normal interval).

    Raises ``ValueError`` for different lengths.
    """
    apart = [a - b for a, b in zip(first, second, strict=True)]
    n = len(apart)
    better = math.fsum(d for d in apart if d > 0) + 0.5
    worse = -math.fsum(d for d in apart if d < 0) + 0.5
    shift = (better - worse) / (n + 2)
    half = (
        float(special.ndtri(0.5 + LEVEL / 2))
        * math.sqrt(max(0.0, better + worse - (better - worse) ** 2 / (n + 2)))
        / (n + 2)
    )
    mean = math.fsum(apart) / n if n else 0.0
    return Estimate(mean, max(-1.0, min(mean, shift - half)), min(1.0, max(mean, shift + half)))


def sign_test(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p that neither is better on the same problems (exact McNemar: the binomial of signs)."""
    better = sum(a > b for a, b in zip(first, second, strict=True))
    worse = sum(a < b for a, b in zip(first, second, strict=True))
    n = better + worse
    if n == 0:
        return 1.0
    tail = math.fsum(math.comb(n, k) for k in range(min(better, worse) + 1)) / 2.0**n
    return min(1.0, 2 * tail)


def majority(readings: Sequence[str]) -> str:
    """The answer that most give; of equally many the one that is given first. Empty ones do not vote."""
    given = [r for r in readings if r]
    counts = Counter(given)
    return max(given, key=lambda r: (counts[r], -given.index(r))) if given else ""
