"""The look for other orders, of layers and within them, where models are read by range: what it may cost,
what of it is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from parentage.architectures.afar.expert_orders import undo_expert_orders_afar
from parentage.architectures.afar.layers import meet_layers_afar
from parentage.architectures.afar.looks import AfarLook, Places
from parentage.architectures.afar.unit_orders import undo_orders_afar
from parentage.architectures.alignment import AlignedTensor, Alignment
from parentage.architectures.unit_orders import FoundOrder
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.remote.costs import Cost
from parentage.checkpoints.remote.purse import Purse
from parentage.evidence.sampling.fetching import fetch
from parentage.evidence.sampling.positions import Sampling, plan_sample
from parentage.evidence.sampling.reading_plan import (
    RESERVE,
    ReadingBudget,
    cost_of_opening,
    cost_of_reading,
)
from parentage.records.alignment import OrderLook

__all__ = ["LOOK", "Layers", "LookedAfar", "allowance", "look_afar"]

# Where no budget was given. Models in one order cost nothing; the real MiniLM with neurons and heads of all
# six layers in another order 9 MB; the probes of a stranger of 7 billion numbers some 10 MB.
LOOK = Cost(32 * 2**20, 4_000)
# With a budget: of what the first stage leaves, the rest is for further stages.
SHARE = 0.5


class Layers(Enum):
    """Whose layers are looked for by content where they are unlike: none, those of stacks with as many
    layers (others were compared already), or all."""

    NONE = "none"
    OTHERS = "others"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class LookedAfar:
    """``spent``: beside the sample of ``alignment``'s tensors; ``limit``: of the purse, as it was kept."""

    alignment: Alignment
    orders: tuple[FoundOrder, ...]
    record: OrderLook
    spent: Cost
    limit: Cost


def allowance(
    groups: Sequence[AlignedTensor],
    checkpoints: Sequence[Checkpoint],
    sampling: Sampling,
    budget: ReadingBudget | None,
) -> Cost:
    """Most bytes and requests of the look."""
    if budget is None:
        return LOOK
    first = cost_of_opening(checkpoints) + cost_of_reading(groups, checkpoints, sampling)
    return Cost(
        _left(budget.nbytes, first.nbytes, LOOK.nbytes),
        _left(budget.requests, first.requests, LOOK.requests),
    )


def _left(limit: int | None, used: int, otherwise: int) -> int:
    return otherwise if limit is None else max(int(SHARE * ((1 - RESERVE) * limit - used)), 0)


def look_afar(
    alignment: Alignment,
    checkpoints: Sequence[Checkpoint],
    groups: Sequence[AlignedTensor],
    sampling: Sampling,
    limit: Cost,
    layers: Layers = Layers.ALL,
    turned: bool = True,
) -> LookedAfar:
    """Layers and units in another order, put back; ``groups``: what the sample reads; ``layers``: which are
    looked for; ``turned``: units of turned matrices too. Raises ``ReadError``."""

    def places(group: AlignedTensor) -> Places:
        plan = plan_sample(group.name, group.role, group.suspect.shape, sampling)
        return plan.starts, plan.elements if plan.whole else plan.length

    fetch(groups, checkpoints, sampling)
    look = AfarLook(places, Purse(limit), turned)
    names = frozenset(g.name for g in groups)
    met = alignment
    if layers is not Layers.NONE:
        met = meet_layers_afar(alignment, checkpoints, names, look, layers is Layers.OTHERS)
        fetch([g for g in met.groups if g.name in names], checkpoints, sampling)
    found, experts, apart = undo_expert_orders_afar(met, checkpoints, names, look)
    # Experts that meet in no order are not taken for matrices with neurons in another.
    found, units = undo_orders_afar(found, checkpoints, names - apart, look)
    orders = (*experts, *units)
    # The sample of what is reordered was read in both orders.
    now = {g.name: g for g in found.groups}
    moved = [g for g in alignment.groups if g.name in names and now.get(g.name) is not g]
    twice = cost_of_reading(moved, checkpoints, sampling)
    return LookedAfar(found, orders, _record(look, layers), look.purse.spent + twice, look.purse.limit)


def _record(look: AfarLook, layers: Layers) -> OrderLook:
    spent = look.purse.spent
    return OrderLook(
        nbytes=spent.nbytes,
        requests=spent.requests,
        unlike=len(look.unlike),
        on_sample=len(look.on_sample),
        not_sought=tuple(sorted({name for _, name in look.unsought})),
        needed=sum(look.unsought.values()),
        layers=layers is not Layers.NONE,
    )
