"""Every claim of a card against the facts: one status and one reason for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from parentage.records.absence import Absent
from parentage.records.card import Claim
from parentage.records.card_report import AuditSummary, WeighedClaim
from parentage.verdicts.cards.descent import (
    weigh_denied_merge,
    weigh_origin,
    weigh_relation,
    weigh_scratch,
)
from parentage.verdicts.cards.facts import Facts, Ruling
from parentage.verdicts.cards.recipes import weigh_method, weigh_weight
from parentage.verdicts.cards.scores import weigh_score
from parentage.verdicts.cards.sizes import weigh_architecture, weigh_parameters
from parentage.verdicts.cards.terms import weigh_licence
from parentage.verdicts.cards.training import weigh_denied_training, weigh_setting, weigh_training
from parentage.verdicts.cards.uploads import weigh_upload

__all__ = ["audit_summary", "weigh_claims"]

# What needs an audit to be weighed at all.
_OF_WEIGHTS: Final = frozenset(
    {
        "base-model",
        "relation",
        "from-scratch",
        "training",
        "merge-method",
        "merge-parent",
        "merge-weight",
        "parameters",
    }
)
_NO_TRACE: Final[Mapping[str, str]] = {
    "language": "weights do not show which languages a model was meant for",
    "inference": "how a model is run leaves no trace in its weights",
    "maker": "weights do not show who made them",
}


def weigh_claims(facts: Facts) -> tuple[WeighedClaim, ...]:
    """All claims in the order of the card's reading."""
    found = []
    for claim in facts.reading.claims:
        ruling = _weigh(claim, facts)
        found.append(WeighedClaim(claim, ruling.status, ruling.reason, ruling.evidence))
    return tuple(found)


def _weigh(claim: Claim, facts: Facts) -> Ruling:
    if claim.kind in _NO_TRACE:
        return Ruling("not-checkable", _NO_TRACE[claim.kind])
    of_weights = claim.kind in _OF_WEIGHTS or (claim.kind == "denied" and claim.value == "merge")
    if of_weights and isinstance(facts.report, Absent):
        return Ruling("untested", facts.report.reason)
    if claim.kind == "denied":
        return weigh_denied_merge(facts) if claim.value == "merge" else weigh_denied_training(claim, facts)
    return _RULES[claim.kind](claim, facts)


_RULES: Final[Mapping[str, Callable[[Claim, Facts], Ruling]]] = {
    "base-model": weigh_origin,
    "merge-parent": weigh_origin,
    "relation": weigh_relation,
    "from-scratch": weigh_scratch,
    "training": weigh_training,
    "merge-method": weigh_method,
    "merge-weight": weigh_weight,
    "hyper-parameter": weigh_setting,
    "parameters": weigh_parameters,
    "architecture": weigh_architecture,
    "licence": weigh_licence,
    "benchmark": weigh_score,
    "upload": weigh_upload,
}


def audit_summary(facts: Facts) -> AuditSummary | Absent:
    """The audit that was weighed against, in short."""
    if isinstance(facts.report, Absent):
        return facts.report
    verdict = facts.report.verdict
    return AuditSummary(
        facts.report.suspect.locator,
        verdict.relation,
        verdict.status,
        verdict.sentence,
        facts.report.post_training.status,
    )
