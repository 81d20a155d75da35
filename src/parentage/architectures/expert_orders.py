"""A layer's experts in another order: found by some numbers of each, and undone in both layouts.

The router's rows are reordered like any matrix's (``unit_orders``); that it shows the order of the experts,
as it must for the model to compute the same, is told there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor, Alignment
from parentage.architectures.unit_orders import FoundOrder
from parentage.architectures.unit_prints import PLACES, Side
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.numerics.matrices.assignment import RowMatch, match_rows
from parentage.records.absence import Absent
from parentage.records.tensors import Order, TensorRef

__all__ = ["expert_refs", "experts_in", "reorder", "stacks_of", "undo_expert_orders"]

_NUMBER = re.compile(r"(?<=\.experts\.)\d+(?=\.)")
_ROLES = ("experts.up", "experts.down")
# Layers have up to some thousand experts; names of more are not believed.
MOST_EXPERTS = 2**14
Floats = NDArray[np.float64]


def undo_expert_orders(
    alignment: Alignment, checkpoints: Sequence[Checkpoint]
) -> tuple[Alignment, tuple[FoundOrder, ...]]:
    """The alignment with other models' experts read in the suspect's order, and what was found."""
    groups, found = list(alignment.groups), list[FoundOrder]()
    for k, other in enumerate(checkpoints[1:], start=1):
        if checkpoints[0].by_range or other.by_range:
            continue
        for stack in stacks_of(groups):
            match = _match(stack, k, groups, checkpoints[0], other)
            if match is not None and match.moved and not match.multiplied:
                found.append(FoundOrder(k, groups[stack[0]], match, None, "experts"))
                reorder(groups, stack, k, match.order)
    return replace(alignment, groups=tuple(groups)), tuple(found)


def stacks_of(groups: Sequence[AlignedTensor]) -> Iterator[list[int]]:
    """The places of one layer's tensors of one kind: the one of all experts, or each expert's, in order."""
    single: dict[str, dict[int, int]] = {}
    for at, group in enumerate(groups):
        if group.role.role not in _ROLES:
            continue
        number = _NUMBER.search(group.name)
        if number is None and len(group.suspect.shape) == 3 and group.suspect.shape[0] > 1:
            yield [at]
        elif number is not None and len(number.group()) < 6:
            single.setdefault(_NUMBER.sub("*", group.name), {})[int(number.group())] = at
    for experts in single.values():
        if 1 < len(experts) <= MOST_EXPERTS and sorted(experts) == list(range(len(experts))):
            yield [experts[e] for e in range(len(experts))]


def _match(
    stack: Sequence[int], model: int, groups: Sequence[AlignedTensor], own: Checkpoint, other: Checkpoint
) -> RowMatch | None:
    pair = expert_refs(stack, model, groups)
    if pair is None:
        return None
    mine, known = pair
    first, second = _print(own, mine), _print(other, known)
    return None if np.array_equal(first, second) else match_rows(first, second)


def expert_refs(
    stack: Sequence[int], model: int, groups: Sequence[AlignedTensor]
) -> tuple[list[TensorRef], list[TensorRef]] | None:
    """The suspect's tensors and the other's; None unless all are of one size, each with its counterpart."""
    refs = [groups[at].others[model - 1] for at in stack]
    known = [r for r in refs if isinstance(r, TensorRef) and r.dtype.is_float]
    mine = [groups[at].suspect for at in stack]
    alike = len(known) == len(refs) and len({r.shape for r in (*mine, *known)}) == 1
    return (mine, known) if alike else None


def experts_in(refs: Sequence[TensorRef]) -> int:
    """How many experts they hold: one tensor all of them, or each its own."""
    return refs[0].shape[0] if len(refs) == 1 else len(refs)


def _print(checkpoint: Checkpoint, refs: Sequence[TensorRef]) -> Floats:
    """The numbers in the middle of every expert's matrix [experts, 256 or fewer]."""
    experts = experts_in(refs)
    size = refs[0].elements // experts if len(refs) == 1 else refs[0].elements
    count = min(PLACES, size)
    middle = (size - count) // 2
    if len(refs) == 1:
        side = Side(checkpoint, refs[0])
        return np.stack([side.read(e * size + middle, count) for e in range(experts)])
    return np.stack([Side(checkpoint, ref).read(middle, count) for ref in refs])


def reorder(
    groups: list[AlignedTensor], stack: Sequence[int], model: int, order: NDArray[np.int64]
) -> None:
    """Put the other model's experts in the suspect's order."""
    if len(stack) == 1:
        group = groups[stack[0]]
        ref = group.others[model - 1]
        assert isinstance(ref, TensorRef)
        how = Order(ref, rows=order)
        moved = TensorRef(ref.name, ref.dtype, ref.shape, "", 0, 0, encoding=ref.encoding, order=how)
        groups[stack[0]] = _with(group, model, moved)
        return
    refs = [groups[at].others[model - 1] for at in stack]
    for at, source in zip(stack, order, strict=True):
        groups[at] = _with(groups[at], model, refs[int(source)])


def _with(group: AlignedTensor, model: int, ref: TensorRef | Absent) -> AlignedTensor:
    others = list(group.others)
    others[model - 1] = ref
    return replace(group, others=tuple(others))
