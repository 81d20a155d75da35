"""Neurons, heads and hidden dimensions in another order, where models are read by range.

What the sample reads tells which matrices are unlike their counterparts. Columns are told apart by a few
whole rows, which lie together in the file; the order that they show is tried on the other matrices of the
layer, at the places of the sample. Only where none fits are all rows of a matrix read, if the
purse holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.afar.looks import AfarLook, alike, read_places
from parentage.architectures.afar.unit_prints import (
    column_print,
    column_slices,
    row_print,
    row_slices,
)
from parentage.architectures.alignment import AlignedTensor, Alignment
from parentage.architectures.unit_orders import FoundOrder, OrderSearch, ordered, orders_of, reordered
from parentage.checkpoints.checkpoint import Checkpoint, Slices
from parentage.checkpoints.remote.purse import Wanted
from parentage.numerics.matrices.assignment import MOST_UNITS, RowMatch, match_rows

__all__ = ["undo_orders_afar"]

# Unlike matrices that are tried first, of those whose columns are units and of the others.
PROBES = 4
# Matrices whose columns are units of their layer: they show its order at the price of a few rows.
_FIRST = ("mlp.down", "attention.o")
MOST_TRIED = 12
Sides = tuple[RowMatch | None, RowMatch | None]


def undo_orders_afar(
    alignment: Alignment, checkpoints: Sequence[Checkpoint], names: frozenset[str], look: AfarLook
) -> tuple[Alignment, tuple[FoundOrder, ...]]:
    """As ``unit_orders.undo_orders``, of models that are read by range; ``names``: tensors that the sample
    reads. Raises ``ReadError`` for anything but a budget that ended."""
    found: dict[tuple[int, str], FoundOrder] = {}
    groups = [g for g in alignment.groups if g.name in names]
    for k, other in enumerate(checkpoints[1:], start=1):
        if checkpoints[0].by_range or other.by_range:
            search = _AfarSearch(groups, k, checkpoints[0], other, look)
            found |= {(k, f.group.name): f for f in search.run()}
    put_back = tuple(reordered(group, found) for group in alignment.groups)
    return replace(alignment, groups=put_back), tuple(found.values())


class _AfarSearch(OrderSearch):
    """One other model against the suspect."""

    def __init__(
        self,
        groups: Sequence[AlignedTensor],
        model: int,
        suspect: Checkpoint,
        other: Checkpoint,
        look: AfarLook,
    ) -> None:
        super().__init__(groups, model, suspect, other)
        self._look = look

    def run(self) -> Iterator[FoundOrder]:
        """Every reordered matrix, then the vectors that stand in the same orders."""
        unlike = sorted((g for g in self._matrices if self._differs(g)), key=_rank)
        self._look.unlike |= {(self.model, g.name) for g in unlike}
        found: dict[str, FoundOrder] = {}
        probes = _probes(unlike)
        self._search(probes, found)
        rest = [g for g in unlike if g not in probes]
        if found:
            self._search(rest, found)
            # An order that a later matrix showed may be an earlier one's.
            self._search([g for g in unlike if g.name not in found], found)
        elif any((self.model, g.name) in self._look.unsought for g in probes):
            for group in rest:
                self._unsought(group, self._columns_wanted(group, None))
        yield from found.values()
        if found:
            vectors = (self._vector(g, found) for g in self._vectors if self._paid_vector(g))
            yield from (v for v in vectors if v is not None)

    def _differs(self, group: AlignedTensor) -> bool:
        own, other = self._sides(group)
        if not self._look.turned and (own.turned or other.turned):
            return False
        places = self._look.places(group)
        pair = (read_places(own, places), read_places(other, places))
        return not alike(*pair, places, group.suspect.shape[1])

    def _search(self, groups: Sequence[AlignedTensor], found: dict[str, FoundOrder]) -> None:
        for group in groups:
            told = self._tried(group, found) or self._printed(group, found)
            # The sample is read once more, through the order.
            if told is not None and self._pays(group, [self._through(group, told)]):
                found[group.name] = told
                self._look.unsought.pop((self.model, group.name), None)

    def _tried(self, group: AlignedTensor, found: dict[str, FoundOrder]) -> FoundOrder | None:
        """In an order that others of the layer, or matrices of several layers, show."""
        rows, columns = group.suspect.shape
        pairs = product(self._candidates(group, found, rows), self._candidates(group, found, columns))
        tried = [p for p in pairs if p != (None, None)]
        if group.role.component in ("embedding", "head"):
            tried = [(r, c) for r, c in tried if r is None]
        for sides in sorted(tried, key=lambda p: None not in p)[:MOST_TRIED]:
            if self._agrees(group, sides):
                self._look.on_sample.add((self.model, group.name))
                return self._told(group, *sides)
        return None

    def _agrees(self, group: AlignedTensor, sides: Sides) -> bool:
        own, other = self._sides(group)
        told = self._told(group, *sides)
        if told is None or not self._look.purse.fetch([self._through(group, told)]):
            return False
        side = replace(other, ref=ordered(other.ref, told))
        places = self._look.places(group)
        return alike(read_places(own, places), read_places(side, places), places, group.suspect.shape[1])

    def _through(self, group: AlignedTensor, told: FoundOrder) -> Wanted:
        """The sample of the other's matrix in the order that was found."""
        other = self._sides(group)[1]
        side = replace(other, ref=ordered(other.ref, told))
        return side.checkpoint, self._look.slices(side, group)

    def _candidates(
        self, group: AlignedTensor, found: dict[str, FoundOrder], length: int
    ) -> list[RowMatch | None]:
        layer = group.role.layer
        near = [f for f in found.values() if f.group.role.layer == layer]
        shown = [*orders_of(near, length), *_shared(found, length), *_grouped(near, length)]
        several = (v for match in shown for v in _variants(match))
        told = {(m.order.tobytes(), m.factors.tobytes()): m for m in several}
        return [None, *told.values()]

    def _printed(self, group: AlignedTensor, found: dict[str, FoundOrder]) -> FoundOrder | None:
        """By a few whole rows, else by some numbers of every row; then with one side as others show it."""
        rows, columns = group.suspect.shape
        known = self._candidates(group, found, rows)
        for side in known[:2]:
            match = self._by_columns(group, side)
            if match is not None:
                return self._told(group, side, match)
        if group.role.component in ("embedding", "head"):
            return None
        for side in self._candidates(group, found, columns)[:2]:
            match = self._by_rows(group, side)
            if match is not None:
                return self._told(group, match, side)
        return None

    def _columns_wanted(self, group: AlignedTensor, rows: RowMatch | None) -> list[Wanted]:
        own, other = self._sides(group)
        return [
            (own.checkpoint, column_slices(own)),
            (other.checkpoint, column_slices(other, rows)),
        ]

    def _by_columns(self, group: AlignedTensor, rows: RowMatch | None) -> RowMatch | None:
        own, other = self._sides(group)
        if group.suspect.shape[1] > MOST_UNITS or not self._pays(group, self._columns_wanted(group, rows)):
            return None
        return match_rows(column_print(own), column_print(other, rows))

    def _by_rows(self, group: AlignedTensor, columns: RowMatch | None) -> RowMatch | None:
        own, other = self._sides(group)
        wanted = [(own.checkpoint, row_slices(own)), (other.checkpoint, row_slices(other, columns))]
        if group.suspect.shape[0] > MOST_UNITS or not self._pays(group, wanted):
            return None
        return match_rows(row_print(own), row_print(other, columns))

    def _pays(self, group: AlignedTensor, wanted: Sequence[Wanted]) -> bool:
        paid = self._look.purse.fetch(wanted)
        if not paid:
            self._unsought(group, wanted)
        return paid

    def _unsought(self, group: AlignedTensor, wanted: Sequence[Wanted]) -> None:
        key = (self.model, group.name)
        needed = self._look.purse.price(wanted).nbytes
        self._look.unsought[key] = max(needed, self._look.unsought.get(key, 0))

    def _paid_vector(self, group: AlignedTensor) -> bool:
        if self._look.places(group)[1] == group.suspect.elements:
            return True
        whole = (np.zeros(1, np.int64), group.suspect.elements)
        return self._pays(group, [(s.checkpoint, Slices(s.ref, *whole)) for s in self._sides(group)])


def _rank(group: AlignedTensor) -> tuple[int, int, str]:
    embedding = group.role.component == "embedding"
    kind = 0 if embedding else 1 if group.role.role in _FIRST else 2
    return kind, -1 if group.role.layer is None else group.role.layer, group.name


def _probes(unlike: Sequence[AlignedTensor]) -> list[AlignedTensor]:
    kinds = [[g for g in unlike if _rank(g)[0] == kind] for kind in range(3)]
    return [*kinds[0][:1], *(g for kind in kinds[1:] for g in kind[:: max(1, -(-len(kind) // PROBES))])]


def _shared(found: dict[str, FoundOrder], length: int) -> list[RowMatch]:
    """Orders that the embedding, or matrices of two layers, show: those of the hidden dimensions."""
    layers: dict[bytes, set[int | None]] = {}
    matches = orders_of(list(found.values()), length)
    for entry in found.values():
        for side in (entry.rows, entry.columns):
            if side is not None and side.order.size == length:
                layers.setdefault(side.order.tobytes(), set()).add(entry.group.role.layer)
    return [m for m in matches if None in layers[m.order.tobytes()] or len(layers[m.order.tobytes()]) > 1]


def _variants(match: RowMatch) -> Iterator[RowMatch]:
    """The order with the factors that one side shows, with their inverse, which the other side of a
    rescaled pair has, and with none."""
    if not match.multiplied:
        yield match
        return
    for factors in (1 / match.factors, match.factors, np.ones_like(match.factors)):
        yield replace(match, factors=factors, scaled=0)


def _grouped(found: Sequence[FoundOrder], length: int) -> list[RowMatch]:
    """Orders of keys and values from those of queries, several of which share each of them."""
    sides = [s for f in found for s in (f.rows, f.columns) if s is not None and s.order.size > length]
    several = (_of_groups(s.order, length) for s in sides)
    return [RowMatch(order, np.ones(length), 0, 1.0) for order in several if order is not None]


def _of_groups(order: NDArray[np.int64], length: int) -> NDArray[np.int64] | None:
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(order) != 1) + 1])
    wide = int(np.gcd.reduce(np.concatenate([cuts, order[cuts], [order.size, length]])))
    if wide < 2 or order.size % length:
        return None
    heads = (order[::wide] // wide).reshape(length // wide, -1) // (order.size // length)
    if (heads != heads[:, :1]).any():
        return None
    return np.asarray(heads[:, :1] * wide + np.arange(wide), np.int64).reshape(-1)
