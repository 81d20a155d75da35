"""Two shares compared, and many comparisons judged together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["fisher_exact", "holm"]


def fisher_exact(first: int, first_of: int, second: int, second_of: int) -> float:
    """Two-sided p of equal shares (Fisher 1935): all tables with these margins that are no likelier.

    1.0 where a margin is empty. Raises ``ValueError`` for counts that are no table.
    """
    if not (0 <= first <= first_of and 0 <= second <= second_of):
        raise ValueError("counts beyond their totals")
    total, hits = first_of + second_of, first + second
    if first_of == 0 or second_of == 0 or hits in (0, total):
        return 1.0
    k = np.arange(max(0, hits - second_of), min(hits, first_of) + 1, dtype=np.float64)
    logs = (
        _log_choose(first_of, k) + _log_choose(second_of, hits - k) - _log_choose(total, np.float64(hits))
    )
    probabilities = np.exp(logs)
    own = probabilities[first - int(k[0])]
    # Ties in exact arithmetic differ in the last bits here.
    return min(1.0, math.fsum(probabilities[probabilities <= own * (1 + 1e-7)]))


def _log_choose(n: int, k: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.asarray(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p values, in the order given, that keep the family's error (Holm 1979)."""
    order = sorted(range(len(ps)), key=lambda i: (ps[i], i))
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = least
    return tuple(adjusted)
