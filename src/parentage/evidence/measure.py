"""Measure, and save: the passes over the tensors that make one Evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from parentage import __version__
from parentage.architectures.alignment import AlignedTensor, Alignment, align
from parentage.architectures.expert_orders import undo_expert_orders
from parentage.architectures.unit_orders import FoundOrder, undo_orders
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.merge_claims import merge_claims
from parentage.checkpoints.remote.costs import Cost
from parentage.evidence.aligned_how import alignment_findings, alignment_notes
from parentage.evidence.blends.sweeps import shared_sweeps
from parentage.evidence.codes.coded_pass import measure_quantized
from parentage.evidence.inputs.pinning import pin_models
from parentage.evidence.options import AuditInputs, NamedCheckpoint, Options
from parentage.evidence.quiet_rows import measure_quiet_rows
from parentage.evidence.recognition.replaying import compared
from parentage.evidence.recognition.second_pass import recognise_methods
from parentage.evidence.recognition.whole_tensors import WholeTensors, left_for_methods
from parentage.evidence.replaying.search import ReplayContext, search_replays
from parentage.evidence.sampling.fetching import FetchProgress
from parentage.evidence.sampling.orders_afar import Layers, LookedAfar, allowance, look_afar
from parentage.evidence.sampling.positions import Sampling
from parentage.evidence.sampling.reading_plan import NOTHING, affordable, cost_of_reading
from parentage.evidence.sampling.stages import FirstPass
from parentage.evidence.sampling.tiles import in_tiles
from parentage.evidence.structure import measure_spectra
from parentage.evidence.tensors import TensorPlan
from parentage.records.absence import Absent
from parentage.records.alignment import NO_LOOK
from parentage.records.evidence import (
    Coverage,
    Evidence,
    ModelPin,
    ModelRole,
    NotExamined,
    QuietRows,
    Replay,
    TensorEvidence,
)
from parentage.records.recognition import Recognition

__all__ = [
    "CURVE_GRID",
    "AuditInputs",
    "NamedCheckpoint",
    "Options",
    "Progress",
    "measure",
    "not_examined",
    "readable",
]

Progress = Callable[[str, int, int], None]

# α from -0.25 to 1.25 in steps of 0.0125: fine enough to draw the peak of the consistency curve.
CURVE_GRID = np.linspace(-0.25, 1.25, 121)
OVER_A_NETWORK = (
    "read over a network by range: what needs whole matrices was not measured (stable rank of differences, "
    "rows that only weight decay moved), layers were compared by number unless the sample shows that they "
    "are unlike, and digests are those that the place publishes"
)
PARTS = (
    "read over a network by range: parts of the model that were merged by rules of their own are looked "
    "for only where one rule gives the tensors that are tried first"
)
# Pairs grow with the square of the parents; beyond six parents only those with the last are tried.
ALL_PAIRS_UP_TO = 4
MATCHING = "matching tensors"


def measure(
    inputs: AuditInputs,
    options: Options,
    asked: Mapping[str, Any],
    notes: Sequence[str],
    progress: Progress,
    fetched: FetchProgress | None = None,
) -> Evidence:
    """All passes: tensors, replays, structure, digests. Deterministic for equal inputs and options."""
    checkpoints = [m.checkpoint for m in inputs.models]
    alignment, experts, orders = _met(checkpoints, options, progress)
    plan = _plan(inputs, options)
    groups = readable(alignment, checkpoints, options)
    looked = _look_afar(alignment, checkpoints, groups, options, fetched)
    progress(MATCHING, 4, 4)
    sampling = in_tiles(options.sampling, alignment.groups, checkpoints)
    if looked is not None:
        alignment, orders = looked.alignment, (*orders, *looked.orders)
        groups = readable(alignment, checkpoints, options, looked.spent)
        sampling = in_tiles(options.sampling, alignment.groups, checkpoints)
    first = FirstPass(
        groups,
        checkpoints,
        plan,
        workers=options.workers,
        progress=progress,
        fetched=fetched,
        budget=options.budget,
        before=NOTHING if looked is None else looked.spent,
        under_way=looked is not None,
    )
    found = first.run(sampling, options.reached)
    tensors = tuple(m.evidence for m in found.measured)
    sweeps = shared_sweeps(found.measured)
    context = ReplayContext(
        groups={g.name: g for g in groups},
        checkpoints=checkpoints,
        controls=(*plan.controls, *_previous(inputs)),
        sampling=found.sampling,
        workers=options.workers,
        progress=progress,
        full=options.full,
        engine=options.engine,
        resume=options.resume,
        device=options.device,
    )
    # Numbers decoded from codes lie on no grid of a blend: they are replayed through their quantiser.
    coded = {g.name for g in groups if g.suspect.encoding}
    replays = search_replays(tuple(t for t in tensors if t.name not in coded), sweeps, context)
    quantized = measure_quantized(groups, checkpoints, plan, found.sampling, options.workers, progress)
    whole = WholeTensors(
        {g.name: g for g in groups},
        checkpoints,
        left_for_methods(options.budget, found.spent),
        options.whole,
        named_parts=options.parts,
    )
    recognition = recognise_methods(
        tensors,
        {g.name: g for g in groups},
        checkpoints,
        sources=plan.parents,
        base=_base(inputs),
        controls=plan.controls,
        replays=replays,
        full=options.full,
        workers=options.workers,
        progress=progress,
        whole=whole if options.look else None,
    )
    remote = any(c.by_range for c in checkpoints)
    names = [m.name for m in inputs.models]
    quiet: tuple[QuietRows, ...] = ()
    if not remote:
        tensors = measure_spectra(tensors, alignment, checkpoints, options.seed)
        progress("rows that only decay moved", 0, 1)
        quiet = measure_quiet_rows(alignment, checkpoints)
    pins = _pins(inputs, plan, options, progress)
    read = {t.name for t in tensors}
    left_out = tuple(g.name for g in _measurable(alignment) if g.name not in read)
    return Evidence(
        tool={"name": "parentage", "version": __version__},
        asked=dict(asked),
        used=_used(options, left_out, found.sampling, inputs, looked) | _whole(looked, whole),
        models=pins,
        coverage=_with_replayed(
            _coverage(alignment, checkpoints, tensors, replays, inputs, _unpaid(options, left_out)),
            tensors,
            recognition,
        ),
        curve_grid=tuple(float(x) for x in CURVE_GRID),
        tensors=tensors,
        sweeps=sweeps,
        replays=replays,
        quiet_rows=quiet,
        notes=(*notes, *alignment_notes(alignment, names), *(_notes_afar(recognition) if remote else ())),
        reading=found.reading,
        alignment=alignment_findings(
            alignment, (*experts, *orders), not remote, NO_LOOK if looked is None else looked.record
        ),
        quantized=quantized,
        claims=merge_claims(checkpoints[0]),
        recognition=recognition,
    )


def _met(
    checkpoints: Sequence[Checkpoint], options: Options, progress: Progress
) -> tuple[Alignment, tuple[FoundOrder, ...], tuple[FoundOrder, ...]]:
    """What meets what, by name and content, with orders of experts and of units undone. Of large models
    this takes minutes, of which a network's part is left."""
    progress(MATCHING, 0, 4)
    # A budget is for what was planned: layers are then not looked for over a network.
    afar = options.budget is None
    alignment = align(checkpoints[0], checkpoints[1:], by_content=True, afar=afar)
    progress(MATCHING, 1, 4)
    alignment, experts = undo_expert_orders(alignment, checkpoints)
    progress(MATCHING, 2, 4)
    alignment, orders = undo_orders(alignment, checkpoints)
    progress(MATCHING, 3, 4)
    return alignment, experts, orders


def _notes_afar(recognition: Recognition | Absent) -> tuple[str, ...]:
    """What was not measured; of parts only where no method makes all of what was replayed."""
    if not isinstance(recognition, Recognition) or recognition.parts:
        return (OVER_A_NETWORK,)
    whole = any(r.subject == 0 and r.matches == r.informative for r in recognition.replays)
    return (OVER_A_NETWORK,) if whole else (OVER_A_NETWORK, PARTS)


def _used(
    options: Options,
    left_out: tuple[str, ...],
    sampling: Sampling,
    inputs: AuditInputs,
    looked: LookedAfar | None,
) -> dict[str, Any]:
    used: dict[str, Any] = {
        "sample": options.sample,
        "run": options.run,
        "seed": options.seed,
        "full": options.full,
        "digests": options.digests,
    }
    if options.budget is not None:
        used["budget"] = {"bytes": options.budget.nbytes, "requests": options.budget.requests}
        used["left_out"] = list(left_out)
    if by_range := [m.name for m in inputs.models if m.checkpoint.by_range]:
        used["by_range"] = by_range
    if looked is not None:
        used["look"] = {"bytes": looked.limit.nbytes, "requests": looked.limit.requests}
        if looked.record.layers:
            used["look"]["layers"] = True
        if sampling.tiled and options.look_turned:
            used["look"]["turned"] = True
    if sampling.further:
        used["stages"] = [sampling.elements, *sampling.further]
        used["reached"] = {component: 1 + later for component, later in sampling.reached}
    return used if inputs.root is None else used | {"root": inputs.root}


def _whole(looked: LookedAfar | None, whole: WholeTensors) -> dict[str, Any]:
    if looked is None:
        return {}
    parts = {"parts": whole.parts} if whole.parts else {}
    return {"whole": sorted(whole.names), **parts}


def _unpaid(options: Options, left_out: tuple[str, ...]) -> list[NotExamined]:
    allowed = "" if options.budget is None else options.budget.words()
    return [NotExamined(name, f"the budget of {allowed} ended before it was read") for name in left_out]


def _measurable(alignment: Alignment) -> list[AlignedTensor]:
    return [g for g in alignment.groups if g.suspect.dtype.is_float and g.suspect.elements]


def _look_afar(
    alignment: Alignment,
    checkpoints: Sequence[Checkpoint],
    groups: Sequence[AlignedTensor],
    options: Options,
    fetched: FetchProgress | None,
) -> LookedAfar | None:
    if not options.look or not any(c.by_range for c in checkpoints):
        return None
    sampling = in_tiles(options.sampling, groups, checkpoints)
    if fetched is not None:
        fetched.plan(cost_of_reading(groups, checkpoints, sampling).nbytes)
    limit = options.look_limit or allowance(groups, checkpoints, sampling, options.budget)
    layers = Layers.OTHERS if options.budget is None else Layers.ALL
    return look_afar(
        alignment,
        checkpoints,
        groups,
        sampling,
        limit,
        layers if options.look_layers else Layers.NONE,
        options.look_turned,
    )


def readable(
    alignment: Alignment, checkpoints: Sequence[Checkpoint], options: Options, before: Cost = NOTHING
) -> list[AlignedTensor]:
    """The tensors that are compared: all that hold numbers, or as many as the budget pays for after what
    was spent ``before``."""
    groups = _measurable(alignment)
    if options.left_out is not None:
        left_out = frozenset(options.left_out)
        return [g for g in groups if g.name not in left_out]
    if options.budget is None:
        return groups
    sampling = in_tiles(options.sampling, groups, checkpoints)
    return affordable(groups, checkpoints, sampling, options.budget, before)


def _plan(inputs: AuditInputs, options: Options) -> TensorPlan:
    roles = [m.role for m in inputs.models]
    parents = tuple(i for i, r in enumerate(roles) if r is ModelRole.PARENT)
    bases = tuple(i for i, r in enumerate(roles) if r is ModelRole.BASE)
    controls = tuple(i for i, r in enumerate(roles) if r is ModelRole.CONTROL)
    sources = (*parents, *bases)
    pairs = [(i, j) for n, i in enumerate(sources) for j in sources[n + 1 :]]
    if len(sources) > ALL_PAIRS_UP_TO:
        pairs = [(i, j) for i, j in pairs if j == sources[-1]]
    shuffled = len(roles) if pairs and not controls else None
    return TensorPlan(sources, tuple(pairs), controls, shuffled, CURVE_GRID, options.seed)


def _base(inputs: AuditInputs) -> int | None:
    """The model that was named as the base, unless it is one of the parents."""
    return next((i for i, m in enumerate(inputs.models) if m.role is ModelRole.BASE), None)


def _previous(inputs: AuditInputs) -> tuple[int, ...]:
    """The earlier upload is replayed beside the controls: was it the same blend?"""
    return tuple(i for i, m in enumerate(inputs.models) if m.role is ModelRole.PREVIOUS)


def _pins(
    inputs: AuditInputs, plan: TensorPlan, options: Options, progress: Progress
) -> tuple[ModelPin, ...]:
    pins = pin_models(
        [(m.name, m.role, m.checkpoint) for m in inputs.models],
        digests=options.digests,
        workers=options.workers,
        progress=progress,
    )
    if plan.shuffled is not None:
        shuffled = replace(
            pins[0],
            name="the suspect with its rows shuffled",
            role=ModelRole.SHUFFLED,
            shards=(),
            declared=(),
            oddities=(),
        )
        pins.append(shuffled)
    return tuple(pins)


def _coverage(
    alignment: Alignment,
    checkpoints: Sequence[Checkpoint],
    tensors: Sequence[TensorEvidence],
    replays: Sequence[Replay],
    inputs: AuditInputs,
    unpaid: Sequence[NotExamined],
) -> Coverage:
    passed_over = [*unpaid, *not_examined(alignment, inputs)]
    replayed = {t.name: t.examined for r in replays if r.full for t in r.tensors}
    examined = {t.name: max(t.finite, replayed.get(t.name, 0)) for t in tensors}
    for tensor in tensors:
        seen = tensor.elements if tensor.name in replayed else tensor.examined
        if lost := max(seen - examined[tensor.name], tensor.examined - tensor.finite):
            reason = f"{lost:,} elements are NaN or infinite in one of the models and were left out"
            passed_over.append(NotExamined(tensor.name, reason))
    suspect = checkpoints[0]
    return Coverage(
        tensors=len(suspect.tensors) + len(suspect.unread),
        tensors_examined=len(tensors),
        elements=sum(t.elements for t in suspect.tensors.values()),
        elements_examined=sum(examined.values()),
        bytes_read=sum(c.bytes_read for c in checkpoints),
        not_examined=tuple(passed_over),
    )


def _with_replayed(
    coverage: Coverage, tensors: Sequence[TensorEvidence], recognition: Recognition | Absent
) -> Coverage:
    """Beside what was examined, what the suspect's replay of a method compared."""
    read = compared(recognition)
    if not read:
        return coverage
    more = sum(max(read.get(t.name, 0) - t.finite, 0) for t in tensors)
    return replace(coverage, elements_replayed=min(coverage.elements_examined + more, coverage.elements))


def not_examined(alignment: Alignment, inputs: AuditInputs) -> list[NotExamined]:
    """What headers alone tell will not be looked at, each with its reason."""
    found = [
        *(
            NotExamined(u.tensor, f"{inputs.models[u.checkpoint_index].name}: {u.reason}")
            for u in alignment.unmatched
        ),
        *(
            NotExamined(name, f"{model.name}: not read: {reason}")
            for model in inputs.models
            for name, reason in sorted(model.checkpoint.unread.items())
        ),
    ]
    for group in alignment.groups:
        if not group.suspect.dtype.is_float:
            reason = f"{group.suspect.dtype.value}: not a weight, only hashed"
            found.append(NotExamined(group.name, reason))
        elif not group.suspect.elements:
            found.append(NotExamined(group.name, "it has no elements"))
    return found
