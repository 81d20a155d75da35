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
from scipy.linalg import eigh

__all__ = ["Change", "LowRank", "low_rank", "scaled_low_rank"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
# Rank that rows are freed of while their scale is estimated; what adapters have is mostly less.
WIDEST = 64
ROUNDS = 24
SETTLED = 1e-12
# Where scaling leaves half of the tail after a few rounds, rows were not scaled.
TRIAL, HELPED = 3, 0.5
# What may be left over what rounding leaves where fewer directions are looked for, and what those may
# leave; rounds that fewer are given, which begin near the end.
HOPEFUL, NEARLY, FEWER = 1.5, 1.15, 12


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
    value. ``rows``, ``columns``: how many hold any change. ``modelled``: what rounding leaves of this very
    product, added to numbers of the grid: of one that hardly reaches a cell's width less than ``expected``.
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
    modelled: float

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
    rank = max(1, min(WIDEST, min(change.before.shape) // 6))
    found, scales = _scaled(change, rank, np.ones(change.before.shape[0]), ROUNDS, roundings)
    # Directions that the change does not have hold what the scales are off by, and look like a higher rank:
    # as few are freed as leave no more over.
    better = found.excess <= HOPEFUL
    while better and found.rank > 1:
        better = False
        for rank in dict.fromkeys((max(1, found.rank // 2), found.rank - 1)):
            fewer, other = _scaled(change, rank, scales, FEWER, roundings)
            if fewer.rank < found.rank and fewer.excess <= max(NEARLY, found.excess):
                found, scales, better = fewer, other, True
                break
    return found


def _scaled(
    change: Change, rank: int, scales: Vector, rounds: int, roundings: int
) -> tuple[LowRank, Vector]:
    """Rows freed of ``rank`` directions while their scales are estimated, from ``scales`` on."""
    before, after = change.before, change.after
    inside = np.zeros((0, before.shape[1]))
    first = _tail(change.delta, rank)[1]
    if rounds < ROUNDS:
        inside = _tail(after - scales[:, None] * before, rank)[0]
    for k in range(rounds):
        own = before - (before @ inside.T) @ inside
        squares = np.einsum("ij,ij->i", own, own)
        found = np.einsum("ij,ij->i", own, after) / np.where(squares > 0, squares, 1.0)
        found = np.where(squares > 0, found, 1.0)
        moved, scales = float(np.max(np.abs(found - scales), initial=0.0)), found
        inside, tail = _tail(after - scales[:, None] * before, rank)
        if moved < SETTLED or (k == TRIAL and tail > HELPED * first):
            break
    # Each row gave one direction of its own away.
    made = _decomposed(
        change,
        after - scales[:, None] * before,
        roundings * change.cells**2 / 12,
        1 / max(before.shape[1], 1),
    )
    return made, scales


def _tail(matrix: Matrix, rank: int) -> tuple[Matrix, float]:
    """The leading right vectors [rank, n], and the energy of what they leave."""
    # Of the small square matrix alone: seven times as fast as the singular values of 512 x 512 numbers, and
    # what it loses is below 1e-8 of the largest.
    n = matrix.shape[1]
    values, vectors = eigh(matrix.T @ matrix, subset_by_index=(n - min(rank, n), n - 1), check_finite=False)
    whole = float(np.einsum("ij,ij->", matrix, matrix))
    return np.ascontiguousarray(vectors.T), max(whole - float(values.sum()), 0.0)


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
        modelled=_rounded_off(made, change.cells) * max(freedom, 0.0),
    )


def _rounded_off(made: Matrix, cells: Matrix) -> float:
    """Energy that rounding takes from a sum whose first part is on the grid."""
    steps = made / np.where(cells > 0, cells, 1.0)
    return float(np.sum((cells * (np.rint(steps) - steps)) ** 2))


def _neighbours(change: Change) -> NDArray[np.bool_]:
    """Numbers whose cell is twice or half as wide as it was."""
    twice, half = change.cells == 2 * change.cells_before, 2 * change.cells == change.cells_before
    return np.asarray(twice | half, np.bool_)


def _mean(errors: Matrix, variance: Matrix) -> float:
    """Mean squared error over its variance; 0 where there is none."""
    return float(np.mean(errors / variance)) if errors.size and variance.min() > 0 else 0.0
