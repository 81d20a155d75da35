"""A card weighed against evidence, version 1: each claim with its status, reason and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parentage.errors import EvidenceError
from parentage.records.absence import Absent
from parentage.records.card import CardReading, Claim
from parentage.records.card_proposals import NO_READER, Proposals
from parentage.records.codec import from_plain
from parentage.records.estimate import Estimate
from parentage.records.findings import NOT_MEASURED
from parentage.records.json_files import load_json
from parentage.records.weight_history import NO_WEIGHTS, WeightHistory

__all__ = [
    "NO_HISTORY",
    "NO_REPORT",
    "SCHEMA",
    "STATUSES",
    "VERSION",
    "AuditSummary",
    "CardChange",
    "CardFinding",
    "CardHistory",
    "CardReport",
    "CardVersion",
    "HonestCard",
    "PlacedScore",
    "ScoreLine",
    "WeighedClaim",
    "load_card_report",
]

SCHEMA = "parentage.card-report"
VERSION = 1
STATUSES = ("supported", "contradicted", "undetermined", "untested", "not-checkable")
SEVERITIES = ("high", "medium", "low", "information")
NO_REPORT = Absent("no evidence or report of an audit was given")
NO_HISTORY = Absent("no history of the card was given")


def _one_of(value: str, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise EvidenceError(f"{value!r} is none of {', '.join(known)}", code="report-status", where=where)


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """The audit that the claims were weighed against."""

    locator: str
    relation: str
    status: str
    sentence: str
    later_change: str


@dataclass(frozen=True, slots=True)
class WeighedClaim:
    """A claim and what the evidence says of it; ``evidence`` are fields of the audit's report, scores or
    interview answers, by id (docs/cards.md)."""

    claim: Claim
    status: str
    reason: str
    evidence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _one_of(self.status, STATUSES, "claims.status")


@dataclass(frozen=True, slots=True)
class CardFinding:
    """Something that no single claim says: what the card leaves out, or what does not fit together.

    ``about``: the models of the audit that it speaks of, by their names there.
    """

    id: str
    severity: str
    sentence: str
    evidence: tuple[str, ...] = ()
    about: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _one_of(self.severity, SEVERITIES, "findings.severity")


@dataclass(frozen=True, slots=True)
class PlacedScore:
    """One benchmark: the suspect's score beside two models'; ``place``: 1 at the first, 0 at the second."""

    benchmark: str
    suspect: float
    first: float
    second: float
    error: float
    place: float | Absent
    between: bool


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """Is the table better explained by a place on the line between two models, or by improvement?

    ``log_ratio``: log-likelihood of the line less that of the improvement of ``second``; both have two free
    numbers. ``weight`` of ``first`` on the line.
    """

    first: str
    second: str
    scores: tuple[PlacedScore, ...]
    weight: Estimate | Absent
    log_ratio: float | Absent
    sentence: str
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CardVersion:
    """One revision of the card; ``when`` in UTC (ISO 8601)."""

    revision: str
    when: str
    sha256: str
    claims: int


@dataclass(frozen=True, slots=True)
class CardChange:
    """A sentence that came, went or changed (then ``before`` says from what), or a claim that did."""

    revision: str
    when: str
    what: str
    text: str
    before: str | Absent = NOT_MEASURED
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CardHistory:
    """Versions, oldest first, and what changed between them."""

    place: str
    versions: tuple[CardVersion, ...]
    changes: tuple[CardChange, ...]
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HonestCard:
    """What a card could say by the evidence alone: metadata in YAML, and a paragraph."""

    front_matter: str
    paragraph: str


@dataclass(frozen=True, slots=True)
class CardReport:
    """Everything that was found about one card."""

    tool: Mapping[str, Any]
    asked: Mapping[str, Any]
    reading: CardReading
    audit: AuditSummary | Absent
    claims: tuple[WeighedClaim, ...]
    findings: tuple[CardFinding, ...]
    score_lines: tuple[ScoreLine, ...] = ()
    history: CardHistory | Absent = NO_HISTORY
    honest: HonestCard | Absent = NO_REPORT
    limits: tuple[str, ...] = ()
    weights: WeightHistory | Absent = NO_WEIGHTS
    proposed: Proposals | Absent = NO_READER

    def counts(self) -> dict[str, int]:
        """Claims by status, in the order of ``STATUSES``."""
        return {s: sum(c.status == s for c in self.claims) for s in STATUSES}


def load_card_report(path: Path) -> CardReport:
    """Read a saved card report; errors of ``json_files.load_json`` and ``codec.from_plain``."""
    return from_plain(CardReport, load_json(path, schema=SCHEMA, version=VERSION))
