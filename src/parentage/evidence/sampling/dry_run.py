"""The plan of an audit, before any weight is read: what each model costs, and what will be left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from parentage import __version__
from parentage.architectures.alignment import AlignedTensor, Alignment, align
from parentage.checkpoints.remote.costs import Cost, opening_cost, reading_cost
from parentage.evidence.measure import AuditInputs, Options, not_examined, readable
from parentage.evidence.sampling.fetching import planned
from parentage.evidence.sampling.planned_looks import planned_looks
from parentage.evidence.sampling.positions import Sampling, plan_sample
from parentage.evidence.sampling.processor_time import processor_time
from parentage.evidence.sampling.reading_plan import ReadingBudget, cost_of_opening
from parentage.evidence.sampling.stages import STAGE_BUDGET
from parentage.evidence.sampling.tiles import in_tiles
from parentage.records.absence import Absent
from parentage.records.evidence import NotExamined
from parentage.records.plan import (
    AuditPlan,
    PlannedComponent,
    PlannedModel,
    PlannedReading,
    PlannedStage,
)

__all__ = ["plan_audit"]

NO_BUDGET = Absent("no budget was given")
LOCAL = Absent("a local folder has no revision")
# docs/places.md: with 64 in flight at 50 ms of latency a request costs .48 ms; 70 MB/s carry as much.
SECONDS_A_REQUEST = 0.48e-3
BYTES_A_SECOND = 70e6
# Measured: three MiniLM models and a control at 65,536 elements a tensor on two threads take 250 MB, of
# which 170 are the program itself; slices of a sample are held up to 32 MiB.
PROGRAM = 170_000_000
SLICES = 32 * 2**20
BYTES_AN_ELEMENT = 152


def plan_audit(
    inputs: AuditInputs,
    options: Options,
    asked: Mapping[str, Any],
    notes: Sequence[str],
    candidates: frozenset[str] = frozenset(),
) -> AuditPlan:
    """What ``measure`` would read with the same arguments. ``candidates``: locators of models that are
    controls here, and whose part is not known before they are looked at."""
    checkpoints = [m.checkpoint for m in inputs.models]
    alignment = align(checkpoints[0], checkpoints[1:])
    groups = readable(alignment, checkpoints, options)
    sampling = in_tiles(options.sampling, groups, checkpoints)
    slices = planned(groups, len(checkpoints), sampling)
    reading = [reading_cost(c, part) for c, part in zip(checkpoints, slices, strict=True)]
    models = tuple(
        PlannedModel(
            name=m.name,
            role="candidate" if m.checkpoint.locator in candidates else m.role.value,
            locator=m.checkpoint.locator,
            revision=m.checkpoint.revision or LOCAL,
            remote=m.checkpoint.remote,
            files=len(m.checkpoint.shards),
            tensors=len(m.checkpoint.tensors),
            stored=sum(shard.size for shard in m.checkpoint.shards),
            opening=_record(opening_cost(m.checkpoint)),
            reading=_record(cost),
        )
        for m, cost in zip(inputs.models, reading, strict=True)
    )
    stages = _stages(groups, inputs, options)
    first = stages[0].total
    return AuditPlan(
        tool={"name": "parentage", "version": __version__},
        asked=dict(asked),
        models=models,
        components=_components(groups, sampling),
        stages=stages,
        budget=NO_BUDGET if options.budget is None else options.budget.words(),
        not_read=tuple(_not_read(alignment, groups, inputs, options)),
        seconds_network=max(first.requests * SECONDS_A_REQUEST, first.nbytes / BYTES_A_SECOND),
        memory=_memory(options, len(checkpoints), first.nbytes),
        spent=PlannedReading(0, 0),
        notes=tuple(notes),
        processor=processor_time(groups, checkpoints, options),
        looks=planned_looks(groups, checkpoints, options),
    )


def _record(cost: Cost) -> PlannedReading:
    return PlannedReading(cost.nbytes, cost.requests)


def _components(groups: Sequence[AlignedTensor], sampling: Sampling) -> tuple[PlannedComponent, ...]:
    names = sorted({g.role.component for g in groups})
    found = []
    for name in names:
        mine = [g for g in groups if g.role.component == name]
        read = sum(plan_sample(g.name, g.role, g.suspect.shape, sampling).elements for g in mine)
        found.append(PlannedComponent(name, len(mine), sum(g.suspect.elements for g in mine), read))
    return tuple(found)


def _stages(
    groups: Sequence[AlignedTensor], inputs: AuditInputs, options: Options
) -> tuple[PlannedStage, ...]:
    checkpoints = [m.checkpoint for m in inputs.models]
    opened, sampling = cost_of_opening(checkpoints), in_tiles(options.sampling, groups, checkpoints)
    components = sorted({g.role.component for g in groups})
    found = []
    for stage, elements in enumerate((sampling.elements, *sampling.further)):
        reached = replace(sampling, reached=tuple((c, stage) for c in components if stage))
        slices = planned(groups, len(checkpoints), reached)
        total = opened
        for checkpoint, part in zip(checkpoints, slices, strict=True):
            total += reading_cost(checkpoint, part)
        budget = options.budget or (STAGE_BUDGET if stage else ReadingBudget())
        found.append(PlannedStage(elements, _record(total), budget.holds(total)))
    return tuple(found)


def _not_read(
    alignment: Alignment, groups: Sequence[AlignedTensor], inputs: AuditInputs, options: Options
) -> list[NotExamined]:
    read = {g.name for g in groups}
    allowed = "" if options.budget is None else options.budget.words()
    left_out = [
        NotExamined(g.name, f"the budget of {allowed} ends before it")
        for g in alignment.groups
        if g.suspect.dtype.is_float and g.suspect.elements and g.name not in read
    ]
    return [*left_out, *not_examined(alignment, inputs)]


def _memory(options: Options, models: int, nbytes: int) -> int:
    samples = BYTES_AN_ELEMENT * options.sample * models * options.workers
    return PROGRAM + min(nbytes, SLICES) + samples
