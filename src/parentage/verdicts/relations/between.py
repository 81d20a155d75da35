"""``same-run-checkpoint``: a suspect between two models; and one beside their line. Never called a merge.

Earlier checkpoints and averages of a run look so, and a blend that was trained before it was first stored;
these cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from parentage.records.evidence import ModelRole
from parentage.verdicts.readings import AT_FORK_ALONE, Readings, Triangle
from parentage.verdicts.relations.leaning import BETWEEN, OWN_CHANGE, share_along
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["beside_words", "weigh_beside", "weigh_between"]

# Nearer to an end, which of the two it is beside is all that can be said.
ENDS = 0.05


def weigh_between(readings: Readings) -> Weighing | None:
    """The suspect lies inside the line of two models, by more than a trifle of its change from either."""
    for first, second, triangle in _pairs(readings):
        if triangle.suspect.raw < BETWEEN and _follows(readings, first, second, triangle):
            return _look_alike(readings, first, second, triangle)
    return None


def weigh_beside(readings: Readings) -> Weighing | None:
    """The suspect lies beside the line of two models, with little of its own: neither inside it nor at
    the very fork."""
    found = _beside(readings)
    if found is None:
        return None
    first, second, triangle = found
    a, b = readings.name(first), readings.name(second)
    place = f"it lies {_place(readings, first, second, triangle)}, with little of its own"
    rooted = readings.root in (first, second)
    # The suspect can then not be older than both; what is left is a way from the root to the other.
    far = b if readings.root == first else a
    return Weighing(
        "same-run-checkpoint" if rooted else "shared-ancestor",
        Status.UNDETERMINED,
        sentence=_look_alikes(readings, *found).removeprefix("; it ") if rooted else "",
        models=(first, second),
        live=(
            (
                "same-run-checkpoint",
                f"an earlier state, or an average, of a training {_from_to(readings, first, second)}: "
                f"{place}",
            ),
            ("linear-merge", "a blend that was trained before it was first stored in 16 bits"),
            (
                "shared-ancestor",
                f"next to a model that {far} was made from"
                if rooted
                else f"next to the model that {a} and {b} were both made from",
            ),
        ),
        against=place,
    )


def beside_words(readings: Readings) -> str:
    """The same in short, for the verdict's sentence; empty where there is none."""
    found = _beside(readings)
    return "" if found is None else _look_alikes(readings, *found)


def _look_alikes(readings: Readings, first: int, second: int, triangle: Triangle) -> str:
    way = _from_to(readings, first, second)
    return (
        f"; it lies {_place(readings, first, second, triangle)}, with little of its own: a state of a "
        f"training {way}, an average over it, a merge trained before it was stored, or a model next to "
        f"their common ancestor would look like this"
    )


def _from_to(readings: Readings, first: int, second: int) -> str:
    """The way of a training between two models: known where one of them is the root."""
    a, b = readings.name(first), readings.name(second)
    if readings.root not in (first, second):
        return f"from one of {b} and {a} to the other"
    return f"from {a} to {b}" if readings.root == first else f"from {b} to {a}"


def _one_to_other(readings: Readings, first: int, second: int) -> str:
    a, b = readings.name(first), readings.name(second)
    if readings.root not in (first, second):
        return f"one of {b} and {a} that moved in the direction of the other"
    return (
        f"{a} that moved as {b} was moved" if readings.root == first else f"{b} that moved as {a} was moved"
    )


def _beside(readings: Readings) -> tuple[int, int, Triangle] | None:
    for first, second, triangle in _pairs(readings):
        own, along = triangle.suspect.raw, triangle.along
        inside = along.low >= ENDS and along.high <= 1 - ENDS
        if BETWEEN <= own <= AT_FORK_ALONE and inside and _follows(readings, first, second, triangle):
            return first, second, triangle
    return None


def _place(readings: Readings, first: int, second: int, triangle: Triangle) -> str:
    a, b = readings.name(first), readings.name(second)
    return f"beside the line from {b} to {a}, {1 - triangle.along.estimate:.2f} of the way"


def _pairs(readings: Readings) -> Iterator[tuple[int, int, Triangle]]:
    """Related models two by two, controls last, and within that the nearest first."""
    roles = readings.evidence.models
    pairs = sorted(
        combinations(readings.related, 2), key=lambda p: sum(roles[m].role is ModelRole.CONTROL for m in p)
    )
    for first, second in pairs:
        triangle = readings.triangle(first, second)
        if triangle is not None:
            yield first, second, triangle


def _follows(readings: Readings, first: int, second: int, triangle: Triangle) -> bool:
    """Does its change from the nearer of the two follow the way to the other?"""
    return share_along(readings, first, second, triangle) >= OWN_CHANGE


def _look_alike(readings: Readings, first: int, second: int, triangle: Triangle) -> Weighing:
    a, b, along = readings.name(first), readings.name(second), triangle.along
    place = f"lies between {a} and {b}, {1 - along.estimate:.2f} of the way from {b} to {a}"
    return Weighing(
        "same-run-checkpoint",
        Status.UNDETERMINED,
        sentence=f"{place}, but not on the grid of a stored merge: a checkpoint of the same run, an "
        f"average over it, or a merge trained before it was stored would look like this",
        models=(first, second),
        live=(
            (
                "same-run-checkpoint",
                f"an earlier state, or an average, of a training {_from_to(readings, first, second)}",
            ),
            ("linear-merge", "a blend that was trained before it was first stored in 16 bits"),
            ("linear-merge", "a blend with a parent that is not on the list"),
            ("fine-tune", f"a fine-tune of {_one_to_other(readings, first, second)}"),
        ),
        against=f"the suspect {place}, and not on the grid of a stored blend",
    )
