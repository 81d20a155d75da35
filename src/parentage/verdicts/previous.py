"""A re-upload: the same bytes, the same values, or the earlier upload plus what?"""

from __future__ import annotations

from parentage.records.absence import Absent
from parentage.records.evidence import ModelRole, TensorEvidence
from parentage.records.findings import PreviousUpload
from parentage.verdicts.readings import Readings

__all__ = ["compare_previous"]


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
    return PreviousUpload(
        name=readings.name(model),
        relation=relation,
        sentence=_sentence(readings, model, relation, moved, differ / elements if elements else 0.0, match),
        differ=differ,
        elements=elements,
        tensors=len(moved),
        distance=Absent("they share no matrix") if distance is None else distance,
        match=match,
    )


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


def _sentence(
    readings: Readings,
    model: int,
    relation: str,
    moved: list[TensorEvidence],
    share: float,
    match: float | Absent,
) -> str:
    name, suspect = readings.name(model), readings.name(0)
    if relation == "same-bytes":
        return f"{suspect} has the same bytes as {name}."
    if relation == "same-values":
        return f"{suspect} has the same value as {name} in every number examined, in other files."
    told = f"{suspect} differs from {name} in {share:.3%} of the numbers examined, in {len(moved)} tensors"
    return f"{told}{_blends(readings, name, suspect, match)}."


def _blends(readings: Readings, name: str, suspect: str, match: float | Absent) -> str:
    own = readings.replay
    if isinstance(match, Absent) or own is None or not own.informative:
        return ""
    before, now = match == 1.0, own.informative_matches == own.informative
    return {
        (True, True): f"; both are the blend {own.label}, bit for bit where it was replayed",
        (
            True,
            False,
        ): f"; {name} is the blend {own.label} bit for bit, and {suspect} is that blend changed",
        (False, True): f"; {suspect} is the blend {own.label} bit for bit, {name} is not ({match:.1%})",
        (False, False): f"; neither is the blend {own.label} bit for bit",
    }[before, now]
