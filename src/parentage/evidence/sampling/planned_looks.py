"""What an audit may read beside the sample, at most: told from headers for its plan."""

from __future__ import annotations

from collections.abc import Sequence

from parentage.architectures.alignment import AlignedTensor
from parentage.architectures.layer_maps import stacks_compared_afar
from parentage.architectures.layer_prints import AFAR, layer_slices
from parentage.architectures.naming import name_checkpoint
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.remote.costs import Cost, reading_cost
from parentage.checkpoints.remote.extents import MAX_REQUEST
from parentage.evidence.options import Options
from parentage.evidence.recognition.whole_tensors import left_for_methods
from parentage.evidence.sampling.orders_afar import allowance
from parentage.evidence.sampling.reading_plan import NOTHING, cost_of_opening, cost_of_reading
from parentage.evidence.sampling.tiles import in_tiles
from parentage.records.absence import Absent
from parentage.records.plan import NO_LOOKS, PlannedLooks, PlannedReading
from parentage.records.tensors import TensorRef

__all__ = ["planned_looks"]


def planned_looks(
    groups: Sequence[AlignedTensor], checkpoints: Sequence[Checkpoint], options: Options
) -> PlannedLooks | Absent:
    """Upper bounds; Absent where all models lie on this machine, or the suspect is alone."""
    if len(checkpoints) < 2 or not any(c.remote for c in checkpoints):
        return NO_LOOKS
    sampling = in_tiles(options.sampling, groups, checkpoints)
    first = cost_of_opening(checkpoints) + cost_of_reading(groups, checkpoints, sampling)
    methods = left_for_methods(options.budget, first)
    refs = [ref for group in groups for ref in _refs(group)]
    stored = sum(ref.nbytes for ref in refs)
    requests = sum(1 + ref.nbytes // MAX_REQUEST for ref in refs)
    return PlannedLooks(
        layers=_record(_layers(checkpoints) if options.budget is None else NOTHING),
        orders=_record(allowance(groups, checkpoints, sampling, options.budget)),
        methods=_record(Cost(min(methods.nbytes, stored), min(methods.requests, requests))),
    )


def _record(cost: Cost) -> PlannedReading:
    return PlannedReading(cost.nbytes, cost.requests)


def _refs(group: AlignedTensor) -> list[TensorRef]:
    return [r for r in (group.suspect, *group.others) if isinstance(r, TensorRef)]


def _layers(checkpoints: Sequence[Checkpoint]) -> Cost:
    """Of all pairs; each is asked for by itself."""
    mine, total = name_checkpoint(checkpoints[0]), NOTHING
    for other in checkpoints[1:]:
        theirs = name_checkpoint(other)
        for stack in stacks_compared_afar(mine, theirs):
            own, second = layer_slices(mine, theirs, stack, AFAR)
            total += reading_cost(checkpoints[0], own) + reading_cost(other, second)
    return total
