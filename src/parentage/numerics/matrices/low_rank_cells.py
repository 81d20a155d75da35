"""Is there a product of thin factors that, added to a matrix, gives another in every rounding cell?

S = round(P + B A) says of each number in which interval the sum lay. Where a change hardly reaches the next
grid points, its singular values drown in what rounding made of it; the intervals do not: a matrix of the
right rank lies in all of them, one of a lower rank, or one made for a full fine-tune, leaves many. It is
looked for by projections in turn onto the intervals and onto the matrices of that rank (Cadzow 1988; Lewis
& Malick 2008 for sets that are not convex), each step taken further than to the interval's edge. Where rows
were scaled as well, S = round(c (P + B A)) as DoRA's are, S - P is (c - 1) P, row by row, plus a product of
the same rank: the second set is that of such sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bounds", "CellFit", "bounds_of", "fit_in_cells", "outside_where", "smallest_rank"]

Matrix = NDArray[np.float64]
Ends = tuple[Matrix, Matrix]

# A number counts as outside where it misses its interval by more than this part of half its width: a sum
# that a tool rounded twice does, and what has not settled yet.
SLACK: Final = 0.05
# So much further than to the edge each step goes: 2 would reflect.
RELAXED: Final = 1.9
ROUNDS: Final = 800
# Looked at so often; where the share outside has shrunk by less than this part in as many, it will not.
EVERY: Final = 20
STALLED: Final = 0.01
# Beyond the directions that are kept, so many are followed.
BESIDE: Final = 4
# Of the root mean square of the cells' widths. Of merged adapters' numbers that moved to another binade and
# have cells at least so wide, .1 to 1.8 % lie outside on the side that was rounded, 9 to 16 % on the other;
# half as wide, up to 3 % on the first where rows were scaled.
LARGE: Final = 0.5
# Settled: the share outside.
INSIDE: Final = 0.002
# Of all numbers that may be outside where a rank fits, and that one rank less must leave: 6 to 14 % in an
# adapter of rank 8 over a model of 135 M. Changes whose singular values fall by and by leave few more.
FITS: Final = 0.01
NEEDED: Final = 0.04
# Numbers that changed, for each number that two factors hold.
TOLD_BY: Final = 4


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the change of each number [m, n] lies between, where the number after was rounded: ``forward``;
    where the one before was: ``backward``. These are the same but where a number moved to another binade
    (``crossing``). ``delta``: after less before. ``before``: given where its rows may have been scaled."""

    delta: Matrix
    forward: tuple[Matrix, Matrix]
    backward: tuple[Matrix, Matrix]
    before: Matrix | None = None

    @property
    def crossing(self) -> NDArray[np.bool_]:
        """Numbers at which the two differ, and that are large: of small ones the cells are narrower than
        what the product is off by."""
        (low, high), (other_low, other_high) = self.forward, self.backward
        widths = np.maximum(high - low, other_high - other_low)
        large = widths >= LARGE * np.sqrt(np.mean(widths**2))
        return np.asarray(((low != other_low) | (high != other_high)) & large)

    @property
    def either(self) -> tuple[Matrix, Matrix]:
        """What it lies between whichever was rounded."""
        return np.minimum(self.forward[0], self.backward[0]), np.maximum(self.forward[1], self.backward[1])


@dataclass(frozen=True, slots=True)
class CellFit:
    """``made``: of rank ``rank``, with a multiple of each row of the matrix before where rows may have been
    scaled; ``outside``: numbers that it leaves outside their intervals."""

    rank: int
    made: Matrix
    outside: int

    @property
    def share(self) -> float:
        """Of all numbers, those outside."""
        return self.outside / self.made.size


def bounds_of(before: Matrix, after: Matrix, own: Ends, other: Ends) -> Bounds:
    """``own``, ``other``: ends of the rounding cells of the numbers after and before, [m, n] each."""
    forward = own[0] - before, own[1] - before
    return Bounds(after - before, forward, (after - other[1], after - other[0]))


def outside_where(made: Matrix, bounds: tuple[Matrix, Matrix], where: NDArray[np.bool_]) -> int:
    """Of the numbers ``where``, those outside their interval by more than the slack."""
    return _outside(made[where], (bounds[0][where], bounds[1][where]))


def fit_in_cells(bounds: Bounds, rank: int, start: Matrix | None = None) -> CellFit:
    """The matrix [m, n] of this rank that lies in as many intervals as projections find, whichever of the
    two was rounded. Of rank 0: rows scaled, and no more.

    ``start``: leading right vectors [n, k] to begin with; without them those of the change. Stops where all
    but ``INSIDE`` of the numbers lie inside, or where it gets no nearer.
    """
    reached, kept = bounds.delta, min(rank + BESIDE, *bounds.delta.shape)
    right = _start(bounds, kept) if start is None else start[:, :kept]
    low, high = bounds.either
    product, made = np.zeros_like(reached), reached
    outside, before = reached.size, np.inf
    for k in range(ROUNDS):
        scaled = _scaled(reached - product, bounds.before)
        if rank:
            product, right = _of_rank(reached - scaled, rank, right)
        made = scaled + product
        reached = made + RELAXED * (np.clip(made, low, high) - made)
        if k % EVERY == EVERY - 1:
            outside = _outside(made, (low, high))
            if outside <= INSIDE * made.size or outside > (1 - STALLED) * before:
                break
            before = outside
    return CellFit(rank, made, outside)


def _of_rank(matrix: Matrix, rank: int, right: Matrix) -> tuple[Matrix, Matrix]:
    """The nearest of this rank, nearly, from right vectors that are nearly its own; and these, better."""
    left, _ = np.linalg.qr(matrix @ right)
    u, values, v = np.linalg.svd(left.T @ matrix, full_matrices=False)
    return (left @ (u[:, :rank] * values[:rank])) @ v[:rank], v.T


def _scaled(matrix: Matrix, before: Matrix | None) -> Matrix:
    """The multiples of the rows before that are nearest to a matrix; nothing where none were scaled."""
    if before is None:
        return np.zeros_like(matrix)
    squares = np.einsum("ij,ij->i", before, before)
    along = np.einsum("ij,ij->i", matrix, before) / np.where(squares > 0, squares, 1.0)
    return np.asarray(along[:, None] * before)


def smallest_rank(bounds: Bounds, most: int, guess: int = 1) -> tuple[CellFit, int] | None:
    """The least rank whose matrix lies in all intervals but a hundredth, and how many numbers one rank less
    leaves outside; None where there is none up to ``most``, where one less leaves hardly more, where scaled
    rows are enough, or where too few numbers changed to tell.

    ``guess``: tried first, then twice as much; what stands above rounding, or what another matrix of one
    adapter has.
    """
    m, n = bounds.delta.shape
    changed, scales = int(np.count_nonzero(bounds.delta)), 0 if bounds.before is None else m
    most = min(most, (changed // TOLD_BY - scales) // (m + n))
    if most < 1:
        return None
    start = _start(bounds, min(most + BESIDE, m, n))
    fits: dict[int, CellFit] = {}

    def inside(rank: int) -> bool:
        if rank not in fits:
            fits[rank] = fit_in_cells(bounds, rank, start)
        return fits[rank].share <= FITS

    if inside(0):
        return None
    low, high = 0, max(1, min(guess, most))
    while not inside(high):
        if high == most:
            return None
        low, high = high, min(2 * high, most)
    if low == 0 and high > 1 and not inside(high - 1):
        low = high - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if inside(middle) else (middle, high)
    less = _made(fits, bounds, high - 1, start).outside
    found = fits[high]
    return (found, less) if less >= NEEDED * bounds.delta.size else None


def _made(fits: dict[int, CellFit], bounds: Bounds, rank: int, start: Matrix) -> CellFit:
    return fits[rank] if rank in fits else fit_in_cells(bounds, rank, start)


def _start(bounds: Bounds, count: int) -> Matrix:
    """Right vectors [n, count] of the change's largest singular values, scaled rows taken off."""
    change = bounds.delta - _scaled(bounds.delta, bounds.before)
    return np.ascontiguousarray(np.linalg.svd(change, full_matrices=False)[2][:count].T)


def _outside(made: Matrix, bounds: tuple[Matrix, Matrix]) -> int:
    low, high = bounds
    return int(np.count_nonzero(np.maximum(low - made, made - high) > SLACK * (high - low) / 2))
