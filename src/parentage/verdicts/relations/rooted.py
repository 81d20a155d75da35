"""``fine-tune`` of a model that is known, from elsewhere, to be the root: the others were made from it.

Distances make an unrooted tree. Of a slight fine-tune beside a far one they say neither which came first
nor on which side of the root the two part; dates and papers often do. Told so (``--root``), what is near
the root and not towards another model descends from it: directly, or from a model on the way to another.
"""

from __future__ import annotations

from dataclasses import replace

from parentage.records.evidence import ModelRole
from parentage.verdicts.readings import Readings, Triangle
from parentage.verdicts.relations.ancestors import LEAN
from parentage.verdicts.relations.leaning import distance_words
from parentage.verdicts.relations.neighbours import (
    DIRECTION_LIMIT,
    MOVED_LIMIT,
    as_good,
    may_lean,
    moved,
    near_limits,
    origin_radius,
    weigh_fine_tune,
)
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["weigh_descent"]

ROOT_LIMIT = (
    "That {root} is older than the suspect, and that the other models given were made from it, was given "
    "as known and not examined: were it otherwise, the suspect could as well be older than {root}, or a "
    "late state of a training that ends near it. A model that lies very near to {root} and was not given "
    "would fit as well."
)
SHARE_LIMIT = "A little of another model, and a change afterwards, cannot be excluded: up to {shares}."

# Mean squares of rounding: formats differ by 64 and more, models of one format by little.
SAME_GRID = 0.5
# Of the suspect's distance: an origin that may lie so far from the root may lie anywhere as near as it.
AS_FAR = 0.9

Others = list[tuple[int, Triangle]]


def weigh_descent(readings: Readings) -> Weighing | None:
    """As distances say; where these leave it open, as they say once the tree has its root."""
    found, root = weigh_fine_tune(readings), readings.root
    if root is None or readings.related[:1] != (root,):
        return found
    if found is not None and found.status is Status.SUPPORTED:
        told = DIRECTION_LIMIT.format(parent=readings.name(root))
        known = tuple(ROOT_LIMIT.format(root=readings.name(root)) if x == told else x for x in found.limits)
        return replace(found, limits=known)
    return _rooted(readings, root) or found


def _rooted(readings: Readings, root: int) -> Weighing | None:
    """None where it lies towards another model, or where its own rounding may be all that moved it."""
    others = [
        (other, triangle)
        for other in readings.related
        if other != root
        and (triangle := readings.triangle(root, other))
        and not as_good(readings, root, other)
    ]
    if not others or any(_leans(readings, other, triangle) for other, triangle in others):
        return None
    if not _on_its_grid(readings, root) and not any(moved(triangle.suspect) for _, triangle in others):
        return None
    return _told(readings, root, others)


def _leans(readings: Readings, other: int, triangle: Triangle) -> bool:
    """Towards a parent that was named no more than any fine-tune may. A control was named for comparison,
    as trained by itself: what two trainings have in common is allowed, and told."""
    if readings.evidence.models[other].role is ModelRole.CONTROL:
        return max(abs(triangle.along.low), abs(triangle.along.high)) > LEAN
    return may_lean(triangle)


def _on_its_grid(readings: Readings, root: int) -> bool:
    """Is the root stored no finer than the suspect, so that what differs is no rounding of the root?"""
    shared = [t for t in readings.matrices if root in t.present]
    return all(t.rounding and t.rounding[root] > SAME_GRID * t.rounding[0] for t in shared)


def _told(readings: Readings, root: int, others: Others) -> Weighing:
    name, away = readings.name(root), readings.distance(root) or 0.0
    way = readings.name(max(others, key=lambda o: readings.branch_length(root, o[0]))[0])
    radius = origin_radius(readings, root)
    near = f"within {distance_words(radius)} of it" if radius < AS_FAR * away else "no farther from it"
    given = f"the others were made from {name}"
    return Weighing(
        "fine-tune",
        Status.SUPPORTED,
        given=(given,),
        sentence=f"is a fine-tune of {name} (or of a model {near}, as one on the way to {way} would be), "
        f"{distance_words(away)} away{_open(readings, others)}; that {given} was given as known",
        models=(root,),
        excluded=_excluded(name, others),
        live=tuple(
            (
                "linear-merge",
                f"a blend of {name} with up to {_share(t)} of {readings.name(o)}, then changed",
            )
            for o, t in others
            if may_lean(t)
        ),
        limits=(
            ROOT_LIMIT.format(root=name),
            SHARE_LIMIT.format(shares=", ".join(f"{_share(t)} of {readings.name(o)}" for o, t in others)),
            MOVED_LIMIT,
            *near_limits(readings, root),
        ),
    )


def _open(readings: Readings, others: Others) -> str:
    shares = [f"up to {_share(t)} of {readings.name(o)}" for o, t in others if may_lean(t)]
    return f", in which {' and '.join(shares)} cannot be excluded" if shares else ""


def _excluded(name: str, others: Others) -> tuple[tuple[str, str], ...]:
    known = f"{name} was given as the model that the others were made from"
    found = [("shared-ancestor", known), ("independent", f"raw weights correlate with those of {name}")]
    if not any(may_lean(triangle) for _, triangle in others):
        share = max(max(t.along.high, 0.0) for _, t in others)
        found.insert(
            0, ("linear-merge", f"it lies at most {share:.2g} of the way to any other model given")
        )
    return tuple(found)


def _share(triangle: Triangle) -> str:
    return f"{max(triangle.along.high, 0.0):.2g}"
