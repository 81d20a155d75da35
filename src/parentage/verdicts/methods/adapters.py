"""``adapter-fine-tune`` of known adapters: their combination, with its weights, gives every element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from parentage.records.recognition import Finding, Recognition
from parentage.verdicts.readings import Readings
from parentage.verdicts.sentences import listing
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["weigh_adapters"]

# Changed numbers that must come out: of unrelated ones none would.
LEAST: Final = 1000
WAYS: Final = {
    "adapter_cat": "put side by side: the weighted sum of their changes",
    "adapter_linear": "with their factors added up, A to A and B to B",
}


def weigh_adapters(readings: Readings) -> Weighing | None:
    """Supported where every changed number is replayed, and no tensor differs elsewhere."""
    finding = _finding(readings)
    if finding is None:
        return None
    measures, models = finding.measures, finding.models[1:]
    if measures["matches"] < max(LEAST, measures["informative"]):
        return None
    what = _what(measures)
    if measures["elsewhere"]:
        against = f"{what}, and {measures['elsewhere']} tensors that no adapter changes differ as well"
        return Weighing("adapter-fine-tune", Status.UNDETERMINED, models=models, against=against)
    return Weighing(
        "adapter-fine-tune",
        Status.SUPPORTED,
        sentence=_sentence(readings, finding, what),
        models=models,
        excluded=(
            ("fine-tune", f"{what}: training leaves none of it as a recipe gives it"),
            ("linear-merge", f"{what}; models that were rounded before they were blended do not give it"),
            ("shared-ancestor", f"{what}, from the base and these adapters"),
            ("copy", f"{measures['informative']:,} numbers differ from those of the base"),
            ("independent", what),
        ),
        limits=_limits(measures),
    )


def _finding(readings: Readings) -> Finding | None:
    found = readings.evidence.recognition
    if not isinstance(found, Recognition):
        return None
    return next((f for f in found.findings if f.kind == "adapters"), None)


def _what(measures: Mapping[str, Any]) -> str:
    return (
        f"all {measures['informative']:,} changed numbers of {measures['replayed']} matrices come out of "
        f"the combination, bit for bit"
    )


def _sentence(readings: Readings, finding: Finding, what: str) -> str:
    measures = finding.measures
    rows = zip(
        finding.models[1:], measures["weights"], measures["ranks"], measures["scalings"], strict=True
    )
    parts = [
        f"{readings.name(m)} (rank {rank}, scaling {scaling:.6g}) at weight {weight:.9g}"
        for m, weight, rank, scaling in rows
    ]
    if len(parts) == 1:
        return f"is a base with an adapter merged into it at part of its strength: {parts[0]}; {what}"
    way = WAYS[measures["method"]]
    return f"is a base with {len(parts)} adapters merged into it, {way}: {listing(parts)}; {what}"


def _limits(measures: Mapping[str, Any]) -> tuple[str, ...]:
    limits = [
        "That the adapters were trained over this base, and by whom, is not read from the weights; a "
        "combination of them is."
    ]
    if measures["left"]:
        limits.append(f"{measures['left']} larger matrices were not replayed: --full replays them too.")
    return tuple(limits)
