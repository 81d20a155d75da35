"""What each pair of adapters' factors, pruned or thinned, adds to a sample of a matrix.

For factors A_i, B_j that are kept in part (by size, by elected signs, by chance) the change is a sum of
w_ji B_j A_i with w_jj = the j-th weight times its scaling. Which numbers are kept does not hang on the
weights, so for a given density the products are exact regressors, and least squares has no bias: the noise
is the suspect's rounding alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.adapters.adapted import AdaptedCheckpoint
from parentage.evidence.recognition.adapters.sets import AdapterSet, Target
from parentage.evidence.recognition.context import Context
from parentage.methods.adapters.mixing import Mixing
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import to_float32, to_float64
from parentage.records.tensors import Adapted, TensorRef

__all__ = [
    "Estimated",
    "Factor",
    "Matrix",
    "Sample",
    "Sides",
    "Watched",
    "even",
    "least_squares",
    "mixed",
    "products_of",
    "solved",
    "watched",
]

Matrix = NDArray[np.float64]
# Rows and columns of a matrix that weights are read from.
ROWS, COLUMNS = 16, 512
# What a recipe leaves over, in squared widths of cells: rounding leaves a twelfth.
NEAR: Final = 0.5
# Regressors that are nearly one are not told apart.
CONDITION: Final = 1e12


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor: those rows or columns of it that a sample takes, as they stand in the matrix; where they
    lie in the flattened factor; and the sizes of all its numbers, ascending."""

    part: Matrix
    places: NDArray[np.int64]
    sizes: NDArray[np.float32]

    def largest(self, density: float) -> NDArray[np.bool_]:
        """Of the sample: is it among the ⌊density · n⌋ largest of all?"""
        count = int(density * self.sizes.size)
        if not count:
            return np.zeros(self.part.shape, np.bool_)
        kept: NDArray[np.bool_] = np.abs(self.part) >= self.sizes[self.sizes.size - count]
        return kept


@dataclass(frozen=True, slots=True)
class Sides:
    """An adapter's factors, of which one is [rows, rank] and one [rank, columns] in the sample."""

    a: Factor
    b: Factor
    scaling: float
    turned: bool

    @property
    def left(self) -> Factor:
        return self.a if self.turned else self.b

    @property
    def right(self) -> Factor:
        return self.b if self.turned else self.a


@dataclass(frozen=True, slots=True)
class Watched:
    """A sample of one matrix: the change [n] and the widths [n] of the suspect's cells."""

    target: Target
    change: Matrix
    widths: Matrix
    sides: tuple[Sides | None, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """The change [n] in widths of cells, and products of factors [K, K, n] likewise: of the first
    adapter's left one with the second's right one, times the root of both scalings."""

    change: Matrix
    products: Matrix


@dataclass(frozen=True, slots=True)
class Estimated:
    """Weights [K] and standard errors [K]; mean squares of what is left over, and of the whole change, in
    widths of cells."""

    weights: Matrix
    errors: Matrix
    left: float
    whole: float

    def explains(self, share: float) -> bool:
        """Is next to nothing left over: what rounding leaves, or this share of the change?"""
        return self.left <= max(NEAR, share * self.whole)


def watched(target: Target, found: AdapterSet, context: Context) -> Watched:
    """Read a sample of the matrix, and the factors."""
    m, n = target.base.shape
    rows = np.unique(np.linspace(0, m - 1, min(m, ROWS)).astype(np.int64))
    width = min(n, COLUMNS)

    def block(read: Any, ref: TensorRef) -> NDArray[np.unsignedinteger]:
        return np.concatenate([read(ref, int(row) * n, width) for row in rows])

    bits = block(context.checkpoints[0].read, target.suspect)
    cells = rounding_cells(bits, target.suspect.dtype)
    widths = even(cells.high - cells.low)
    base = to_float64(block(found.opened[0].read, target.base), target.base.dtype)
    change = to_float64(bits, target.suspect.dtype) - base
    good = np.isfinite(change) & np.isfinite(widths) & (widths > 0)
    sides = tuple(_sides(h, o, rows, width) for h, o in zip(target.how, found.opened, strict=True))
    return Watched(target, np.where(good, change, 0.0), np.where(good, widths, np.inf), sides)


def even(widths: Matrix) -> Matrix:
    """Numbers next to zero have the finest cells, and would lead alone."""
    good = widths[np.isfinite(widths) & (widths > 0)]
    return np.asarray(np.maximum(widths, np.median(good))) if good.size else widths


def _sides(
    how: Adapted | None, opened: AdaptedCheckpoint, rows: NDArray[np.int64], width: int
) -> Sides | None:
    if how is None or how.a is None or how.b is None:
        return None
    a, b = (to_float32(opened.read(f, 0, f.elements), f.dtype).reshape(f.shape) for f in (how.a, how.b))
    columns = np.arange(width)
    if how.turned:
        return Sides(_factor(a, 1, rows, True), _factor(b, 0, columns, True), how.scaling, True)
    return Sides(_factor(a, 1, columns, False), _factor(b, 0, rows, False), how.scaling, False)


def _factor(values: NDArray[np.float32], axis: int, chosen: NDArray[np.int64], transposed: bool) -> Factor:
    places = np.arange(values.size, dtype=np.int64).reshape(values.shape)
    part, where = np.take(values, chosen, axis), np.take(places, chosen, axis)
    if transposed:
        part, where = part.T, where.T
    return Factor(part.astype(np.float64), where, np.sort(np.abs(values), axis=None))


def mixed(
    factors: Sequence[Factor | None],
    mixing: Mixing,
    keep: Callable[[int, Factor], NDArray[np.bool_]] | None,
    density: float,
    by_count: bool,
) -> list[Matrix | None]:
    """What each adapter's factor gives to the one that is made, before its weight."""
    rows: list[Matrix | None] = []
    for k, factor in enumerate(factors):
        if factor is None:
            rows.append(None)
        elif keep is None:
            rows.append(factor.part)
        else:
            scale = 1 / density if mixing.prune == "random" else 1.0
            rows.append(np.where(keep(k, factor), factor.part * scale, 0.0))
    return _elected(rows, by_count) if mixing.elect else rows


def _elected(rows: Sequence[Matrix | None], by_count: bool) -> list[Matrix | None]:
    held = [r for r in rows if r is not None]
    total = np.sum([np.sign(r) if by_count else r for r in held], axis=0)
    sign = np.where(total >= 0, 1.0, -1.0)
    count = np.maximum(np.sum([np.sign(r) == sign for r in held], axis=0), 1)
    return [None if r is None else np.where(np.sign(r) == sign, r, 0.0) / count for r in rows]


def products_of(one: Watched, left: Sequence[Matrix | None], right: Sequence[Matrix | None]) -> Sample:
    """Regressors of one matrix."""
    count = len(left)
    products = np.zeros((count, count, one.change.size))
    for j, a in enumerate(left):
        for i, b in enumerate(right):
            own, other = one.sides[j], one.sides[i]
            if a is None or b is None or own is None or other is None or a.shape[1] != b.shape[0]:
                continue
            size = np.sqrt(abs(own.scaling * other.scaling)) * np.sign(other.scaling)
            products[j, i] = (a @ b).reshape(-1) * size
    return Sample(one.change / one.widths, products / one.widths)


def solved(samples: Sequence[Sample], *, crossed: bool) -> Estimated | None:
    """Weights and their standard errors; None where the regressors do not tell them apart."""
    count = samples[0].products.shape[0]
    own = [(k, k) for k in range(count)]
    terms = own + [(j, i) for j in range(count) for i in range(count) if crossed and i != j]
    matrix = np.concatenate([np.stack([s.products[t] for t in terms], axis=1) for s in samples])
    change = np.concatenate([s.change for s in samples])
    return least_squares(matrix, change, count)


def least_squares(matrix: Matrix, change: Matrix, count: int) -> Estimated | None:
    """The first ``count`` coefficients [n, terms] of the change [n]."""
    gram = matrix.T @ matrix
    if not np.all(np.isfinite(gram)) or np.linalg.cond(gram) > CONDITION:
        return None
    found = np.linalg.solve(gram, matrix.T @ change)
    left = float(np.mean((change - matrix @ found) ** 2))
    # Rounding alone leaves a twelfth; a floor, for the errors of the estimate are not known better.
    errors = np.sqrt(max(left, 1 / 12) * np.diag(np.linalg.inv(gram)))
    weights = np.asarray(found[:count], np.float64)
    return Estimated(weights, np.asarray(errors[:count], np.float64), left, float(np.mean(change**2)))
