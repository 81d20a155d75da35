"""``copy``, ``cast-copy`` and ``passthrough-merge``: values taken over as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from parentage.checkpoints.adapters.adapted import ADAPTER_FOLDER
from parentage.records.evidence import TensorEvidence
from parentage.verdicts.beside.layers import layers_told, straight
from parentage.verdicts.readings import Readings, is_matrix
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["weigh_cast_copy", "weigh_copy", "weigh_passthrough"]


def weigh_copy(readings: Readings) -> Weighing | None:
    """Supported when every element examined equals one model's, in the same number format."""
    for model in _straight(readings):
        tensors = _shared(readings, model)
        same = all(t.equal[model - 1] == t.finite and t.dtypes[model] == t.dtypes[0] for t in tensors)
        if same and _tells(readings, tensors):
            if _with_adapter(readings, model):
                found = _same(readings, "adapter-fine-tune", model, "has the same value as that")
                return replace(found, sentence=_very(readings, model))
            return _same(readings, "copy", model, "has the same value as that")
    return None


def _with_adapter(readings: Readings, model: int) -> bool:
    """Was it given as a base with an adapter over it?"""
    return any(s.name.startswith(ADAPTER_FOLDER) for s in readings.evidence.models[model].shards)


def _very(readings: Readings, model: int) -> str:
    name = readings.name(model)
    return f"is {name}, a base with that very adapter merged in: every weight examined is equal"


def weigh_cast_copy(readings: Readings) -> Weighing | None:
    """Supported when every element equals one model's, as it is or rounded to the suspect's dtype."""
    for model in _straight(readings):
        tensors = _shared(readings, model)
        same = all(t.cast_equal[model - 1] == t.finite for t in tensors)
        if same and _tells(readings, tensors):
            return _same(readings, "cast-copy", model, "is the value, in the suspect's number format,")
    return None


def weigh_passthrough(readings: Readings) -> Weighing | None:
    """Supported when every tensor is one model's as it is, and no model's, layer by layer, all of them."""
    finite = [t for t in readings.evidence.tensors if t.finite]
    found = [_sources(readings, t) for t in finite]
    if not all(found) or not _tells(readings, finite):
        return None
    # What several models share says nothing of where it was taken from.
    alone = Counter(models[0] for models in found if len(models) == 1)
    if len(alone) >= 2:
        models = tuple(sorted(alone, key=lambda i: (-alone[i], i)))
        told = ", ".join(f"{alone[i]} tensors of {readings.name(i)} alone" for i in models)
    else:
        # One model's tensors all: put together only where its layers do not stand in its own order.
        models = tuple(i for i in _order(readings) if all(i in m for m in found))[:1]
        if not models or straight(readings, models[0]):
            return None
        told = f"{layers_told(readings, models[0])} of {readings.name(models[0])}"
    reason = f"every tensor is one model's in every element examined: {told}"
    return Weighing(
        "passthrough-merge",
        Status.SUPPORTED,
        models=models,
        excluded=tuple(
            (r, reason) for r in ("linear-merge", "fine-tune", "shared-ancestor", "independent")
        ),
    )


def _sources(readings: Readings, tensor: TensorEvidence) -> tuple[int, ...]:
    """The models that have the tensor's values, as they are or rounded to the suspect's number format."""
    return tuple(
        i for i in _order(readings) if i in tensor.present and tensor.cast_equal[i - 1] == tensor.finite
    )


def _straight(readings: Readings) -> Iterator[int]:
    """Models whose layers the suspect has by number; of another it may have all values and is no copy."""
    return (i for i in _order(readings) if straight(readings, i))


def _tells(readings: Readings, shared: list[TensorEvidence]) -> bool:
    """Norms of ones and biases of zeros are equal in strangers too: what is shared must hold a matrix
    whose numbers vary, and at least half of the suspect's numbers."""
    varied = any(is_matrix(t) and t.spread > 0 for t in shared)
    return varied and 2 * sum(t.elements for t in shared) >= readings.evidence.coverage.elements


def _shared(readings: Readings, model: int) -> list[TensorEvidence]:
    return [t for t in readings.evidence.tensors if model in t.present and t.finite]


def _same(readings: Readings, relation: str, model: int, how: str) -> Weighing:
    shared = _shared(readings, model)
    elements = sum(t.finite for t in shared)
    reason = f"every one of {elements:,} elements examined {how} of {readings.name(model)}"
    alone = len(readings.evidence.tensors) - len(shared)
    limits: tuple[str, ...] = ()
    if alone:
        limits = (f"{alone} tensors of the suspect have no counterpart in {readings.name(model)}.",)
    rivals = ("linear-merge", "fine-tune", "independent")
    return Weighing(
        relation,
        Status.SUPPORTED,
        models=(model,),
        excluded=tuple((rival, reason) for rival in rivals),
        limits=limits,
    )


def _order(readings: Readings) -> tuple[int, ...]:
    rest = tuple(i for i in readings.others if i not in readings.parents)
    return (*readings.parents, *rest)
