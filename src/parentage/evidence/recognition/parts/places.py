"""Tensors as a recipe sees them: at what depth they lie, in which layer, and what each model calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from parentage.architectures.roles import role_of
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.memory import Memory
from parentage.merging.layers import layout_of
from parentage.records.tensors import TensorRef

__all__ = ["Place", "alone", "places_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """``layer``: in the trunk, None outside; ``depth``: 0 to 1 as gradients take it; ``role``: what it does
    there; ``names``: by model, 0 the suspect."""

    layer: int | None
    depth: float
    role: str
    names: Mapping[int, str]
    elements: int


def places_of(context: Context) -> dict[str, Place]:
    """Every tensor that models are compared in."""
    layout = layout_of(context.checkpoints[0])
    layers = {t.name: key.layer for key, t in layout.tensors.items()}
    found = {}
    for name, group in context.groups.items():
        layer = layers.get(group.suspect.name)
        depth = 0.0 if layer is None else layer / (layout.layers - 1) if layout.layers > 1 else 1.0
        names = {k: t.name for k, t in enumerate(group.others, 1) if isinstance(t, TensorRef)}
        found[name] = Place(layer, depth, role_of(name).role, {0: name, **names}, group.suspect.elements)
    return found


def alone(context: Context, name: str) -> Context:
    """The audit as if it had this tensor alone to go by."""
    memory = context.memory if name in context.probes else Memory()
    return replace(context, probes=(name,), found=[], memory=memory, _read={}, _spans={}, _known={})
