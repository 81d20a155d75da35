"""Where the suspect's layers come from, when they are not another model's by number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parentage.records.absence import Absent
from parentage.records.alignment import LayerMap
from parentage.records.evidence import TensorEvidence
from parentage.records.findings import LayerOrigin, LayerPlace
from parentage.verdicts.readings import Readings

__all__ = ["layer_places", "layers_told", "straight"]

BY_NUMBER = Absent("every layer meets the one of its own number, or none is alike")


def _maps(readings: Readings, model: int) -> tuple[LayerMap, ...]:
    found = readings.evidence.alignment
    return () if isinstance(found, Absent) else tuple(m for m in found.layer_maps if m.model == model)


def straight(readings: Readings, model: int) -> bool:
    """Do the suspect's layers meet the model's by number, and none of the model's is left over?"""
    return not _maps(readings, model)


def layers_told(readings: Readings, model: int) -> str:
    """Where the suspect's layers lie in the model, in words; empty where they meet by number."""
    told = []
    for found in _maps(readings, model):
        runs = [f"{_run(a, b)} from {_run(c, d)}" for a, b, c, d in _runs(found)]
        dropped = f"; {_list(found.dropped)} left out" if found.dropped else ""
        told.append("layers " + ", ".join(runs) + dropped)
    return " and ".join(told)


def _runs(found: LayerMap) -> Iterator[tuple[int, int, int, int]]:
    """Stretches of neighbours: first and last of the suspect, first and last of the model."""
    pairs = [(a, b) for a, b in zip(found.own, found.theirs, strict=True) if not isinstance(b, Absent)]
    start = 0
    for k in range(1, len(pairs) + 1):
        apart = k == len(pairs) or (pairs[k][0] - pairs[k - 1][0], pairs[k][1] - pairs[k - 1][1]) != (1, 1)
        if apart:
            yield pairs[start][0], pairs[k - 1][0], pairs[start][1], pairs[k - 1][1]
            start = k


def _run(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(str(n) for n in numbers[:8]) + (" …" if len(numbers) > 8 else "")


def layer_places(readings: Readings) -> tuple[LayerPlace, ...] | Absent:
    """Each layer of the suspect with its counterparts, where any model's are not by number."""
    found = readings.evidence.alignment
    if isinstance(found, Absent):
        return found
    stacks = dict.fromkeys(m.stack for m in found.layer_maps)
    places = [place for stack in stacks for place in _stack_places(readings, stack)]
    return tuple(places) or BY_NUMBER


def _stack_places(readings: Readings, stack: str) -> Iterator[LayerPlace]:
    by_layer: dict[int, list[TensorEvidence]] = {}
    for tensor in readings.evidence.tensors:
        if not isinstance(tensor.layer, Absent) and tensor.name.startswith(f"{stack}.{tensor.layer}."):
            by_layer.setdefault(tensor.layer, []).append(tensor)
    maps = {
        i: dict(zip(m.own, m.theirs, strict=True))
        for i in readings.others
        for m in _maps(readings, i)
        if m.stack == stack
    }
    for layer in sorted({*by_layer, *(n for m in maps.values() for n in m)}):
        tensors = by_layer.get(layer, [])
        origins = (
            _origin(readings, i, maps[i].get(layer, layer) if i in maps else layer, tensors)
            for i in readings.others
        )
        yield LayerPlace(stack, layer, tuple(o for o in origins if o is not None))


def _origin(
    readings: Readings, model: int, number: int | Absent, tensors: Sequence[TensorEvidence]
) -> LayerOrigin | None:
    shared = [t for t in tensors if model in t.present and t.finite]
    if not shared and not isinstance(number, Absent):
        return None
    copied = bool(shared) and len(shared) == len([t for t in tensors if t.finite])
    copied = copied and all(t.cast_equal[model - 1] == t.finite for t in shared)
    return LayerOrigin(readings.name(model), number, copied)
