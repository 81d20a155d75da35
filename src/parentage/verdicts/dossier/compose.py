"""One dossier from an audit, an interview and a card: each fact once, with all that supports it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from parentage import __version__
from parentage.behaviour.names.aliases import mentions, normalised
from parentage.records.absence import Absent
from parentage.records.card_report import CardReport
from parentage.records.dossier import GRADES, SEVERITIES, Dossier, Finding, NotLooked, Support
from parentage.records.interview import Interview
from parentage.records.report import Report
from parentage.verdicts.dossier.behaviour import (
    Claimed,
    behaviour_alone,
    behaviour_findings,
    claimed_names,
    identity_support,
)
from parentage.verdicts.dossier.card import card_alone, card_findings, undisclosed
from parentage.verdicts.dossier.parents import parents_by_identity
from parentage.verdicts.dossier.weights import weights_alone, weights_findings

__all__ = ["LIMITS", "compose"]

LIMITS: Final = (
    "Findings are about files: who made them, knew of them or meant what is no part of them.",
    "Findings with the same fact behind them are not independent and count once; a finding is as sure as "
    "its strongest support, and supports are not multiplied.",
    "What a card claims and what a model says of itself never decide what weights are made of.",
    "A grade by likelihood ratio is a bound from this project's own error rates on planted suspects; it "
    "says nothing of how probable the statement was before.",
)


def compose(
    suspect: str,
    report: Report | Absent,
    interview: Interview | Absent,
    card: CardReport | Absent,
    asked: Mapping[str, Any],
) -> Dossier:
    """Weigh the three together; reads nothing from anywhere. Equal inputs give equal dossiers."""
    names = claimed_names(interview)
    said = _said_of_parents(names, report, interview, card)
    told = frozenset(c.name for c, parents in _pointing(names, report, card) if parents)
    own = suspect.rstrip("/").rpartition("/")[2].replace("_", " ")
    told |= {m.name.id for m in mentions(normalised(own))}
    found = [
        *weights_findings(report),
        *card_findings(card, report, said),
        *behaviour_findings(interview, told, _in_card(names, card)),
    ]
    found = [_disclosed(f, said, card) if f.id == "made-of" else f for f in found]
    return Dossier(
        tool={"name": "parentage", "version": __version__},
        asked=asked,
        suspect=suspect,
        findings=tuple(sorted(found, key=_order)),
        alone=(weights_alone(report), behaviour_alone(interview), card_alone(card)),
        not_looked_at=tuple(_not_looked(report, interview, card)),
        limits=LIMITS,
        audit=report,
        interview=interview,
        card=card,
    )


def _order(finding: Finding) -> tuple[int, int, str]:
    return SEVERITIES.index(finding.severity), GRADES.index(finding.confidence.grade), finding.id


def _pointing(
    names: tuple[Claimed, ...], report: Report | Absent, card: CardReport | Absent
) -> Iterator[tuple[Claimed, tuple[str, ...]]]:
    """Names with the parents that go by them; what only its template makes it say points at nobody."""
    parents = parents_by_identity(report, card)
    for claimed in names:
        yield claimed, () if claimed.template else parents.get(claimed.name, ())


def _said_of_parents(
    names: tuple[Claimed, ...],
    report: Report | Absent,
    interview: Interview | Absent,
    card: CardReport | Absent,
) -> dict[str, Support]:
    """For each parent the model's own words that point at it, as one support."""
    if isinstance(interview, Absent):
        return {}
    found: dict[str, list[Claimed]] = {}
    for claimed, parents in _pointing(names, report, card):
        for parent in parents:
            found.setdefault(parent, []).append(claimed)
    return {parent: identity_support(interview, listed) for parent, listed in found.items()}


def _disclosed(finding: Finding, said: Mapping[str, Support], card: CardReport | Absent) -> Finding:
    """What the weights show of parents that the card names, and what agrees or disagrees with it."""
    hidden = undisclosed(card)
    own = tuple(support for parent, support in said.items() if parent not in hidden)
    claims = () if isinstance(card, Absent) else card.claims
    kinds = ("relation", "base-model", "merge-parent", "merge-method", "denied")
    by_status = {
        status: [k for k, w in enumerate(claims) if w.status == status and w.claim.kind in kinds]
        for status in ("supported", "contradicted")
    }
    agrees = _claims_support(card, by_status["supported"], "The card says the same")
    against = _claims_support(card, by_status["contradicted"], "The card says otherwise")
    return replace(finding, supports=(*finding.supports, *own, *agrees), against=against)


def _claims_support(card: CardReport | Absent, numbers: list[int], words: str) -> tuple[Support, ...]:
    if isinstance(card, Absent) or not numbers:
        return ()
    listed = ", ".join(f"{card.claims[k].claim.kind} {card.claims[k].claim.value}" for k in numbers[:6])
    return (Support("card", f"{words}: {listed}.", tuple(f"card.claims[{k}]" for k in numbers)),)


def _in_card(names: tuple[Claimed, ...], card: CardReport | Absent) -> dict[str, bool]:
    """Whether the card mentions a name, as its own weighing found; empty without a card."""
    if isinstance(card, Absent):
        return {}
    unmentioned = {e for f in card.findings if f.id == "names-another" for e in f.evidence}
    found: dict[str, bool] = {}
    for c in names:
        missing = f"interview:{c.condition}:{c.name}" in unmentioned
        found[c.name] = found.get(c.name, True) and not missing
    return found


def _not_looked(
    report: Report | Absent, interview: Interview | Absent, card: CardReport | Absent
) -> Iterator[NotLooked]:
    for what, found in (("the weights", report), ("what it says", interview), ("the card", card)):
        if isinstance(found, Absent):
            yield NotLooked(what, found.reason)
    if not isinstance(report, Absent):
        coverage = report.coverage
        if coverage.elements_examined < coverage.elements:
            yield NotLooked(
                "numbers of the weights",
                f"{coverage.elements_examined:,} of {coverage.elements:,} were examined",
            )
    if not isinstance(interview, Absent):
        yield from (NotLooked("a condition of the interview", r) for r in interview.subjects[0].left_out)
        missing = sum(g.missing for s in interview.subjects for g in s.groups if g.language == "all")
        if missing:
            yield NotLooked("answers that were planned", f"{missing:,} did not come")
        if len(interview.subjects) == 1:
            yield NotLooked("a panel of relatives", "nobody else was asked the same")
