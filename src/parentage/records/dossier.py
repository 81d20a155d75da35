"""The dossier, version 1: an audit, an interview and a card in one report, each fact told once.

A finding rests on what one or more kinds of evidence show; ``fact`` names what that is, and findings with
one ``fact`` are not independent of each other. ``evidence`` are places in this very file, such as
``audit.verdict`` or ``interview.subjects[0].groups[2]``. Findings are about files, never about people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from parentage.errors import EvidenceError
from parentage.records import card_report as cards
from parentage.records import interview as interviews
from parentage.records import report as reports
from parentage.records.absence import Absent
from parentage.records.card_report import CardReport
from parentage.records.codec import from_plain, to_plain
from parentage.records.interview import Interview
from parentage.records.json_files import load_json
from parentage.records.report import Report
from parentage.records.report_parts import one_of

__all__ = [
    "GRADES",
    "KINDS",
    "SCHEMA",
    "SEVERITIES",
    "VERSION",
    "Confidence",
    "Dossier",
    "Finding",
    "KindAlone",
    "NotLooked",
    "Support",
    "at_place",
    "from_json",
    "load_dossier",
    "to_json",
]

SCHEMA = "parentage.dossier"
VERSION = 1
NO_RATIO = Absent("no likelihood ratio is known")
KINDS = ("weights", "behaviour", "card")
SEVERITIES = ("high", "medium", "low", "information")
# docs/relations.md says what each means.
GRADES = (
    "observed",
    "extremely-strong",
    "very-strong",
    "strong",
    "moderately-strong",
    "moderate",
    "weak",
    "none",
    "not-graded",
)


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure a finding is, and how that is known.

    ``ratio``: a bound of the likelihood ratio, from below ("at-least") or from above ("at-most"), as
    ``bound`` says; ``basis``: the error rates or the publication that it rests on.
    """

    grade: str
    basis: str
    ratio: float | Absent = NO_RATIO
    bound: str = "at-least"

    def __post_init__(self) -> None:
        one_of(self.grade, GRADES, "confidence.grade")


@dataclass(frozen=True, slots=True)
class Support:
    """What one kind of evidence says to a finding, and where in the dossier that stands."""

    kind: str
    says: str
    evidence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        one_of(self.kind, KINDS, "support.kind")


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. ``confidence`` is that of its strongest support: supports are not multiplied."""

    id: str
    kind: str
    severity: str
    sentence: str
    confidence: Confidence
    fact: str
    supports: tuple[Support, ...]
    against: tuple[Support, ...] = ()
    alternatives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        one_of(self.severity, SEVERITIES, "findings.severity")

    def evidence(self) -> tuple[str, ...]:
        """Every place that it rests on, once."""
        cited = (e for s in (*self.supports, *self.against) for e in s.evidence)
        return tuple(dict.fromkeys(cited))


@dataclass(frozen=True, slots=True)
class KindAlone:
    """What one kind of evidence would have concluded without the others."""

    kind: str
    conclusion: str | Absent
    confidence: Confidence | Absent


@dataclass(frozen=True, slots=True)
class NotLooked:
    """Something that this dossier does not rest on, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything, severest finding first."""

    tool: Mapping[str, Any]
    asked: Mapping[str, Any]
    suspect: str
    findings: tuple[Finding, ...]
    alone: tuple[KindAlone, ...]
    not_looked_at: tuple[NotLooked, ...]
    limits: tuple[str, ...]
    audit: Report | Absent
    interview: Interview | Absent
    card: CardReport | Absent

    def facts(self) -> tuple[str, ...]:
        """What the findings rest on, each once."""
        return tuple(dict.fromkeys(f.fact for f in self.findings))


_STEP = re.compile(r"([a-z_]+)((?:\[\d+\])*)", re.ASCII)


def at_place(dossier: Dossier, place: str) -> Any:
    """The record at a place such as ``card.claims[2]``; ``LookupError`` where there is none."""
    found: Any = dossier
    for part in place.split("."):
        step = _STEP.fullmatch(part)
        names = {f.name for f in fields(found)} if is_dataclass(found) else set()
        if step is None or step[1] not in names:
            raise LookupError(place)
        found = getattr(found, step[1])
        for number in re.findall(r"\d+", step[2]):
            if not isinstance(found, Sequence) or int(number) >= len(found):
                raise LookupError(place)
            found = found[int(number)]
    return found


def to_json(dossier: Dossier) -> dict[str, Any]:
    """Plain values, ``schema`` and ``version`` first; each report within carries its own."""
    plain = to_plain(dossier)
    if not isinstance(dossier.audit, Absent):
        plain["audit"] = reports.to_json(dossier.audit)
    for key, module in (("interview", interviews), ("card", cards)):
        if not isinstance(getattr(dossier, key), Absent):
            plain[key] = {"schema": module.SCHEMA, "version": module.VERSION, **plain[key]}
    return {"schema": SCHEMA, "version": VERSION, **plain}


def from_json(payload: Mapping[str, Any]) -> Dossier:
    """A dossier from plain values.

    Raises ``EvidenceError``: ``record-shape``, ``report-status``, ``report-inconsistent`` (also where a
    finding rests on a place that this dossier does not have).
    """
    found = from_plain(Dossier, dict(payload), "$")
    if not isinstance(found.audit, Absent):
        reports.from_json(payload["audit"])
    for finding in found.findings:
        for place in finding.evidence():
            try:
                at_place(found, place)
            except LookupError:
                raise EvidenceError(
                    f"finding {finding.id!r} rests on {place!r}, which is not in the file",
                    code="report-inconsistent",
                    where="$.findings",
                ) from None
    return found


def load_dossier(path: Path) -> Dossier:
    """Read a saved dossier; errors of ``json_files.load_json`` and :func:`from_json`."""
    return from_json(load_json(path, schema=SCHEMA, version=VERSION))
