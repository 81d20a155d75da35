"""Neurons, heads and hidden dimensions in another order: found by the weights themselves, and undone.

Each matrix is looked at by itself: whoever reorders a layer's neurons must reorder the rows of one matrix
and the columns of the next, and that both show the same order is told, not assumed. Only what is stored
here is searched: an order needs all rows of a matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor, Alignment
from parentage.architectures.unit_prints import Side, in_place, print_columns, print_rows, read_vector
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.numerics.matrices.assignment import RowMatch, match_rows
from parentage.records.tensors import Order, TensorRef

__all__ = ["FoundOrder", "OrderSearch", "ordered", "orders_of", "reordered", "undo_orders"]

# Of the matrices that are unlike their counterparts so many are tried first; where none of them is a
# reordered one the models are unrelated, and the others are left.
PROBES = 8
# Vectors are tried with the orders that were found for their length.
LONGEST = 2**18
ALIKE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class FoundOrder:
    """One matrix or vector of another model that is reordered; None: that side is in place. ``unit``: what
    the rows are, where the tensor's role does not say it."""

    model: int
    group: AlignedTensor
    rows: RowMatch | None
    columns: RowMatch | None
    unit: str = ""


def undo_orders(
    alignment: Alignment, checkpoints: Sequence[Checkpoint]
) -> tuple[Alignment, tuple[FoundOrder, ...]]:
    """The alignment with reordered counterparts read in the suspect's order, and what was found."""
    found: dict[tuple[int, str], FoundOrder] = {}
    for k, other in enumerate(checkpoints[1:], start=1):
        if not (checkpoints[0].by_range or other.by_range):
            search = OrderSearch(alignment.groups, k, checkpoints[0], other)
            found |= {(k, f.group.name): f for f in search.run()}
    groups = tuple(reordered(group, found) for group in alignment.groups)
    return replace(alignment, groups=groups), tuple(found.values())


def reordered(group: AlignedTensor, found: dict[tuple[int, str], FoundOrder]) -> AlignedTensor:
    others = tuple(
        ordered(ref, entry) if isinstance(ref, TensorRef) and (entry := found.get((k, group.name))) else ref
        for k, ref in enumerate(group.others, start=1)
    )
    return group if others == group.others else replace(group, others=others)


def ordered(ref: TensorRef, found: FoundOrder) -> TensorRef:
    rows, columns = found.rows, found.columns
    order = Order(ref, _moves(rows), _moves(columns), _multiplies(rows), _multiplies(columns))
    plain = TensorRef(ref.name, ref.dtype, ref.shape, "", 0, 0, encoding=ref.encoding, order=order)
    return plain if any(v is not None for v in (order.rows, order.columns, *_factors(order))) else ref


def _moves(side: RowMatch | None) -> NDArray[np.int64] | None:
    return None if side is None or not side.moved else side.order


def _multiplies(side: RowMatch | None) -> NDArray[np.float64] | None:
    return None if side is None or not side.multiplied else side.factors


def _factors(order: Order) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    return order.row_factors, order.column_factors


class OrderSearch:
    """One other model against the suspect."""

    def __init__(
        self, groups: Sequence[AlignedTensor], model: int, suspect: Checkpoint, other: Checkpoint
    ) -> None:
        self.model = model
        self._suspect, self._other = suspect, other
        shared = [g for g in groups if self._readable(g)]
        self._matrices = [g for g in shared if len(g.suspect.shape) == 2 and min(g.suspect.shape) > 1]
        self._vectors = [g for g in shared if len(g.suspect.shape) == 1 and g.suspect.elements <= LONGEST]

    def _readable(self, group: AlignedTensor) -> bool:
        ref = group.others[self.model - 1]
        return isinstance(ref, TensorRef) and ref.dtype.is_float and group.suspect.elements > 1

    def _sides(self, group: AlignedTensor) -> tuple[Side, Side]:
        other = group.others[self.model - 1]
        assert isinstance(other, TensorRef)
        return Side(self._suspect, group.suspect), Side(self._other, other)

    def run(self) -> Iterator[FoundOrder]:
        """Every reordered matrix, then the vectors that stand in the same orders."""
        unlike = [g for g in self._matrices if not in_place(*self._sides(g))]
        step = max(1, -(-len(unlike) // PROBES))
        # Nothing but the hidden dimensions is reordered in an embedding: where all else is, it shows them.
        probes = [g for g in unlike if g.role.component == "embedding"] + unlike[::step]
        found = {g.name: f for g in probes if (f := self._matrix(g)) is not None}
        if not found:
            return
        rest = [g for g in unlike if g not in probes]
        found |= {g.name: f for g in rest if (f := self._matrix(g)) is not None}
        left = [g for g in unlike if g.name not in found]
        found |= {g.name: f for g in left if (f := self._both(g, list(found.values()))) is not None}
        yield from found.values()
        for group in self._vectors:
            vector = self._vector(group, found)
            if vector is not None:
                yield vector

    def _matrix(self, group: AlignedTensor) -> FoundOrder | None:
        own, other = self._sides(group)
        # Tokens meet by the tokenizers; there are too many of them to be assigned.
        if group.role.component not in ("embedding", "head"):
            rows = match_rows(print_rows(own), print_rows(other))
            if rows is not None:
                return self._told(group, rows, None)
        columns = match_rows(print_columns(own), print_columns(other))
        return None if columns is None else self._told(group, None, columns)

    def _told(
        self, group: AlignedTensor, rows: RowMatch | None, columns: RowMatch | None
    ) -> FoundOrder | None:
        sides = [s for s in (rows, columns) if s is not None]
        changed = any(s.moved or s.multiplied or s.scaled for s in sides)
        return FoundOrder(self.model, group, rows, columns) if changed else None

    def _both(self, group: AlignedTensor, found: Sequence[FoundOrder]) -> FoundOrder | None:
        """Rows and columns at once, where another matrix shows the order of one of the sides."""
        own, other = self._sides(group)
        for columns in orders_of(found, group.suspect.shape[1]):
            rows = match_rows(print_rows(own), print_rows(other, columns))
            if rows is not None:
                return self._told(group, rows, columns)
        for known in orders_of(found, group.suspect.shape[0]):
            sought = match_rows(print_columns(own), print_columns(other, known))
            if sought is not None:
                return self._told(group, known, sought)
        return None

    def _vector(self, group: AlignedTensor, found: dict[str, FoundOrder]) -> FoundOrder | None:
        """A bias follows the rows of its weight; a norm the order that makes it most alike."""
        weight = (
            found.get(group.name.removesuffix("bias") + "weight") if group.name.endswith("bias") else None
        )
        if weight is not None and not group.turned and weight.rows is not None:
            return self._told(group, weight.rows, None) if self._length(group, weight.rows) else None
        own, other = self._sides(group)
        mine, theirs = read_vector(own), read_vector(other)
        if np.array_equal(mine, theirs):
            return None
        orders = orders_of(list(found.values()), group.suspect.elements)
        scores = [(_likeness(mine, theirs[o.order] * o.factors), o) for o in orders]
        best = max(scores, key=lambda s: s[0], default=None)
        if best is None or best[0] < ALIKE or best[0] <= _likeness(mine, theirs) + 1e-6:
            return None
        return self._told(group, best[1], None)

    @staticmethod
    def _length(group: AlignedTensor, rows: RowMatch) -> bool:
        return group.suspect.elements == rows.order.size


def orders_of(found: Sequence[FoundOrder], length: int) -> list[RowMatch]:
    """Different orders of one length, those first that most matrices show."""
    sides = [s for f in found for s in (f.rows, f.columns) if s is not None and s.order.size == length]
    counted: dict[bytes, tuple[int, RowMatch]] = {}
    for side in sides:
        key = side.order.tobytes()
        counted[key] = (counted.get(key, (0, side))[0] + 1, counted.get(key, (0, side))[1])
    ranked = sorted(counted.values(), key=lambda c: -c[0])
    return [side for _, side in ranked[:16]]


def _likeness(own: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Correlation; how far from one norms lie, not that they lie near one, tells them apart."""
    with np.errstate(over="ignore", invalid="ignore"):
        a, b = own - own.mean(), other - other.mean()
        size = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / size if 0 < size < np.inf else 0.0
