"""A layer's experts in another order, where models are read by range.

What the sample reads of experts tells whether they meet. Their order is that of the router's rows, or of
the layer's other experts' matrices, if the sample agrees; else some numbers of every expert are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.afar.looks import AfarLook, alike, read_places
from parentage.architectures.afar.unit_prints import row_print, row_slices
from parentage.architectures.alignment import AlignedTensor, Alignment
from parentage.architectures.expert_orders import expert_refs, experts_in, reorder, stacks_of
from parentage.architectures.unit_orders import FoundOrder
from parentage.architectures.unit_prints import PLACES, Side
from parentage.checkpoints.checkpoint import Checkpoint, Slices
from parentage.checkpoints.remote.purse import Wanted
from parentage.numerics.matrices.assignment import RowMatch, match_rows
from parentage.records.tensors import TensorRef

__all__ = ["undo_expert_orders_afar"]

Floats = NDArray[np.float64]
# Of a layer's experts, each a tensor of its own, one may have been trained far away.
FEWEST = 2
AGREE = 0.95


@dataclass(frozen=True, slots=True)
class _Stack:
    """One layer's tensors of one kind: ``at`` their places among the groups; refs of both models."""

    at: list[int]
    mine: list[TensorRef]
    theirs: list[TensorRef]

    @property
    def experts(self) -> int:
        return experts_in(self.mine)


def undo_expert_orders_afar(
    alignment: Alignment, checkpoints: Sequence[Checkpoint], names: frozenset[str], look: AfarLook
) -> tuple[Alignment, tuple[FoundOrder, ...], frozenset[str]]:
    """As ``expert_orders.undo_expert_orders``, of models that are read by range; and the tensors of experts
    that meet in no order. ``names``: tensors that the sample reads. Raises ``ReadError`` for anything but a
    budget that ended."""
    groups, found, unlike = list(alignment.groups), list[FoundOrder](), set[str]()
    for k, other in enumerate(checkpoints[1:], start=1):
        if checkpoints[0].by_range or other.by_range:
            search = _Experts(groups, k, checkpoints[0], other, names, look)
            found += search.run()
            unlike |= search.unlike
    return replace(alignment, groups=tuple(groups)), tuple(found), frozenset(unlike)


class _Experts:
    """One other model against the suspect; changes ``groups``."""

    def __init__(
        self,
        groups: list[AlignedTensor],
        model: int,
        suspect: Checkpoint,
        other: Checkpoint,
        names: frozenset[str],
        look: AfarLook,
    ) -> None:
        self._groups, self.model, self._names, self._look = groups, model, names, look
        self._suspect, self._other = suspect, other
        self._shown: dict[int | None, list[RowMatch]] = {}
        self.unlike: set[str] = set()

    def run(self) -> Iterator[FoundOrder]:
        """Every stack of experts in another order."""
        for at in list(stacks_of(self._groups)):
            refs = expert_refs(at, self.model, self._groups)
            if refs is None or any(self._groups[n].name not in self._names for n in at):
                continue
            stack = _Stack(at, *refs)
            if not self._differs(stack):
                continue
            first = self._groups[at[0]]
            self._look.unlike.add((self.model, first.name))
            match = self._known(stack) or self._printed(stack)
            if match is None or not match.moved or match.multiplied:
                self.unlike |= {self._groups[n].name for n in at}
                continue
            self._shown.setdefault(first.role.layer, []).append(match)
            self._look.unsought.pop((self.model, first.name), None)
            reorder(self._groups, at, self.model, match.order)
            yield FoundOrder(self.model, first, match, None, "experts")

    def _differs(self, stack: _Stack) -> bool:
        met = self._met(stack, stack.theirs)
        return not met[0] if len(met) == 1 else met.count(False) >= FEWEST

    def _met(self, stack: _Stack, theirs: Sequence[TensorRef]) -> list[bool]:
        """For each of the tensors, whether the sample of both shows the same numbers."""
        found = []
        for at, mine, other in zip(stack.at, stack.mine, theirs, strict=True):
            places = self._look.places(self._groups[at])
            width = mine.elements // mine.shape[0]
            pair = (Side(self._suspect, mine), Side(self._other, other))
            own, second = (read_places(side, places) for side in pair)
            found.append(alike(own, second, places, width))
        return found

    def _known(self, stack: _Stack) -> RowMatch | None:
        """The order that the layer's other experts' matrices or its router show."""
        first = self._groups[stack.at[0]]
        for match in self._shown.get(first.role.layer, []):
            if match.order.size == stack.experts and self._agrees(stack, match):
                return self._told(first, match)
        router = self._router(first, stack.experts)
        if router is None:
            return None
        found = self._rows(router)
        return self._told(first, found) if found is not None and self._agrees(stack, found) else None

    def _told(self, first: AlignedTensor, match: RowMatch) -> RowMatch:
        self._look.on_sample.add((self.model, first.name))
        return replace(match, factors=np.ones_like(match.factors))

    def _router(self, first: AlignedTensor, experts: int) -> AlignedTensor | None:
        """The router beside them: of the layer's, the one whose name begins most alike."""
        routers = [
            g
            for g in self._groups
            if g.role.role == "router"
            and g.role.layer == first.role.layer
            and len(g.suspect.shape) == 2
            and g.suspect.shape[0] == experts
            and isinstance(g.others[self.model - 1], TensorRef)
        ]
        return max(routers, key=lambda g: _alike_from_the_start(g.name, first.name), default=None)

    def _rows(self, router: AlignedTensor) -> RowMatch | None:
        other = router.others[self.model - 1]
        assert isinstance(other, TensorRef)
        own, second = Side(self._suspect, router.suspect), Side(self._other, other)
        if own.turned or second.turned or own.ref.shape != second.ref.shape:
            return None
        wanted = [(side.checkpoint, row_slices(side)) for side in (own, second)]
        if not self._look.purse.fetch(wanted):
            return None
        return match_rows(row_print(own), row_print(second))

    def _agrees(self, stack: _Stack, match: RowMatch) -> bool:
        moved = list(self._groups)
        reorder(moved, stack.at, self.model, match.order)
        refs = [moved[at].others[self.model - 1] for at in stack.at]
        theirs = [r for r in refs if isinstance(r, TensorRef)]
        wanted = [
            (self._other, Slices(ref, *self._look.places(self._groups[at])))
            for at, ref in zip(stack.at, theirs, strict=True)
        ]
        return self._look.purse.fetch(wanted) and float(np.mean(self._met(stack, theirs))) >= AGREE

    def _printed(self, stack: _Stack) -> RowMatch | None:
        """The middle of every expert's matrix."""
        pair = ((self._suspect, stack.mine), (self._other, stack.theirs))
        wanted: list[Wanted] = [(c, part) for c, refs in pair for part in _middles(refs)]
        if not self._look.purse.fetch(wanted):
            key = (self.model, self._groups[stack.at[0]].name)
            self._look.unsought[key] = self._look.purse.price(wanted).nbytes
            return None
        first, second = (_print(c, refs) for c, refs in pair)
        return match_rows(first, second)


def _alike_from_the_start(one: str, two: str) -> int:
    return next((k for k, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), 0)


def _middles(refs: Sequence[TensorRef]) -> list[Slices]:
    experts = experts_in(refs)
    size = refs[0].elements // experts if len(refs) == 1 else refs[0].elements
    count = min(PLACES, size)
    middle = (size - count) // 2
    if len(refs) == 1:
        return [Slices(refs[0], np.arange(experts, dtype=np.int64) * size + middle, count)]
    return [Slices(ref, np.array([middle], np.int64), count) for ref in refs]


def _print(checkpoint: Checkpoint, refs: Sequence[TensorRef]) -> Floats:
    """Numbers of every expert [experts, 256 or fewer]."""
    parts = [read_places(Side(checkpoint, s.tensor), (s.starts, s.length)) for s in _middles(refs)]
    return np.concatenate(parts)
