"""Was it chance alone? What masks by chance do not do: follow sizes in other ways, rows, or each other.

Three tests of one null: element by element, independently, with a probability that is linear in the rank of
its change in the row. Each is a chi-square of counts over the elements that tell whatever the outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from parentage.methods.estimates.masks import Kept, Spread

__all__ = ["Randomness", "covariance", "randomness"]

Floats = NDArray[np.float64]
BINS: Final = 10
# Neighbours that are counted together, in whole or parts of rows.
NEIGHBOURS: Final = 64
# A group that is expected to keep, and to drop, fewer than this is left out.
LEAST: Final = 3.0


@dataclass(frozen=True, slots=True)
class Randomness:
    """Of ``trials`` elements ``stayed`` stayed. Probabilities, under the null, of counts as uneven as these
    over ``ranks`` in the row, over ``neighbours``."""

    trials: int
    stayed: int
    ranks: float
    neighbours: float


def randomness(
    kept: Sequence[Kept], ranks: Sequence[Floats], rows: Sequence[int], spread: Spread
) -> Randomness:
    """Tests over several tensors: masks, ranks [n] and row lengths of each."""
    trials = stayed = 0
    by_rank = np.zeros((BINS, 3))
    by_place: list[Floats] = []
    for known, rank, row in zip(kept, ranks, rows, strict=True):
        where = np.flatnonzero(known.chosen & (known.kept | known.dropped))
        p = spread.at(rank[where])
        hit = known.kept[where].astype(float)
        trials, stayed = trials + where.size, stayed + int(hit.sum())
        bins = np.minimum((rank[where] * BINS).astype(int), BINS - 1)
        by_rank += _counts(bins, BINS, hit, p)
        by_place.append(_counts(where // min(NEIGHBOURS, max(row, 1)), known.size.size, hit, p))
    return Randomness(
        trials, stayed, _uneven(by_rank, fitted=2), _uneven(np.concatenate(by_place), fitted=0)
    )


def _counts(groups: NDArray[np.int64], number: int, hit: Floats, p: Floats) -> Floats:
    """Per group: what stayed, was expected to stay, and the variance [number, 3]."""
    columns = (np.bincount(groups, w, number) for w in (hit, p, p * (1 - p)))
    return np.stack(list(columns), axis=1)


def _uneven(counts: Floats, *, fitted: int) -> float:
    """Upper tail of a chi-square; 1 where there are too few groups."""
    usable = counts[counts[:, 2] >= LEAST]
    free = len(usable) - fitted
    if free < 1:
        return 1.0
    value = float(((usable[:, 0] - usable[:, 1]) ** 2 / usable[:, 2]).sum())
    return float(special.chdtrc(free, value))


def covariance(a: Kept, b: Kept, p: Floats, q: Floats) -> tuple[float, float]:
    """Sum of the products of two masks' deviations from their probabilities ``p``, ``q`` [n], and its
    variance where they are independent."""
    where = a.chosen & b.chosen & (a.kept | a.dropped) & (b.kept | b.dropped)
    x, y = a.kept[where] - p[where], b.kept[where] - q[where]
    varied = (p * (1 - p) * q * (1 - q))[where].sum()
    return float((x * y).sum()), float(varied)
