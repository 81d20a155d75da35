"""Is there anything to look for, and may it be read? Then the pass runs; else the reason is recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.evidence.recognition.candidate import Candidate
from parentage.evidence.recognition.context import FLOATS, Context
from parentage.evidence.recognition.experts import find_experts
from parentage.evidence.recognition.refining import replays_on
from parentage.evidence.recognition.search import recognise
from parentage.evidence.recognition.whole_tensors import WholeTensors
from parentage.merging.recovered import DIVIDING
from parentage.methods.method import ONE_ARITHMETIC
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.evidence import Replay, TensorEvidence
from parentage.records.recognition import CODES, NETWORK, TOO_LARGE, Numbers, Recognition, too_dear

__all__ = ["recognise_methods"]

# Tensors of the probe, elements of one and of all together.
PROBES: Final = 6
LARGEST: Final = 2**22
TOGETHER: Final = 2**22
# A smaller tensor is told apart from nothing.
SMALLEST: Final = 1024
# Raw weights of unrelated models correlate by less than .1; a far operand of a merge is seen above that.
RELATED: Final = 0.1

NO_TWO: Final = Absent("no two models were given that the suspect could be merged of")
BLEND: Final = Absent(
    "one blend reproduces every element that was examined: no other method was looked for"
)
TASK_16: Final = "task-16"
COPY: Final = Absent("the suspect equals one of the models: no merge method was looked for")
UNRELATED: Final = Absent("no two models have weights like the suspect's: no merge method was looked for")


def recognise_methods(
    tensors: Sequence[TensorEvidence],
    groups: dict[str, AlignedTensor],
    checkpoints: Sequence[Checkpoint],
    *,
    sources: tuple[int, ...],
    base: int | None,
    controls: tuple[int, ...],
    replays: Sequence[Replay],
    full: bool,
    workers: int,
    progress: Callable[[str, int, int], None],
    whole: WholeTensors | None = None,
) -> Recognition | Absent:
    """Recognition, or why it was not tried. The same for any number of threads. ``whole``: what may be read
    where a model is read by range; None: nothing of such."""
    linear = next((r for r in replays if r.subject == 0), None)
    related = tuple(k for k in sources if _related(tensors, k))
    reason = _why_not(tensors, checkpoints, linear, sources, related, whole)
    # What a mixture shares with a dense model may all be copies: its experts meet nothing by name.
    far = any(c.by_range for c in checkpoints)
    paid = whole if far else None
    experts = () if far and paid is None else find_experts(checkpoints, sources, paid)
    chosen = _chosen(tensors, groups, related) if reason is None else []
    read = (*related, *controls)
    probes = _probes(chosen, read, whole if far else None)
    if not probes:
        if far and whole is not None and chosen:
            reason = too_dear(whole.price([chosen[0].name], read).nbytes)
        reason = reason or (CODES if _coded(groups) else TOO_LARGE)
        return Recognition(0, (), (), (), experts) if experts else reason
    context = Context(
        tensors=tensors,
        groups=groups,
        checkpoints=checkpoints,
        sources=related,
        base=base if base in related else None,
        controls=controls,
        probes=probes,
        linear=linear,
        workers=workers,
        progress=progress,
        full=full,
        whole=whole if far else None,
    )
    blend = None if linear is None or not _one_blend(linear) else _as_candidate(linear, context)
    if blend is not None and replays_on(blend, probes, context):
        return Recognition(0, (), (), (), experts) if experts else BLEND
    found = recognise(context, full=full)
    return replace(found, findings=(*found.findings, *experts))


def _why_not(
    tensors: Sequence[TensorEvidence],
    checkpoints: Sequence[Checkpoint],
    linear: Replay | None,
    sources: tuple[int, ...],
    related: tuple[int, ...],
    whole: WholeTensors | None,
) -> Absent | None:
    if not sources:
        return NO_TWO
    if any(c.by_range for c in checkpoints):
        if linear is not None and _one_blend(linear):
            return BLEND
        if whole is None:
            return NETWORK
    if any(all(k in t.present and t.equal[k - 1] == t.finite for t in tensors) for k in sources):
        return COPY
    return None if related else UNRELATED


def _coded(groups: dict[str, AlignedTensor]) -> bool:
    """Is every matrix of the suspect stored in codes of a quantiser?"""
    shapes = [g.suspect for g in groups.values() if len(g.suspect.shape) >= 2]
    return bool(shapes) and all(s.encoding or s.dtype not in FLOATS for s in shapes)


def _one_blend(linear: Replay) -> bool:
    """Is every element that of one blend, which is none of changes in 16 bits (task arithmetic)?"""
    exact = linear.informative == linear.informative_matches > 0
    same = all(t.weights == linear.weights for t in linear.tensors if t.informative)
    return exact and same and linear.arithmetic != TASK_16


def _as_candidate(linear: Replay, context: Context) -> Candidate:
    """The blend as a recipe: what reproduces a sample must reproduce whole tensors too.

    A suspect in 32 bits whose numbers fit 16 was rounded to those, and published wider.
    """
    rows = tuple({"weight": float(w)} for w in linear.weights)
    divided = Numbers(rows, {"normalize": linear.arithmetic in DIVIDING})
    wide = all(t.dtypes[0] == DType.F32.value for t in context.tensors)
    stored = context.held if wide else DType.F32
    dtype = DType(linear.cast) if linear.cast in {d.value for d in FLOATS} else stored
    profile = f"{ONE_ARITHMETIC}{linear.arithmetic}"
    return Candidate("linear", linear.parents, None, divided, profile, dtype)


def _related(tensors: Sequence[TensorEvidence], model: int) -> bool:
    found = sorted(
        abs(t.correlation[model - 1])
        for t in tensors
        if model in t.present and t.spread > 0 and len([n for n in t.shape if n > 1]) >= 2
    )
    return bool(found) and found[len(found) // 2] >= RELATED


def _chosen(
    tensors: Sequence[TensorEvidence], groups: dict[str, AlignedTensor], sources: tuple[int, ...]
) -> list[TensorEvidence]:
    """Small matrices that all models have and in which they differ, spread over the model."""
    fit = [
        t
        for t in tensors
        if SMALLEST <= t.elements <= LARGEST
        and all(k in t.present for k in sources)
        and t.parents_all_equal < t.finite
        and not all(t.equal[k - 1] == t.finite for k in sources)
        and groups[t.name].suspect.dtype in FLOATS
        and not groups[t.name].suspect.encoding
    ]
    fit.sort(key=lambda t: (t.elements, t.name))
    small = [t for t in fit if t.elements <= 2 * fit[0].elements] if fit else []
    chosen = _spread(small or fit)
    # Larger ones of other kinds, as far as the limit goes.
    return chosen + [t for t in _spread(fit) if t not in chosen]


def _probes(
    chosen: Sequence[TensorEvidence], models: Sequence[int], whole: WholeTensors | None
) -> tuple[str, ...]:
    """As many of them as the probe holds, and may be read."""
    names, together = list[str](), 0
    for t in chosen:
        together += t.elements
        held = len(names) < PROBES and (together <= TOGETHER or not names)
        if held and (whole is None or whole.take(t.name, models, now=True)):
            names.append(t.name)
    return tuple(names)


def _spread(found: list[TensorEvidence]) -> list[TensorEvidence]:
    half = PROBES // 2
    step = max(1, len(found) // half)
    return found[::step][:half]
