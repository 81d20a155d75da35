"""A re-upload: the same bytes, the same values, the same merge, or the earlier upload plus what?"""

from __future__ import annotations

from dataclasses import replace
from statistics import median
from typing import Final

from parentage.records.absence import Absent
from parentage.records.evidence import ModelRole, TensorEvidence
from parentage.records.findings import PreviousUpload
from parentage.verdicts.beside.described import differences
from parentage.verdicts.readings import Readings

__all__ = ["compare_previous"]

_STORIES: Final = {
    (True, True): "same-merge",
    (True, False): "merge-then-changed",
    (False, True): "changed-then-merge",
    (False, False): "other-than-merge",
}
NOTHING: Final = Absent("nothing changed")
LARGEST_PARTS: Final = 3


def compare_previous(readings: Readings) -> PreviousUpload | Absent:
    """The suspect against the model that was given as its earlier upload."""
    found = [i for i, m in enumerate(readings.evidence.models) if m.role is ModelRole.PREVIOUS]
    if not found:
        return Absent("no earlier upload was given")
    model = found[0]
    shared = [t for t in readings.evidence.tensors if model in t.present and t.finite]
    elements = sum(t.finite for t in shared)
    differ = sum(t.finite - t.equal[model - 1] for t in shared)
    moved = [t for t in shared if t.equal[model - 1] < t.finite]
    distance = readings.distance(model)
    relation = _relation(readings, model, differ, len(shared))
    match = _match(readings, model)
    story = _story(readings, relation, match)
    rank, parts = _rank(readings, model), differences(readings, (model,))
    changed = relation == "changed"
    told = PreviousUpload(
        name=readings.name(model),
        relation=relation,
        sentence="",
        differ=differ,
        elements=elements,
        tensors=len(moved),
        distance=Absent("they share no matrix") if distance is None else distance,
        match=match,
        story=story,
        stable_rank=rank if changed else NOTHING,
        parts=parts if changed else NOTHING,
    )
    return _with_sentence(readings, told, moved)


def _relation(readings: Readings, model: int, differ: int, shared: int) -> str:
    own, other = ({s.sha256 for s in readings.evidence.models[i].shards} for i in (0, model))
    hashed = own and not any(isinstance(x, Absent) for x in own | other)
    if hashed and own == other:
        return "same-bytes"
    whole = shared == len(readings.evidence.tensors)
    return "same-values" if differ == 0 and whole else "changed"


def _match(readings: Readings, model: int) -> float | Absent:
    replay = next((r for r in readings.evidence.replays if r.subject == model), None)
    if replay is None or not replay.informative:
        return Absent("no recipe was replayed on it")
    return replay.informative_matches / replay.informative


def _story(readings: Readings, relation: str, match: float | Absent) -> str:
    own = readings.replay
    if relation != "changed" or isinstance(match, Absent) or own is None or not own.informative:
        return relation
    return _STORIES[match == 1.0, own.informative_matches == own.informative]


def _rank(readings: Readings, model: int) -> float | Absent:
    """Spectra are of the difference to the nearest model, which an earlier upload usually is."""
    found = [s.stable_rank for t in readings.evidence.tensors for s in t.spectra if s.model == model]
    return median(found) if found else Absent("no matrix lies nearest to it")


def _with_sentence(readings: Readings, told: PreviousUpload, moved: list[TensorEvidence]) -> PreviousUpload:
    return replace(told, sentence=_sentence(readings, told, moved))


def _sentence(readings: Readings, told: PreviousUpload, moved: list[TensorEvidence]) -> str:
    suspect = readings.name(0)
    if told.relation == "same-bytes":
        return f"{suspect} has the same bytes as {told.name}."
    if told.relation == "same-values":
        return f"{suspect} has the same value as {told.name} in every number examined, in other files."
    share = told.differ / told.elements if told.elements else 0.0
    size = "" if isinstance(told.distance, Absent) else f", by {told.distance:.3%} of the weights' norm"
    where = _where(moved)
    return (
        f"{suspect} differs from {told.name} in {share:.3%} of the numbers examined, in {len(moved)} "
        f"tensors{where}{size}{_blends(readings, told)}."
    )


def _where(moved: list[TensorEvidence]) -> str:
    """The components that all changes lie in, where they are few."""
    components = sorted({t.component for t in moved})
    return f" ({', '.join(components)} alone)" if 0 < len(components) <= LARGEST_PARTS else ""


def _blends(readings: Readings, told: PreviousUpload) -> str:
    own, name, suspect = readings.replay, told.name, readings.name(0)
    if own is None or isinstance(told.match, Absent):
        return ""
    return {
        "same-merge": f"; both are the blend {own.label}, bit for bit where it was replayed",
        "merge-then-changed": (
            f"; {name} is the blend {own.label} bit for bit, and {suspect} is that blend changed"
        ),
        "changed-then-merge": (
            f"; {suspect} is the blend {own.label} bit for bit, {name} is not ({told.match:.1%})"
        ),
        "other-than-merge": f"; neither is the blend {own.label} bit for bit",
    }.get(str(told.story), "")
