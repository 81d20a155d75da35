"""``copy`` and ``cast-copy``: the same values, or the same values stored in another dtype."""

from __future__ import annotations

from parentage.verdicts.readings import Readings
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["weigh_cast_copy", "weigh_copy"]


def weigh_copy(readings: Readings) -> Weighing | None:
    """Supported when every element examined equals one model's."""
    for model in _order(readings):
        tensors = [t for t in readings.evidence.tensors if model in t.present and t.finite]
        if tensors and all(t.equal[model - 1] == t.finite for t in tensors):
            return _same(readings, "copy", model, "has the same value")
    return None


def weigh_cast_copy(readings: Readings) -> Weighing | None:
    """Supported when every element equals one model's, rounded to the suspect's dtype."""
    for model in _order(readings):
        tensors = [t for t in readings.evidence.tensors if model in t.present and t.finite]
        if tensors and all(t.cast_equal[model - 1] == t.finite for t in tensors):
            return _same(readings, "cast-copy", model, "is the rounded value")
    return None


def _same(readings: Readings, relation: str, model: int, how: str) -> Weighing:
    elements = sum(t.finite for t in readings.evidence.tensors if model in t.present)
    reason = f"every one of {elements:,} elements examined {how} of {readings.name(model)}"
    rivals = ("linear-merge", "fine-tune", "independent")
    return Weighing(
        relation,
        Status.SUPPORTED,
        models=(model,),
        excluded=tuple((rival, reason) for rival in rivals),
    )


def _order(readings: Readings) -> tuple[int, ...]:
    rest = tuple(i for i in readings.others if i not in readings.parents)
    return (*readings.parents, *rest)
