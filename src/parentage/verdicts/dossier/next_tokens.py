"""What next tokens say, as findings: whose they are closer to, and where between two models they fall.

Both are measures of likeness with error rates of their own, and neither is a verdict of descent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Final

from parentage.records.absence import Absent
from parentage.records.dossier import Confidence, Finding, Support
from parentage.records.interview import Interview, Line

__all__ = [
    "ALONG_COVERS",
    "CLOSER_ERRS",
    "LATER_PLACED",
    "NOISE",
    "PLACED",
    "TRAINED",
    "UNMERGED_PLACED",
    "next_token_findings",
]

CLOSE: Final = 0.01
Counts = tuple[int, int]
# Of so many pairs of its own base and another model the other one was told to be nearer: trained children
# (docs/data/descent.json, by scripts/cases/descent_trained.py).
TRAINED: Final[Mapping[str, Counts]] = {
    "another base": (0, 80),
    "a sibling": (1, 160),
    "a twin": (12, 20),
}
# Children made by noise (scripts/cases/descent.py): a sibling told nearer than the parent; one of two.
NOISE: Final[Mapping[str, Counts]] = {"a sibling": (0, 260), "of equal siblings": (0, 130)}
# Merges whose interval holds their share, by how the suspect is run (docs/data/line.json, by
# scripts/cases/line_coverage.py); and of merges that were trained on so many were given a place.
PLACED: Final[Mapping[str, Counts]] = {
    "transformers": (48, 48),
    "llama.cpp": (47, 48),
    "endpoint": (47, 48),
}
LATER_PLACED: Final[Counts] = (0, 144)
# Of models that are no merge of the two (docs/data/line-unmerged.json, the same with --unmerged).
UNMERGED_PLACED: Final[Counts] = (0, 72)


def _of(counts: Counts) -> str:
    return f"{counts[0]} of {counts[1]}"


CLOSER_ERRS: Final = (
    f"The test's error rate is of being closer, not of descent. Of trained children another base was "
    f"told closer than their own {_of(TRAINED['another base'])} times, a sibling that was trained on other "
    f"texts {_of(TRAINED['a sibling'])} times, one that was trained on the same {_of(TRAINED['a twin'])} "
    f"times. Of children made by noise a sibling was {_of(NOISE['a sibling'])} times, and one of two equal "
    f"siblings was singled out in {_of(NOISE['of equal siblings'])} (docs/relations.md)."
)
ALONG_COVERS: Final = (
    f"On planted merges of small models the interval held the share in {_of(PLACED['transformers'])} run "
    f"by transformers, {_of(PLACED['llama.cpp'])} by llama.cpp in 8 bits, {_of(PLACED['endpoint'])} as "
    f"behind an endpoint beside their parents; {_of(LATER_PLACED)} that were trained on were given a "
    f"place, and {_of(UNMERGED_PLACED)} relatives that are no merge (docs/interview.md)."
)
ALONG_OLD: Final = (
    "This place is by an earlier version, whose interval holds the chance of the prompts alone: a merge at "
    ".57 read .63 to .73 (docs/interview.md)."
)


def next_token_findings(interview: Interview) -> Iterator[Finding]:
    """Each pair of the panel that is told apart, and the place on a line where one was looked for."""
    yield from _closest(interview)
    yield from _along_line(interview.line)


def _closest(interview: Interview) -> Iterator[Finding]:
    for k, c in enumerate(interview.closer):
        if c.p_holm >= CLOSE or c.first_closer == c.second_closer:
            continue
        near, far = (c.first, c.second) if c.first_closer > c.second_closer else (c.second, c.first)
        one, other = _called(interview, near), _called(interview, far)
        says = f"Its next tokens are closer to those of {one} than of {other}: p {c.p_holm:.2g} (Holm)."
        yield Finding(
            f"closer-to:{near}:{far}",
            "closer-to",
            "information",
            says,
            Confidence("not-graded", CLOSER_ERRS),
            "whose next tokens it shares",
            (Support("behaviour", says, (f"interview.closer[{k}]",)),),
        )


def _called(interview: Interview, label: str) -> str:
    """What one of the panel is called where it was asked, with its label, or the label alone."""
    for subject in interview.subjects:
        if subject.label == label:
            told = subject.respondent.model
            name = PurePath(subject.respondent.locator if isinstance(told, Absent) else told).name
            return f"{name} ({label})" if name else label
    return label


def _along_line(found: Line | Absent) -> Iterator[Finding]:
    if isinstance(found, Absent):
        return
    ends = (found.points[-1].divergence, found.points[0].divergence)
    least = min(p.divergence for p in found.points)
    away = f"{least:.2g} nats away at the nearest blend, {ends[0]:.2g} and {ends[1]:.2g} from the parents"
    line = f"the line between {found.first} and {found.second}"
    if isinstance(found.weight, Absent):
        says = f"On {line} its next tokens have no place, for {found.weight.reason}; they are {away}."
    else:
        at, low, high = found.weight.estimate, found.weight.low, found.weight.high
        place = f"at a weight of {at:.2f} ({low:.2f} to {high:.2f}) of the first"
        says = f"On {line} its next tokens fall {place}, {away}."
    yield Finding(
        "along-line",
        "along-line",
        "information",
        says,
        Confidence("not-graded", ALONG_COVERS if found.how else ALONG_OLD),
        "where between two models its next tokens fall",
        (Support("behaviour", says, ("interview.line",)),),
        alternatives=(
            "what changes a merge along this very line afterwards, as training one parent's way does, "
            "moves its place and is not seen",
        ),
    )
