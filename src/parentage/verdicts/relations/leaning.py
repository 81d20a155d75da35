"""A suspect next to one model, whose change is its own but for a trifle that lies towards another, far one.

Towards a model that is many times as far off, a cosine of a few hundredths is as long as the whole change:
it decides whether the nearest model seems to sit at a fork, and whether the suspect seems to lie inside the
line of the two. Like texts leave such cosines, and so does a common way.
"""

from __future__ import annotations

import math

from parentage.records.evidence import ModelRole
from parentage.verdicts.readings import Readings, Triangle
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["BETWEEN", "OWN_CHANGE", "distance_words", "lean_words", "share_along", "weigh_lean"]

# The part of a change (of its squared length) that lies along the way to another model: below it the
# suspect's change is its own. Fine-tunes of SmolLM2 on other texts have .002 toward a fine-tune of 15 to 26
# times their length, states at 97 % of planted runs .002 to .01 of the way back (docs/log.md).
OWN_CHANGE = 0.01
# A suspect this far inside the line of two models lies between them.
BETWEEN = -0.05
# What is left of the nearest model's branch decides where that is this share of the suspect's change.
OPEN = 0.02


def weigh_lean(readings: Readings, nearest: int) -> Weighing | None:
    """All that such a suspect may come from; None where there is no such model."""
    found = _leaning(readings, nearest)
    if found is None:
        return None
    a, b = readings.name(nearest), readings.name(found[0])
    own = _own_words(readings, nearest, *found)
    if _away(found[1]):
        return Weighing(
            "fine-tune",
            Status.UNDETERMINED,
            models=(nearest,),
            live=_origins_beyond(a, b),
            against=f"{own}: it may be {a} trained further, or {a} may have been made from it",
        )
    return Weighing(
        "fine-tune",
        Status.UNDETERMINED,
        models=(nearest,),
        live=_origins_towards(a, b),
        against=f"{own}: so small a lean towards a far model comes from what the texts share or from a "
        f"common way",
    )


def _origins_towards(a: str, b: str) -> tuple[tuple[str, str], ...]:
    return (
        ("fine-tune", f"of {a}, which moved in a small part as {b} was moved"),
        ("linear-merge", f"a blend of {a} with so little of {b}, then changed"),
        (
            "same-run-checkpoint",
            f"an early state of a training from {a} to {b}, which is a fine-tune of {a} as well, or a "
            f"late one of a training from {b} to {a}",
        ),
        (
            "shared-ancestor",
            f"older than {a}, or made from such a model that was not given, and {a} made from that: "
            f"dates would decide (--root says what is known)",
        ),
    )


def _origins_beyond(a: str, b: str) -> tuple[tuple[str, str], ...]:
    return (
        ("fine-tune", f"of {a}, trained further on the way from {b}"),
        ("same-run-checkpoint", f"another state of the training that made {a}"),
        ("shared-ancestor", f"a model that {a} was made from, or next to one: dates would decide"),
    )


def _away(triangle: Triangle) -> bool:
    """Does it lie beyond the nearest model, as the far one sees it?"""
    return triangle.along.high < 0


def lean_words(readings: Readings) -> str:
    """The same in short, for the verdict's sentence; empty where there is none."""
    nearest = readings.related[0] if len(readings.related) > 1 else 0
    found = _leaning(readings, nearest) if nearest else None
    if found is None:
        return ""
    a, b = readings.name(nearest), readings.name(found[0])
    own = _own_words(readings, nearest, *found)
    if _away(found[1]):
        return (
            f"; {own}: a fine-tune of {a} that went on as {a} had come from {b}, looks like this, and so "
            f"does another state of the training that made {a}, or a model that {a} was made from"
        )
    return (
        f"; {own}: a fine-tune of {a} that moved in a small part as {b} was moved, or of a blend with so "
        f"little of {b}, looks like this, and so do a state of a training between the two and a model "
        f"older than {a}"
    )


def _own_words(readings: Readings, nearest: int, other: int, triangle: Triangle) -> str:
    share = share_along(readings, nearest, other, triangle)
    own = f"{1 - share:.1%}" if share >= 0.001 else "over 99.9%"
    a, b, along = readings.name(nearest), readings.name(other), triangle.along.estimate
    if _away(triangle):
        return (
            f"{own} of its change from {a} is its own, and it lies beyond {a} as seen from {b}, by "
            f"{-along:.2g} of their distance"
        )
    return f"{own} of its change from {a} is its own, and it lies {along:.4f} of the way to {b}"


def _leaning(readings: Readings, nearest: int) -> tuple[int, Triangle] | None:
    """The far model towards which, or away from which, the suspect has moved most, of those that its
    change is not of."""
    distance = readings.distance(nearest) or math.inf
    found = []
    for other in readings.related:
        triangle = None if other == nearest else readings.triangle(nearest, other)
        apart = readings.apart(nearest, other) or 0.0
        if triangle is None or apart <= distance:
            continue
        if share_along(readings, nearest, other, triangle) >= OWN_CHANGE:
            continue
        # Of the suspect's squared distance, what it shares with the other: the nearest model's branch.
        shared = triangle.along.estimate * (apart / distance) ** 2
        towards = shared > OPEN and triangle.along.low > 0
        if towards or triangle.suspect.raw < BETWEEN or (shared < -OPEN and _away(triangle)):
            control = readings.evidence.models[other].role is ModelRole.CONTROL
            found.append((not control, abs(shared), other, triangle))
    return max(found, key=lambda f: f[:2])[2:] if found else None


def share_along(readings: Readings, first: int, second: int, triangle: Triangle) -> float:
    """The share of the suspect's squared distance to ``first`` that lies along the way to ``second``."""
    apart, distance = readings.apart(first, second) or 0.0, readings.distance(first)
    return (triangle.along.estimate * apart / distance) ** 2 if distance else 1.0


def distance_words(value: float) -> str:
    """A distance over the norm of the weights, to two decimals of a per cent, or two figures of a small
    one."""
    return f"{value:.2%}" if value >= 1e-3 or not value else f"{100 * value:.2g}%"
