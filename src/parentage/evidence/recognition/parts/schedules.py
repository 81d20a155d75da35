"""Numbers that run over the model: from tensors' own ones to a setting that replays all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Final

from parentage.evidence.recognition.candidate import Candidate
from parentage.evidence.recognition.parts.courses import Point, descriptions
from parentage.evidence.recognition.parts.places import Place
from parentage.merging.parameters import evaluate
from parentage.methods.method import Declared, Value
from parentage.records.absence import Absent
from parentage.records.recipe import Clause, Setting
from parentage.records.recognition import Course, CourseClause, Numbers

__all__ = ["Scheduled", "Which", "ranged", "schedules"]

# A tensor's own number is one that replays; the one that was typed lies this near beside it.
SLACK: Final = 0.002
# Combinations of descriptions of several parameters that are tried.
TRIED: Final = 12
# The way from an anchor is halved from a tenth down.
FIRST: Final = 0.1
HALVINGS: Final = 14
# Shares of elements, and elements of a tensor up to which their spans are looked for.
SHARES: Final = ("density", "gamma")
SPANNED: Final = 2**17
SHARED: Final = Absent("a parameter of the merge")
Places = Mapping[str, Place]
# A parameter: whose (None: the merge's), and its name.
Which = tuple[int | None, str]


@dataclass(frozen=True, slots=True)
class Scheduled:
    """Settings of the parameters that vary; the others are the candidate's."""

    settings: tuple[tuple[Which, tuple[Clause, ...]], ...]

    def numbers(self, candidate: Candidate, name: str, places: Places) -> Numbers:
        """What a recipe gives one tensor, in the very arithmetic of recipes."""
        each = [dict(row) for row in candidate.numbers.each]
        shared = dict(candidate.numbers.shared)
        for (operand, parameter), clauses in self.settings:
            row = shared if operand is None else each[operand]
            value = evaluate(
                Setting(clauses),
                _declared(candidate, parameter),
                _seen(candidate, operand, places[name]),
                places[name].depth,
            )
            if value is not None:
                row[parameter] = value
        return Numbers(tuple(each), shared)


def _declared(candidate: Candidate, parameter: str) -> Declared:
    return next(d for d in candidate.rule.parameters if d.name == parameter)


def _seen(candidate: Candidate, operand: int | None, place: Place) -> str:
    """The name that filters are held against: the output's, or the operand's own."""
    return place.names[0 if operand is None else candidate.operands[operand]]


Span = Callable[[str, Which], tuple[float, float]]
"""Of one tensor: from where to where a share of elements may lie and still give all of it."""


def schedules(
    candidate: Candidate, known: Mapping[str, Numbers], places: Places, span: Span
) -> Iterator[Scheduled]:
    """Settings near all tensors' own numbers, the shortest first."""
    canonical = {name: _canonical(candidate, numbers) for name, numbers in known.items()}
    varying = list(_varying(canonical))
    told = []
    for which in varying:
        points = [_point(candidate, which, name, n, places[name], span) for name, n in canonical.items()]
        told.append(list(descriptions(points)))
    for clauses in islice(product(*told), TRIED) if varying else ():
        yield Scheduled(tuple(zip(varying, clauses, strict=True)))


def _canonical(candidate: Candidate, numbers: Numbers) -> Numbers:
    """Weights that are divided by their sum, as shares: only their proportions count."""
    divided = numbers.shared.get("normalize", False) and candidate.method == "linear"
    total = sum(float(row.get("weight", 0.0)) for row in numbers.each)
    if not divided or not total:
        return numbers
    return replace(numbers, each=tuple({**r, "weight": float(r["weight"]) / total} for r in numbers.each))


def _varying(known: Mapping[str, Numbers]) -> Iterator[Which]:
    rows = list(known.values())
    for name, value in rows[0].shared.items():
        if isinstance(value, float) and any(r.shared.get(name) != value for r in rows):
            yield None, name
    for k, row in enumerate(rows[0].each):
        for name, value in row.items():
            if isinstance(value, float) and any(r.each[k].get(name) != value for r in rows):
                yield k, name


def _point(
    candidate: Candidate, which: Which, name: str, numbers: Numbers, place: Place, span: Span
) -> Point:
    operand, parameter = which
    row = numbers.shared if operand is None else numbers.each[operand]
    seen, value = _seen(candidate, operand, place), float(row[parameter])
    if parameter not in SHARES:
        return Point(seen, place.depth, value, SLACK)
    # A density keeps a whole number of elements, and where many task vectors' numbers are zero or alike a
    # whole span of densities keeps the same.
    slack = max(SLACK, 2 / place.elements)
    if place.elements > SPANNED:
        return Point(seen, place.depth, value, slack)
    low, high = span(name, which)
    return Point(seen, place.depth, (low + high) / 2, max(slack, (high - low) / 2))


Replays = Callable[[Scheduled, Sequence[str]], bool]


def ranged(
    found: Scheduled, candidate: Candidate, known: Sequence[str], places: Places, replays: Replays
) -> tuple[Course, ...]:
    """The settings with, for every value, the nearest ones tried that no longer replay."""
    courses = []
    for at, ((operand, parameter), clauses) in enumerate(found.settings):
        told = []
        for k, clause in enumerate(clauses):
            values = clause.value if isinstance(clause.value, tuple) else (clause.value,)
            ends = [
                tuple(_end(found, candidate, (at, k, i), way, known, places, replays) for way in (-1, 1))
                for i in range(len(values))
            ]
            numbers = tuple(float(v) for v in values)
            low, high = (tuple(e[side] for e in ends) for side in (0, 1))
            told.append(CourseClause(clause.filter or "", numbers, low, high))
        courses.append(Course(parameter, SHARED if operand is None else operand, tuple(told)))
    return tuple(courses)


def _end(
    found: Scheduled,
    candidate: Candidate,
    anchor: tuple[int, int, int],
    way: int,
    known: Sequence[str],
    places: Places,
    replays: Replays,
) -> float:
    """The nearest excluded value that halving comes to; the farthest tried where nothing excludes it."""
    value, step = _at(found, anchor), FIRST
    names = _touched(found, candidate, anchor, known, places)
    end = value + way * step
    for _ in range(HALVINGS):
        if replays(_with(found, anchor, value + way * step), names):
            break
        end = value + way * step
        step /= 2
    return end


def _at(found: Scheduled, anchor: tuple[int, int, int]) -> float:
    setting, clause, place = anchor
    value = found.settings[setting][1][clause].value
    return float(value[place] if isinstance(value, tuple) else value)


def _with(found: Scheduled, anchor: tuple[int, int, int], value: float) -> Scheduled:
    setting, clause, place = anchor
    which, clauses = found.settings[setting]
    old = clauses[clause].value
    moved: Value | tuple[Value, ...] = value
    if isinstance(old, tuple):
        moved = tuple(value if i == place else v for i, v in enumerate(old))
    changed = tuple(replace(c, value=moved) if i == clause else c for i, c in enumerate(clauses))
    return Scheduled(tuple((which, changed) if i == setting else s for i, s in enumerate(found.settings)))


def _touched(
    found: Scheduled,
    candidate: Candidate,
    anchor: tuple[int, int, int],
    known: Sequence[str],
    places: Places,
) -> list[str]:
    """The smallest tensors, three at most, whose numbers move most with the value."""
    aside = _with(found, anchor, _at(found, anchor) + FIRST)
    (operand, parameter), _ = found.settings[anchor[0]]

    def moves(name: str) -> float:
        before, after = (s.numbers(candidate, name, places) for s in (found, aside))
        rows = [n.shared if operand is None else n.each[operand] for n in (before, after)]
        return abs(float(rows[1][parameter]) - float(rows[0][parameter]))

    far = {name: moves(name) for name in known}
    most = max(far.values(), default=0.0)
    near = [n for n in known if most > 0 and far[n] >= 0.9 * most]
    return sorted(near, key=lambda n: (places[n].elements, n))[:3]
