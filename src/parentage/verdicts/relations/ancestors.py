"""``shared-ancestor`` and ``independent``: neither is the other's parent, or nothing is shared.

Distances have no arrow (see ``neighbours``): three models form a tree, and the suspect may sit at its fork.
"""

from __future__ import annotations

from parentage.records.evidence import ModelRole
from parentage.verdicts.beside.orders import looked, searched
from parentage.verdicts.readings import AT_FORK, Readings, Triangle
from parentage.verdicts.relations.neighbours import DIRECTION_LIMIT, agree
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["LEAN", "weigh_independent", "weigh_shared_ancestor"]

# Deltas of unrelated trainings have cosines of .013, of training on like data .2 and more.
LEAN = 0.25


def weigh_shared_ancestor(readings: Readings) -> Weighing | None:
    """Related, and neither is the other's parent among the models given."""
    if len(readings.related) < 2:
        return None
    nearest = readings.related[0]
    for other in readings.related[1:]:
        triangle = readings.triangle(nearest, other)
        if triangle is None:
            continue
        # With the suspect's own rounding and without: a blend of the others lies inside their line by
        # what its rounding puts it outside.
        own = triangle.suspect
        at_fork = max(abs(own.raw), abs(own.least)) <= AT_FORK and _apart_enough(readings, nearest, other)
        if at_fork and agree(triangle, triangle.suspect):
            return _is_the_fork(readings, nearest, other)
        if _hides(triangle):
            return _hidden_fork(readings, nearest, _best_known(readings, nearest, other))
    return None


def _hides(triangle: Triangle) -> bool:
    """Do all three lie off the point where they part?"""
    return min(b.least for b in (triangle.suspect, triangle.first, triangle.second)) > AT_FORK


def _best_known(readings: Readings, nearest: int, other: int) -> int:
    """Of the models of which the same is so, one that was not given as a control: it may be the base."""
    roles = readings.evidence.models
    for model in readings.related:
        triangle = None if model == nearest else readings.triangle(nearest, model)
        if triangle is not None and roles[model].role is not ModelRole.CONTROL and _hides(triangle):
            return model
    return other


def _apart_enough(readings: Readings, first: int, second: int) -> bool:
    """Where the suspect lies next to one model and far from the other, a slight lean of its way decides
    whether it or that model seems to sit at the fork; and training leans."""
    apart = readings.apart(first, second)
    near = min(readings.distance(first) or 0.0, readings.distance(second) or 0.0)
    return apart is not None and near >= LEAN * apart


def _is_the_fork(readings: Readings, nearest: int, other: int) -> Weighing:
    a, b = readings.name(nearest), readings.name(other)
    reason = f"the suspect sits where {a} and {b} part, and not inside the line between them"
    return Weighing(
        "shared-ancestor",
        Status.SUPPORTED,
        models=(nearest, other),
        excluded=(("linear-merge", reason), ("independent", reason)),
        live=(
            (
                "fine-tune",
                f"of {a} or of {b}, a stage on the way from one to the other: distances have no arrow",
            ),
        ),
        limits=(DIRECTION_LIMIT.format(parent="the suspect"),),
    )


def _hidden_fork(readings: Readings, nearest: int, other: int) -> Weighing:
    """An ancestor that was not given, or siblings that were trained alike: distances cannot tell."""
    a, b = readings.name(nearest), readings.name(other)
    return Weighing(
        "shared-ancestor",
        Status.UNDETERMINED,
        models=(nearest, other),
        live=(
            ("shared-ancestor", f"the suspect, {a} and {b} part at a model that was not given"),
            (
                "fine-tune",
                f"{a} or {b} is the base of the others, and those were trained on like data, which moves "
                f"them alike",
            ),
        ),
        against=f"the suspect, {a} and {b} part at a point that none of the three is at: an ancestor that "
        f"was not given, or siblings trained alike",
    )


def _disguises(readings: Readings) -> str:
    if searched(readings):
        return (
            "Layers, neurons and heads in another order were looked for and not found; rotated bases are "
            "not undone: a copy disguised so would read as independent."
        )
    look = looked(readings)
    if look is not None and not look.not_sought and look.layers:
        return (
            "Layers, neurons and heads in another order were looked for over a network and not found; "
            "rotated bases are not undone: a copy disguised so would read as independent."
        )
    if look is not None and not look.not_sought:
        return (
            "Neurons and heads in another order were looked for over a network and not found; layers were "
            "where their numbers differ, and rotated bases are not undone: a copy disguised so would read "
            "as independent."
        )
    return (
        "Layers, neurons or heads in another order and rotated bases are not undone: a copy disguised so "
        "would read as independent."
    )


def weigh_independent(readings: Readings) -> Weighing | None:
    """Supported when no model's weights correlate with the suspect's in any matrix."""
    if not readings.all_unrelated or not readings.matrices:
        return None
    largest = max(readings.largest_correlation(i) for i in readings.others)
    reason = f"raw weights correlate by at most {largest:.3f} in nine of ten matrices"
    rivals = ("copy", "linear-merge", "fine-tune", "shared-ancestor")
    return Weighing(
        "independent",
        Status.SUPPORTED,
        models=readings.others,
        excluded=tuple((r, reason) for r in rivals),
        limits=(_disguises(readings),),
    )
