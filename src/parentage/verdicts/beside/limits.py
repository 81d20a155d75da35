"""What a verdict says of how little was looked at, and of how models were made to meet."""

from __future__ import annotations

from parentage.records.absence import Absent
from parentage.records.evidence import ModelRole
from parentage.records.recognition import missed
from parentage.verdicts.beside.layers import layers_told
from parentage.verdicts.beside.orders import look_limits, orders_told
from parentage.verdicts.readings import Readings
from parentage.verdicts.weighing import Weighing

__all__ = ["general_limits", "layer_limits"]


def layer_limits(readings: Readings, chosen: Weighing) -> tuple[str, ...]:
    """A model whose layers or neurons were found by content is not told of as if they met by number."""
    models = chosen.models or readings.related[:1]
    orders = tuple(sentence for i in models for sentence in orders_told(readings, i))
    told = [(i, words) for i in models if (words := layers_told(readings, i))]
    return orders + tuple(
        f"The suspect's layers are not simply those of {readings.name(i)}, number by number: {words}."
        for i, words in told
    )


def general_limits(readings: Readings, covered: int) -> tuple[str, ...]:
    """What holds of every verdict on this evidence; ``covered``: elements that it rests on."""
    limits = []
    coverage = readings.evidence.coverage
    if covered < coverage.elements:
        limits.append(
            f"{covered:,} of {coverage.elements:,} elements were examined; --full replays all of them."
        )
    reading = readings.evidence.reading
    if not isinstance(reading, Absent):
        limits.append(
            f"It was read in stages, up to {max((c.stages for c in reading.components), default=1)} of "
            f"{len(reading.stages)}: {reading.ended}. Where an e-value ended it, the chance that any of "
            f"these answers is wrong is at most {reading.level:.0%} for the whole model, were its elements "
            f"independent; the verdict rests on its own rules."
        )
    limits += look_limits(readings)
    coded = readings.evidence.quantized
    if not isinstance(coded, Absent) and coded.unknown:
        limits.append(
            f"No quantiser is known here for {', '.join(coded.unknown)}: these were not replayed."
        )
    if reason := missed(readings.evidence.recognition):
        limits.append(f"Merge methods beside blends and copies were not looked for: {reason}.")
    if not any(m.role is ModelRole.CONTROL for m in readings.evidence.models):
        limits.append(
            "No real control was given: the control is the suspect's own delta with its rows "
            "shuffled, which is easier to tell apart than another fine-tune (-c adds one)."
        )
    return tuple(limits)
