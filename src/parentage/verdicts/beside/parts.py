"""A suspect whose parts tell different stories gets each of them told."""

from __future__ import annotations

from collections.abc import Sequence

from parentage.records.absence import Absent
from parentage.verdicts.beside.tensors import TensorReading
from parentage.verdicts.readings import Readings, is_matrix
from parentage.verdicts.weighing import Weighing

__all__ = ["tell_parts"]

_SILENT = ("silent", "shared")


def tell_parts(
    readings: Readings, tensors: Sequence[TensorReading], chosen: Weighing
) -> list[tuple[str, str, str]]:
    """(where, relation, sentence) for each kind of story, when there is more than one."""
    stories: dict[str, list[TensorReading]] = {}
    for reading in tensors:
        if reading.kind not in _SILENT:
            stories.setdefault(_story(readings, reading), []).append(reading)
    # Vectors alone tell no story: most of them differ from their counterparts by one grid step.
    told = {k: v for k, v in stories.items() if any(is_matrix(t.tensor) for t in v)}
    if len(told) < 2:
        return []
    ordered = sorted(told.items(), key=lambda item: (-len(item[1]), item[0]))
    return [(_where(group), group[0].relation, f"{_count(group)}: {story}.") for story, group in ordered]


def _count(group: Sequence[TensorReading]) -> str:
    return "1 tensor" if len(group) == 1 else f"{len(group)} tensors"


def _story(readings: Readings, reading: TensorReading) -> str:
    name = "" if reading.model is None else readings.name(reading.model)
    if reading.kind == "exact" and reading.replay is not None:
        return "the blend reproduces them in every bit"
    return {
        "copy": f"equal to {name}",
        "cast-copy": f"{name} in another number format",
        "quantized-copy": f"{name}, quantised",
        "blend": "one weight explains every element, no replay was exact",
        "changed": "a stored blend that was changed afterwards",
        "near": f"nearest to {name}, not a stored blend",
        "unrelated": "unlike every model given",
    }.get(reading.kind, reading.relation)


def _where(group: Sequence[TensorReading]) -> str:
    layers = sorted({t.tensor.layer for t in group if not isinstance(t.tensor.layer, Absent)})
    components = sorted({t.tensor.component for t in group})
    words = []
    if layers:
        words.append(f"layers {_ranges(layers)}")
    if any(isinstance(t.tensor.layer, Absent) for t in group):
        words.append("outside the layers" if layers else "no layer")
    shown = components if len(components) <= 4 else [*components[:4], "…"]
    return f"{' and '.join(words)} ({', '.join(shown)})"


def _ranges(layers: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for layer in layers:
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}–{r[-1]}" for r in runs)
