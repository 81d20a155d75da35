"""``adapter-fine-tune`` of known adapters: their combination, with its weights, gives every element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from parentage.records.recognition import Finding, Recognition
from parentage.verdicts.readings import Readings
from parentage.verdicts.sentences import listing
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["weigh_adapters"]

# Changed numbers that must come out: of unrelated ones none would.
LEAST: Final = 1000
WAYS: Final = {
    "cat": "put side by side: the weighted sum of their changes",
    "linear": "with their factors added up, A to A and B to B",
    "ties": "with their factors trimmed, signs elected and averaged (TIES{})",
    "magnitude_prune": "with the largest numbers of their factors added up{}",
    "dare_linear": "with their factors thinned at random and added up (DARE{})",
    "dare_ties": "with their factors thinned at random, signs elected and averaged (DARE-TIES{})",
    "svd": "by the weighted sum of their changes, cut back to a low rank by singular values",
    "ties_svd": "with their changes trimmed, signs elected, averaged and cut back to a low rank (TIES{})",
    "magnitude_prune_svd": "with the largest numbers of their changes added up and cut back to low rank{}",
}


def weigh_adapters(readings: Readings) -> Weighing | None:
    """Supported where every changed number is replayed, and no tensor differs elsewhere."""
    finding = _finding(readings)
    if finding is None:
        return None
    measures, models = finding.measures, finding.models[1:]
    told = measures["matches"] + measures.get("adjacent", 0)
    if told < max(LEAST, measures["informative"]):
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
    count, beside = measures["informative"], measures.get("adjacent", 0)
    where = f"changed numbers of {measures['replayed']} matrices"
    if beside:
        return (
            f"of {count:,} {where} {measures['matches']:,} come out of the combination bit for bit, and "
            f"the other {beside:,} but for a last bit of its singular vectors"
        )
    return f"all {count:,} {where} come out of the combination, bit for bit"


def _sentence(readings: Readings, finding: Finding, what: str) -> str:
    measures = finding.measures
    count = len(measures["weights"])
    ranges = (*measures.get("ranges", ()), *[()] * count)[:count]
    rows = zip(
        finding.models[1:],
        measures["weights"],
        measures["ranks"],
        measures["scalings"],
        ranges,
        strict=True,
    )
    parts = [
        f"{readings.name(m)} (rank {rank}, scaling {scaling:.6g}) at weight {weight:.9g}{_between(ends)}"
        for m, weight, rank, scaling, ends in rows
    ]
    if len(parts) == 1:
        return f"is a base with an adapter merged into it at part of its strength: {parts[0]}; {what}"
    known = WAYS.get(measures["method"].removeprefix("adapter_"), "in a way that is not known here{}")
    way = known.format(_numbers(measures))
    return f"is a base with {len(parts)} adapters merged into it, {way}: {listing(parts)}; {what}"


def _between(ends: Sequence[float]) -> str:
    """What lies outside was tried and does not replay."""
    return f" ({ends[0]:.8g} to {ends[1]:.8g})" if len(ends) == 2 else ""


def _numbers(measures: Mapping[str, Any]) -> str:
    """Density, seed and the way of counting, where there are any."""
    shared, count = measures.get("shared", {}), len(measures["weights"])
    found = ""
    if "density" in shared:
        ends = measures["ranges"][count] if len(measures["ranges"]) > count else ()
        found += f", density {shared['density']:.9g}{_between(ends)}"
    if shared.get("by_count"):
        found += ", signs by count"
    if "seed" in measures:
        found += f", seed {measures['seed']}"
    return found


def _limits(measures: Mapping[str, Any]) -> tuple[str, ...]:
    limits = [
        "That the adapters were trained over this base, and by whom, is not read from the weights; a "
        "combination of them is."
    ]
    if measures["method"].endswith("svd"):
        limits.append(
            "Singular vectors are a tool's own to their last bits: a replay of the recipe gives all but "
            "those."
        )
    if measures["left"]:
        limits.append(f"{measures['left']} larger matrices were not replayed: --full replays them too.")
    return tuple(limits)
