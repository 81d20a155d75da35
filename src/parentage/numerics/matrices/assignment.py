"""Which row of one matrix is which row of another: an assignment on correlations of rows.

Rows of unrelated matrices, of which d places are compared, correlate by 1/sqrt(d); the largest of n chances
by sqrt(2 ln n / d). An order is told only where rows agree far beyond that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_UNITS", "RowMatch", "least_correlation", "match_rows", "row_correlations"]

Floats = NDArray[np.float32]
# 17,408 neurons (the widest layer of today's dense models) against as many: some seconds on one core.
MOST_UNITS = 2**15
# scipy's assignment takes n³ in the worst case: seconds for 2,048, minutes beyond. Past that only an order
# in which every row has a best counterpart of its own is taken.
MOST_ASSIGNED = 2**11
BLOCK = 2**11
ALIKE = 0.5
# Fine-tunes move a row's length by a few per cent: within that of a power of two, the ratio is one. Only
# rows of (nearly) the same direction are multiples of one another.
NEARLY = 0.05
ONE_DIRECTION = 0.9
SAME_DIRECTION = 0.999
AGREE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class RowMatch:
    """``order[i]``: the other's row for row i. ``factors[i]``: by which it is multiplied, a power of two or
    its negative. ``scaled``: rows whose ratio is none of these, nor near 1 (they keep the factor 1).
    ``share``: of the rows that are not empty, those that found a counterpart far beyond chance."""

    order: NDArray[np.int64]
    factors: NDArray[np.float64]
    scaled: int
    share: float

    @property
    def moved(self) -> int:
        """Rows that stand in another place."""
        return int(np.count_nonzero(self.order != np.arange(self.order.size)))

    @property
    def multiplied(self) -> int:
        """Rows with a factor other than 1."""
        return int(np.count_nonzero(self.factors != 1.0))


def least_correlation(rows: int, places: int) -> float:
    """What a row must reach: a half, or twice what chance gives the best of all rows."""
    return max(ALIKE, 2 * math.sqrt(2 * math.log(max(rows, 2)) / max(places, 1)))


def row_correlations(own: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine of each row with the other's of the same number [n]; 0 where one is empty."""
    with np.errstate(over="ignore", invalid="ignore"):
        one, two = _unit(own), _unit(other)
    return np.asarray(np.einsum("ij,ij->i", one, two), np.float64)


def match_rows(own: NDArray[np.float64], other: NDArray[np.float64]) -> RowMatch | None:
    """The other's rows in the order of ``own``'s, [n, d] each; None where they do not agree beyond chance.

    Cosines are compared without their sign, so that negated rows are found too.
    """
    count, places = own.shape
    wanted = least_correlation(count, places)
    if own.shape != other.shape or count > MOST_UNITS or count < 2 or wanted >= 1.0:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        one, two = _unit(own), _unit(other)
    best, value = _best(one, two)
    good = value >= wanted
    full = one.any(axis=1)
    if not full.any() or good.sum() < AGREE * full.sum():
        return None
    order = _bijection(best, good)
    if order is None:
        order = _assigned(one, two)
    if order is None:
        return None
    signed = np.einsum("ij,ij->i", one, two[order])
    share = float(np.mean(np.abs(signed[full]) >= wanted))
    if share < AGREE:
        return None
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        factors, scaled = _factors(own, other[order], signed)
    return RowMatch(order, factors, scaled, share)


def _unit(rows: NDArray[np.float64]) -> Floats:
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    # Numbers whose squares overflow have no direction here: such rows meet none.
    known = (size > 0) & np.isfinite(size)
    unit: Floats = np.divide(rows, size, out=np.zeros_like(rows), where=known).astype(np.float32)
    return unit


def _best(one: Floats, two: Floats) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each row the other's most alike, the row's own number first among equals; and how alike."""
    best = np.empty(one.shape[0], np.int64)
    value = np.empty(one.shape[0], np.float64)
    for begin in range(0, one.shape[0], BLOCK):
        rows = slice(begin, begin + BLOCK)
        found = np.abs(one[rows] @ two.T)
        number = np.arange(begin, begin + found.shape[0])
        best[rows] = np.argmax(found, axis=1)
        value[rows] = found.max(axis=1)
        stays = found[np.arange(found.shape[0]), number] >= value[rows] - 1e-6
        best[rows] = np.where(stays, number, best[rows])
    return best, value


def _bijection(best: NDArray[np.int64], good: NDArray[np.bool_]) -> NDArray[np.int64] | None:
    """The best counterparts where no two rows share one; rows without go where room is left, in order."""
    taken = best[good]
    if np.unique(taken).size != taken.size:
        return None
    order = np.empty_like(best)
    order[good] = taken
    free = np.setdiff1d(np.arange(best.size), taken)
    order[~good] = free
    return order


def _assigned(one: Floats, two: Floats) -> NDArray[np.int64] | None:
    if one.shape[0] > MOST_ASSIGNED:
        return None
    from scipy.optimize import linear_sum_assignment

    # Of equal rows each keeps its own place where it can.
    stay = 1e-6 * np.eye(one.shape[0], dtype=np.float32)
    _, columns = linear_sum_assignment(np.abs(one @ two.T) + stay, maximize=True)
    return np.asarray(columns, np.int64)


def _factors(
    own: NDArray[np.float64], other: NDArray[np.float64], cosine: NDArray[np.floating]
) -> tuple[NDArray[np.float64], int]:
    """The power of two (with sign) between rows of equal direction; how many ratios are none."""
    first, second = np.linalg.norm(own, axis=1), np.linalg.norm(other, axis=1)
    known = (first > 0) & (second > 0)
    ratio = np.divide(first, second, out=np.ones_like(first), where=known)
    power = np.exp2(np.rint(np.log2(ratio)))
    exact = (np.abs(ratio / power - 1) < NEARLY) & (np.abs(cosine) >= ONE_DIRECTION)
    sign = np.where(cosine < 0, -1.0, 1.0)
    factors = np.where(known, sign * np.where(exact, power, 1.0), 1.0)
    others = known & (np.abs(ratio / power - 1) >= NEARLY) & (np.abs(cosine) >= SAME_DIRECTION)
    return factors, int(np.count_nonzero(others))
