"""From a card and what was given with it to one report: read, weigh, say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parentage import __version__
from parentage.records.absence import Absent
from parentage.records.card_report import NO_HISTORY, CardHistory, CardReport
from parentage.verdicts.cards.facts import Facts
from parentage.verdicts.cards.honest import honest_card
from parentage.verdicts.cards.omissions import card_findings
from parentage.verdicts.cards.scores import score_lines
from parentage.verdicts.cards.weigh import audit_summary, weigh_claims

__all__ = ["examine_card"]


def examine_card(
    facts: Facts, asked: Mapping[str, Any], history: CardHistory | Absent = NO_HISTORY
) -> CardReport:
    """Weigh a reading; nothing is read from anywhere here."""
    return CardReport(
        tool={"name": "parentage", "version": __version__},
        asked=asked,
        reading=facts.reading,
        audit=audit_summary(facts),
        claims=weigh_claims(facts),
        findings=card_findings(facts),
        score_lines=score_lines(facts),
        history=history,
        honest=honest_card(facts),
        limits=_limits(facts),
        weights=facts.weights,
    )


def _limits(facts: Facts) -> tuple[str, ...]:
    found = [
        "A card is read by rules, which miss claims and misread some: each is shown with its words "
        "(docs/cards.md has the rates).",
        "Statuses are about files: what somebody meant or knew is no part of them.",
    ]
    if isinstance(facts.report, Absent):
        found.append("Without evidence of an audit no claim about the weights was weighed.")
    return (*found, *facts.reading.limits)
