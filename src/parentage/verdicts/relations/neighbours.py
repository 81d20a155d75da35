"""``fine-tune``: of the model that sits where the suspect and a third part.

Distances have no arrow. Three models, though, form a tree: the one that sits at the fork is where the
other two part (see ``Triangle``). Only quiet rows, dates or an exact replay give the arrow of time.
"""

from __future__ import annotations

import math

from parentage.records.absence import Absent
from parentage.verdicts.readings import AT_FORK, NEXT_TO, OWN_COSINE, Branch, Readings, Triangle
from parentage.verdicts.relations.leaning import distance_words, weigh_lean
from parentage.verdicts.weighing import Status, Weighing

__all__ = [
    "DIRECTION_LIMIT",
    "MOVED_LIMIT",
    "agree",
    "as_good",
    "may_lean",
    "moved",
    "near_limits",
    "only_rows_tell",
    "origin_radius",
    "weigh_fine_tune",
]

# In this share of the matrices at least; where there are few, in each.
AGREEMENT = 2 / 3
FEW = 6
# A fine-tune that may lie this far along the way to another model may hold that much of it.
ALONG = 0.05
# Of the suspect's branch: beyond, which of the two came first is told by luck.
FORK_ERROR = 0.2
# Of what the suspect's own rounding makes of its branch: what is left, that rounding taken off, is less
# sure than this where rounding is most of it (of 1,500 numbers it is known to .023).
OWN_ROUNDING = 0.1
# Half-widths of a 95 % interval that a distance "within" which the origin lies must reach.
WIDER = 2.0
# "A fine-tune of X, or of a model near X" says little where that near reaches half way to the suspect.
MOST_RADIUS = 0.5
# Of models next to the nearest one (``NEXT_TO``), the way to each may lead no farther than this from it:
# else that one is the better name.
FOOT = 0.25

DIRECTION_LIMIT = (
    "Distances between weights have no arrow: that {parent} came first rests on its publication date, "
    "unless quiet rows or an exact replay say so; and a model that lies very near to {parent} and was not "
    "given would fit as well."
)

ROWS_LIMIT = (
    "The embedding rows that name {parent} would be the same in a model that was made from it, or from "
    "which it was made, with these rows left alone: without a third model weights do not tell these apart."
)

MOVED_LIMIT = (
    "Distances do not say what moved it: training, or a share of a model that was not given and whose "
    "weights are unlike those of all models given."
)


NEAR_LIMIT = (
    "Also nearer to {parent} than a tenth of the suspect's distance, and as its origin not told from it: "
    "{others}."
)


def weigh_fine_tune(readings: Readings) -> Weighing | None:
    """Of the nearest related model, when that model sits where the suspect and a third part."""
    proven = _proven_by_quiet_rows(readings)
    if proven is not None:
        return proven
    if not readings.related:
        return None
    nearest = readings.related[0]
    forks = _forks(readings, nearest)
    if forks:
        return _supported(readings, nearest, forks)
    if len(readings.related) == 1:
        name = readings.name(nearest)
        why = "with one related model, descent from it and descent from its parent look alike"
        return Weighing(
            "fine-tune",
            Status.UNDETERMINED,
            models=(nearest,),
            live=(("shared-ancestor", f"{why}; a second fine-tune or the base would decide"),),
            against=f"{why} ({name})",
        )
    return weigh_lean(readings, nearest)


def _proven_by_quiet_rows(readings: Readings) -> Weighing | None:
    proven = [q for q in readings.evidence.quiet_rows if q.exact_rows > 0]
    if not proven:
        return None
    best = max(proven, key=lambda q: (q.exact_rows, -q.model))
    forks = [t for other in readings.related if (t := readings.triangle(best.model, other)) is not None]
    if forks and not any(_at_fork(t) for t in forks):
        # A sibling whose training left these rows alone has them from the common parent.
        return None
    name = readings.name(best.model)
    decay = "weight decay alone" if isinstance(best.schedule, Absent) else best.schedule
    reason = (
        f"{best.exact_rows:,} of {best.rows:,} embedding rows are {name}'s rows put through "
        f"{decay}, in every bit; the reverse does not reproduce"
    )
    rivals = ("shared-ancestor", "linear-merge", "same-run-checkpoint", "independent")
    return Weighing(
        "fine-tune",
        Status.SUPPORTED,
        models=(best.model,),
        excluded=tuple((r, reason) for r in rivals),
        limits=() if forks else (ROWS_LIMIT.format(parent=name),),
    )


def only_rows_tell(readings: Readings, model: int) -> bool:
    """Is it these rows alone that name the parent? Without a third model, one that shares them with it
    would fit as well."""
    return all(readings.triangle(model, other) is None for other in readings.related)


def _at_fork(triangle: Triangle) -> bool:
    """Does the first of the models given sit where the suspect and the second part?"""
    return triangle.first.least <= AT_FORK and agree(triangle, triangle.first)


def _forks(readings: Readings, nearest: int) -> list[tuple[int, Triangle]]:
    """The others from which the suspect parts where the nearest model sits; none where another says that
    it does not sit there."""
    found = []
    for other in readings.related:
        triangle = None if other == nearest else readings.triangle(nearest, other)
        if triangle is None or as_good(readings, nearest, other):
            continue
        if _fork_error(readings, nearest, other, triangle) > FORK_ERROR:
            continue
        if _at_fork(triangle) and moved(triangle.suspect):
            found.append((other, triangle))
        elif triangle.first.least > AT_FORK:
            return []
    return found


def moved(suspect: Branch) -> bool:
    """Did more move it than its own storage rounding, which is no training?"""
    rounding = max(0.0, suspect.raw - suspect.least)
    return suspect.raw > AT_FORK and suspect.least > max(AT_FORK, OWN_ROUNDING * rounding)


def as_good(readings: Readings, nearest: int, other: int) -> bool:
    """Is the other so near to the nearest, by the suspect's distance, that the origin may be either?"""
    apart, distance = readings.apart(nearest, other), readings.distance(nearest)
    triangle = readings.triangle(nearest, other)
    if not apart or not distance or triangle is None or apart > NEXT_TO * distance:
        return False
    if readings.keeps(nearest, other):
        # What goes the other's way was not made from it: that one has other numbers where these were kept.
        return True
    return max(abs(triangle.along.low), abs(triangle.along.high)) <= FOOT


def agree(triangle: Triangle, branch: Branch) -> bool:
    """Do the matrices say alike that this model sits at the fork? Of three, two agree by luck too often."""
    return branch.agree >= (AGREEMENT if triangle.matrices >= FEW else 1.0)


def _fork_error(readings: Readings, nearest: int, other: int, triangle: Triangle) -> float:
    """By how much chance, and what unrelated trainings share, move the nearest model's branch, as a share
    of the suspect's: where that is much, a checkpoint before the nearest looks like one after it."""
    apart, distance = readings.apart(nearest, other), readings.distance(nearest)
    if not apart or not distance or not readings.matrices:
        return math.inf
    chance = sum(1 / t.finite for t in readings.matrices) / len(readings.matrices)
    return math.sqrt((chance + OWN_COSINE**2) / triangle.matrices) * apart / distance


def _supported(readings: Readings, nearest: int, forks: list[tuple[int, Triangle]]) -> Weighing:
    name = readings.name(nearest)
    leaning = [
        (other, t)
        for other in readings.related
        if other != nearest
        and (t := readings.triangle(nearest, other))
        and may_lean(t)
        and not as_good(readings, nearest, other)
    ]
    if leaning:
        return _leaning(readings, nearest, *max(leaning, key=lambda f: f[1].along.high))
    distance, radius = readings.distance(nearest), origin_radius(readings, nearest)
    if distance is None or radius > MOST_RADIUS * distance:
        against = (
            f"the suspect lies {distance_words(distance or 0.0)} from {name}, and a model up to "
            f"{distance_words(radius)} from {name} (one with a little of another in it) would fit as well"
        )
        return Weighing(
            "fine-tune",
            Status.UNDETERMINED,
            models=(nearest,),
            live=(
                ("fine-tune", f"of {name}, hardly changed"),
                ("linear-merge", f"a blend of {name} with a little of another model, then changed"),
            ),
            against=against,
        )
    other, triangle = min(forks, key=lambda f: abs(f[1].first.raw))
    reason = (
        f"{name} sits where the suspect and {readings.name(other)} part "
        f"(its branch is {max(triangle.first.raw, 0):.2f} of the shorter of theirs, "
        f"{triangle.matrices} matrices)"
    )
    return Weighing(
        "fine-tune",
        Status.SUPPORTED,
        models=(nearest,),
        excluded=(("shared-ancestor", reason), ("linear-merge", reason), ("independent", reason)),
        limits=(DIRECTION_LIMIT.format(parent=name), MOVED_LIMIT, *near_limits(readings, nearest)),
    )


def near_limits(readings: Readings, nearest: int) -> tuple[str, ...]:
    """The models given that may as well be the origin."""
    near = [o for o in readings.related if o != nearest and as_good(readings, nearest, o)]
    near = [o for o in near if not readings.keeps(nearest, o)]
    names = ", ".join(readings.name(o) for o in near)
    return (NEAR_LIMIT.format(others=names, parent=readings.name(nearest)),) if near else ()


def origin_radius(readings: Readings, parent: int) -> float:
    """How far from ``parent``, over the norm of the weights, the model may lie that the suspect was really
    made from: a branch that passes for none, its branches as measured in all matrices together, or what may
    be another model's share."""
    distance = readings.distance(parent) or 0.0
    radii = [distance * math.sqrt(AT_FORK)]
    for other in readings.related:
        triangle = None if other == parent else readings.triangle(parent, other)
        if triangle is None:
            continue
        if as_good(readings, parent, other):
            radii.append(readings.apart(parent, other) or 0.0)
            continue
        along = triangle.along
        share = abs(along.estimate) + WIDER * (along.high - along.low) / 2
        radii += [share * (readings.apart(parent, other) or 0.0), readings.branch_length(parent, other)]
    return max(radii)


def _leaning(readings: Readings, nearest: int, other: int, triangle: Triangle) -> Weighing:
    """A fine-tune of the nearest, or a blend with a little of another that was then trained."""
    a, b = readings.name(nearest), readings.name(other)
    along = triangle.along
    range_ = f"[{along.low:.3f}, {along.high:.3f}]"
    where = f"the suspect lies {along.estimate:.3f} {range_} of the way from {a} to {b}"
    return Weighing(
        "fine-tune",
        Status.UNDETERMINED,
        models=(nearest,),
        live=(
            ("fine-tune", f"of {a}, perhaps moved in part as {b} was: {where}"),
            ("linear-merge", f"a blend of {a} with up to {max(along.high, 0):.3f} of {b}, then changed"),
        ),
        against=f"{where}: a little of it cannot be excluded",
    )


def may_lean(triangle: Triangle) -> bool:
    """May it hold so much of the second model that it is no plain fine-tune of the first?"""
    return max(abs(triangle.along.low), abs(triangle.along.high)) > ALONG
