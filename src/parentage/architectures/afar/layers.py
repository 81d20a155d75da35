"""Layers that do not meet by number, where models are read by range.

The sample that is read anyway shows whether the layers of one number are alike. Only where they are not is
content read to find which layers belong together, if the purse holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from parentage.architectures.afar.looks import AfarLook, alike, read_places
from parentage.architectures.alignment import AlignedTensor, Alignment, align
from parentage.architectures.layer_maps import LayersFound, choose_layers, shared_stacks
from parentage.architectures.layer_prints import AFAR, compare_layers, layer_slices
from parentage.architectures.naming import Naming, name_checkpoint
from parentage.architectures.unit_prints import Side
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.remote.purse import Wanted
from parentage.records.tensors import TensorRef

__all__ = ["meet_layers_afar"]

# A fine-tune may have changed one matrix beyond recognition; a layer that is another's has most of them so.
MOST_UNLIKE = 0.5


def meet_layers_afar(
    alignment: Alignment,
    checkpoints: Sequence[Checkpoint],
    names: frozenset[str],
    look: AfarLook,
    compared: bool = False,
) -> Alignment:
    """The alignment with layers met by content where the sample shows that they do not meet by number.

    ``names``: tensors that the sample reads. ``compared``: stacks whose numbers of layers differ were
    compared already. Raises ``ReadError`` for anything but a budget that ended.
    """
    mine = name_checkpoint(checkpoints[0])
    groups = [g for g in alignment.groups if g.name in names]
    maps, moved = list(alignment.layers), set[int]()
    for k, other in enumerate(checkpoints[1:], start=1):
        if checkpoints[0].by_range or other.by_range:
            search = _Layers(mine, name_checkpoint(other), k, groups, look)
            found = {f.stack: f for f in search.run(compared)}
            if found:
                moved.add(k)
                maps[k - 1] = tuple(({f.stack: f for f in maps[k - 1]} | found).values())
    if not moved:
        return alignment
    return _others_kept(alignment, align(checkpoints[0], checkpoints[1:], layers=maps), moved)


class _Layers:
    """One other model against the suspect."""

    def __init__(
        self, mine: Naming, theirs: Naming, model: int, groups: Sequence[AlignedTensor], look: AfarLook
    ) -> None:
        self._mine, self._theirs, self._model, self._look = mine, theirs, model, look
        self._matrices: dict[str, dict[int, list[AlignedTensor]]] = {}
        for group in groups:
            held = mine.holders[group.name].held
            matrix = len(group.suspect.shape) == 2 and min(group.suspect.shape) > 1
            if matrix and held.layer is not None and isinstance(group.others[model - 1], TensorRef):
                self._matrices.setdefault(held.stack, {}).setdefault(held.layer, []).append(group)

    def run(self, compared: bool) -> Iterator[LayersFound]:
        """A map of each stack whose content says that its layers do not all meet by number."""
        for stack in shared_stacks(self._mine, self._theirs):
            differ = len(self._mine.layers(stack)) != len(self._theirs.layers(stack))
            if differ and compared:
                continue
            unlike = self._unlike(stack)
            if (unlike or differ) and self._paid(stack, unlike):
                likeness = compare_layers(self._mine, self._theirs, stack, AFAR)
                prefix = self._mine.prefix(stack)
                found = None if likeness is None else choose_layers(stack, prefix, likeness)
                if found is not None:
                    yield found

    def _unlike(self, stack: str) -> list[AlignedTensor]:
        """Unlike matrices of layers in which most are."""
        found: list[AlignedTensor] = []
        for several in self._matrices.get(stack, {}).values():
            unlike = [g for g in several if self._differs(g)]
            if len(unlike) > MOST_UNLIKE * len(several):
                found += unlike
        return found

    def _differs(self, group: AlignedTensor) -> bool:
        other = group.others[self._model - 1]
        assert isinstance(other, TensorRef)
        places = self._look.places(group)
        sides = (Side(self._mine.checkpoint, group.suspect), Side(self._theirs.checkpoint, other))
        own, theirs = (read_places(side, places) for side in sides)
        return not alike(own, theirs, places, group.suspect.shape[1])

    def _paid(self, stack: str, unlike: Sequence[AlignedTensor]) -> bool:
        own, theirs = layer_slices(self._mine, self._theirs, stack, AFAR)
        wanted: list[Wanted] = [(self._mine.checkpoint, part) for part in own]
        wanted += [(self._theirs.checkpoint, part) for part in theirs]
        if self._look.purse.fetch(wanted):
            return True
        known = unlike or [g for several in self._matrices.get(stack, {}).values() for g in several]
        for group in known[:1]:
            self._look.unsought[self._model, group.name] = self._look.purse.price(wanted).nbytes
        return False


def _others_kept(before: Alignment, now: Alignment, moved: set[int]) -> Alignment:
    """Of models whose layers stay, what was found of them before (orders that were put back)."""
    known = {g.name: g for g in before.groups}

    def kept(group: AlignedTensor) -> AlignedTensor:
        old = known.get(group.name)
        if old is None:
            return group
        pairs = enumerate(zip(group.others, old.others, strict=True), start=1)
        others = tuple(new if k in moved else past for k, (new, past) in pairs)
        return old if others == old.others else replace(group, others=others)

    return replace(now, groups=tuple(kept(g) for g in now.groups))
