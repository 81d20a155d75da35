"""Who a model says it is, its template's own words taken out: name rates from an interview."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from parentage.behaviour.interviews import InterviewOptions, hold_interview
from parentage.behaviour.opening import spec_of
from parentage.behaviour.rates import ALL
from parentage.records.absence import Absent
from parentage.records.interview import NameRate

__all__ = ["Interviewer", "Named", "interviewer"]

CONDITION = "stripped"


@dataclass(frozen=True, slots=True)
class Named:
    """Rates of every name that was claimed, of ``asked`` answers."""

    names: tuple[NameRate, ...]
    asked: int


Interviewer = Callable[[str, Path], Named | Absent]
"""A model's folder, and the folder that keeps its answers."""


def interviewer(samples: int, *, languages: tuple[str, ...], max_tokens: int, seed: int) -> Interviewer:
    """Our own questions, sampled at temperature 1. Raises what interviews raise."""

    def hold(folder: str, kept: Path) -> Named | Absent:
        options = InterviewOptions(
            out=kept,
            samples=samples,
            seed=seed,
            max_tokens=max_tokens,
            conditions=(CONDITION,),
            languages=languages,
        )
        subject = hold_interview([spec_of(folder)], options).subjects[0]
        groups = [g for g in subject.groups if g.language == ALL and g.answers]
        if not groups:
            return Absent("; ".join(subject.left_out) or "no answer came")
        return Named(groups[0].names, groups[0].answers)

    return hold
