"""How a number runs over a model, in words: ``t rises from 0.2 to 0.8 over the layers``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from parentage.records.absence import Absent
from parentage.records.recognition import Course, CourseClause, MethodReplay
from parentage.records.report import Heterogeneity
from parentage.verdicts.readings import Readings

__all__ = ["courses_heterogeneity", "courses_words"]

Name = Callable[[int], str]
# Names that a sentence lists; more are counted.
MOST_NAMED: Final = 4
# Shares of elements, and from which width on their span is said.
SHARES: Final = ("density", "gamma")
WIDE: Final = 0.005


def courses_words(replay: MethodReplay, name: Name) -> str:
    """All that varies, in one clause; empty where nothing does."""
    return "; ".join(_course_words(course, replay, name) for course in replay.courses)


def _course_words(course: Course, replay: MethodReplay, name: Name) -> str:
    """``weight of A rises evenly from 0.2 to 0.8 over the layers``."""
    first = _subject(course, replay, name)
    share = course.parameter in SHARES
    told = [f"{_values(c, share)}{_where(c, len(course.clauses))}" for c in course.clauses]
    return f"{first} {', '.join(told)}"


def _subject(course: Course, replay: MethodReplay, name: Name) -> str:
    """The parameter and whose it is."""
    if isinstance(course.operand, Absent):
        return course.parameter
    return f"{course.parameter} of {name(replay.operands[course.operand])}"


def _where(clause: CourseClause, clauses: int) -> str:
    if clauses == 1:
        return ""
    return f" in “{clause.filter}”" if clause.filter else " elsewhere"


def _values(clause: CourseClause, share: bool) -> str:
    values = [f"{v:.9g}" for v in clause.values]
    if share:
        # A whole span of shares may keep the same elements: no more is said than that.
        rows = zip(values, clause.low, clause.high, strict=True)
        values = [f"{v} ({a:.3g} to {b:.3g})" if b - a > WIDE else v for v, a, b in rows]
    if len(values) == 1:
        return f"is {values[0]}"
    ends = f"from {values[0]} to {values[-1]} over the layers"
    if len(values) == 2:
        return f"{_way(clause.values)} evenly {ends}"
    return f"{_way(clause.values)} {ends} (linear between {', '.join(values)}, evenly spaced)"


def _way(values: Sequence[float]) -> str:
    steps = [b - a for a, b in pairwise(values)]
    if all(s >= 0 for s in steps):
        return "rises"
    return "falls" if all(s <= 0 for s in steps) else "runs"


def _interval_words(course: Course, replay: MethodReplay, name: Name) -> str:
    """Every value with those nearest to it that were tried and do not replay."""
    told = []
    for clause in course.clauses:
        rows = zip(clause.values, clause.low, clause.high, strict=True)
        values = ", ".join(f"{v:.9g} ({low:.6g} to {high:.6g})" for v, low, high in rows)
        told.append(f"{values}{_where(clause, len(course.clauses))}")
    return f"{_subject(course, replay, name)}: {'; '.join(told)}"


def courses_heterogeneity(readings: Readings, replays: tuple[MethodReplay, ...]) -> Heterogeneity | Absent:
    """How numbers run over the model, each with the nearest values that do not replay."""
    courses = [(c, r) for r in replays for c in r.courses]
    if not courses:
        return Absent("no number of the method runs over the model")
    values = [v for c, _ in courses for clause in c.clauses for v in clause.values]
    depth = any(len(clause.values) > 1 for c, _ in courses for clause in c.clauses)
    names = any(len(c.clauses) > 1 for c, _ in courses)
    pattern = "by-component-and-depth" if depth and names else "gradient" if depth else "by-component"
    told = ". ".join(_interval_words(c, r, readings.name) for c, r in courses)
    sentence = f"Values, and the nearest tried that do not replay: {told}."
    return Heterogeneity(pattern, sentence, min(values), max(values))
