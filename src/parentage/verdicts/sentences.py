"""The verdict in one plain sentence."""

from __future__ import annotations

from collections.abc import Sequence

from parentage.records.absence import Absent
from parentage.records.report import PostTraining, VerdictParent
from parentage.verdicts.readings import Readings
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["listing", "verdict_sentence"]


def listing(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


def verdict_sentence(
    readings: Readings,
    weighing: Weighing,
    parents: Sequence[VerdictParent],
    post_training: PostTraining,
) -> str:
    """One sentence that a journalist can quote; the numbers stand beside it."""
    suspect = readings.name(0)
    names = [readings.name(i) for i in weighing.models]
    if weighing.relation == "copy":
        return f"{suspect} is a copy of {names[0]}: every weight examined is equal."
    if weighing.relation == "cast-copy":
        return f"{suspect} is {names[0]} stored in another number format."
    if weighing.relation == "linear-merge" and weighing.status is Status.SUPPORTED:
        return f"{suspect} is a merge: {_shares(parents)}; {_after(post_training)}."
    if weighing.relation == "fine-tune" and weighing.status is Status.SUPPORTED:
        return f"{suspect} is a fine-tune of {names[0]}{_size(readings, weighing)}."
    if weighing.relation == "shared-ancestor":
        return f"{suspect} shares an ancestor with {listing(names)}; it is not made from them."
    if weighing.relation == "independent":
        return f"{suspect} shows no weights in common with {listing(names)}."
    if weighing.relation == "same-run-checkpoint":
        return (
            f"{suspect} lies between {listing(names)}, but not on the grid of a stored merge: "
            f"a checkpoint of the same run, an average over it, or a merge trained before it was "
            f"stored would look like this."
        )
    return f"The evidence does not settle what {suspect} is made of{_nearest(readings)}."


def _shares(parents: Sequence[VerdictParent]) -> str:
    parts = []
    for parent in parents:
        if isinstance(parent.weight, Absent):
            parts.append(f"part {parent.name}")
        else:
            parts.append(f"{parent.weight.estimate:.4g} of {parent.name}")
    return listing(parts)


def _after(post_training: PostTraining) -> str:
    if post_training.status == "not-detected":
        return "no sign of any training after the merge"
    if post_training.status == "detected":
        return "its weights were changed after the merge was stored"
    return "whether anything happened after the merge is undetermined"


def _size(readings: Readings, weighing: Weighing) -> str:
    distance = readings.distance(weighing.models[0])
    return "" if distance is None else f", {distance:.2%} away from it"


def _nearest(readings: Readings) -> str:
    if not readings.related:
        return ""
    nearest = readings.related[0]
    distance = readings.distance(nearest)
    if distance is None:
        return ""
    return f"; the nearest model given is {readings.name(nearest)}, {distance:.2%} away"
