"""Is a change of a matrix a product of thin factors, but for the rounding in which the sum was stored?

S = round(P + B A): then S - P is B A plus errors that lie in S's rounding cells, nearly uniform there, of
known variance (a twelfth of the cell's width squared). Singular values above what such errors can have are
counted (Bandeira & van Handel, arXiv 1408.6185: the norm of independent entries is at most the largest
root of a row's variance plus that of a column's, nearly); what the others hold must be the errors' energy
and no more. A full fine-tune's tail holds more, however low its stable rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Change", "LowRank", "low_rank", "scaled_low_rank"]

Matrix = NDArray[np.float64]
# Rank that rows are freed of while their scale is estimated; what adapters have is mostly less.
WIDEST = 64
ROUNDS = 24
SETTLED = 1e-12
# Where scaling leaves half of the tail after a few rounds, rows were not scaled.
TRIAL, HELPED = 3, 0.5


@dataclass(frozen=True, slots=True)
class Change:
    """A matrix before and after, [m, n] float64; ``cells``, ``cells_before``: widths of rounding cells of
    the numbers after and before."""

    before: Matrix
    after: Matrix
    cells: Matrix
    cells_before: Matrix

    @property
    def delta(self) -> Matrix:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class LowRank:
    """``rank``: singular values above the rounding floor. ``total``: energy (sum of squares) of the change;
    ``left``: of what the rank does not hold, ``expected``: what rounding alone leaves there.

    ``crossing``: numbers whose cell has another width after than before. Their mean squared error over the
    variance of the cell after is ``forward``, over that of the cell before ``backward``: the one that is
    near 1 tells which of the two was rounded. ``left_vector``, ``right_vector``: of the largest singular
    value. ``rows``, ``columns``: how many hold any change.
    """

    rank: int
    total: float
    left: float
    expected: float
    crossing: int
    forward: float
    backward: float
    rows: int
    columns: int
    left_vector: Matrix
    right_vector: Matrix
    largest: float

    @property
    def excess(self) -> float:
        """What is left over what rounding leaves: 1 where the change has this rank."""
        return self.left / self.expected if self.expected > 0 else float("inf")


def low_rank(change: Change) -> LowRank:
    """The rank of a change, and what it leaves."""
    return _decomposed(change, change.delta, change.cells**2 / 12, 0.0)


def scaled_low_rank(change: Change, *, roundings: int = 1) -> LowRank:
    """The same where rows were scaled too, as DoRA's are: after = c (before + B A), row by row.

    ``roundings``: two in float32, where the sum is rounded as the product is. Each row's c is estimated
    where the factors do not reach: outside their row space, which is estimated from what the scales leave,
    in turn.
    """
    before, after = change.before, change.after
    rank = max(1, min(WIDEST, min(before.shape) // 6))
    inside = np.zeros((0, before.shape[1]))
    scales, first = np.ones(before.shape[0]), _tail(change.delta, rank)[1]
    for k in range(ROUNDS):
        own = before - (before @ inside.T) @ inside
        squares = np.einsum("ij,ij->i", own, own)
        found = np.einsum("ij,ij->i", own, after) / np.where(squares > 0, squares, 1.0)
        found = np.where(squares > 0, found, 1.0)
        moved, scales = float(np.max(np.abs(found - scales), initial=0.0)), found
        inside, tail = _tail(after - scales[:, None] * before, rank)
        if moved < SETTLED or (k == TRIAL and tail > HELPED * first):
            break
    # Each row gave one direction of its own away.
    return _decomposed(
        change,
        after - scales[:, None] * before,
        roundings * change.cells**2 / 12,
        1 / max(before.shape[1], 1),
    )


def _tail(matrix: Matrix, rank: int) -> tuple[Matrix, float]:
    """The leading right vectors [rank, n], and the energy of what they leave."""
    _, values, right = np.linalg.svd(matrix, full_matrices=False)
    return right[:rank], float(np.sum(values[rank:] ** 2))


def _decomposed(change: Change, delta: Matrix, variance: Matrix, given: float) -> LowRank:
    m, n = delta.shape
    left, values, right = np.linalg.svd(delta, full_matrices=False)
    floor = float(np.sqrt(variance.sum(axis=1).max()) + np.sqrt(variance.sum(axis=0).max()))
    rank = int(np.count_nonzero(values > floor))
    freedom = (1 - rank / m) * (1 - rank / n) - given
    made = (left[:, :rank] * values[:rank]) @ right[:rank]
    before = change.cells_before**2 / 12
    # The estimate of B A takes a share of each error for its own, and gives it to all.
    own, shared = freedom**2, freedom * (1 - freedom)
    # Numbers that moved to the next binade and are large: the estimate's own error does not drown theirs.
    told = (np.maximum(variance, before) > variance.mean()) & _neighbours(change)
    errors = (delta - made)[told] ** 2
    return LowRank(
        rank=rank,
        total=float(np.sum(values**2)),
        left=float(np.sum(values[rank:] ** 2)),
        expected=float(variance.sum()) * max(freedom, 0.0),
        crossing=int(errors.size),
        forward=_mean(errors, own * variance[told] + shared * variance.mean()),
        backward=_mean(errors, own * before[told] + shared * before.mean()),
        rows=int(np.count_nonzero(np.any(change.delta != 0, axis=1))),
        columns=int(np.count_nonzero(np.any(change.delta != 0, axis=0))),
        left_vector=left[:, 0],
        right_vector=right[0],
        largest=float(values[0]),
    )


def _neighbours(change: Change) -> NDArray[np.bool_]:
    """Numbers whose cell is twice or half as wide as it was."""
    twice, half = change.cells == 2 * change.cells_before, 2 * change.cells == change.cells_before
    return np.asarray(twice | half, np.bool_)


def _mean(errors: Matrix, variance: Matrix) -> float:
    """Mean squared error over its variance; 0 where there is none."""
    return float(np.mean(errors / variance)) if errors.size and variance.min() > 0 else 0.0
