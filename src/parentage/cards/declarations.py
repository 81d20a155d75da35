"""A card report as CycloneDX declarations (ECMA-424, version 1.6): claims, evidence, conformance.

``conformance.score`` is 1 where the evidence supports a claim and 0 where it contradicts it; a claim of
another status has none. ``confidence`` is told in words: no rate is known for a single claim.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from parentage.cards.bill_of_materials import NAMESPACE
from parentage.records.absence import Absent
from parentage.records.card_report import CardReport, WeighedClaim

__all__ = ["declarations"]

_SCORES: Final[Mapping[str, float]] = {"supported": 1.0, "contradicted": 0.0}


def declarations(report: CardReport) -> dict[str, Any]:
    """The document; its one component is the model that the card is of."""
    name = report.reading.name
    shown = report.reading.locator if isinstance(name, Absent) else name
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, report.reading.sha256 + _audit(report))}",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [
                    {
                        "type": "application",
                        "name": str(report.tool.get("name", "parentage")),
                        "version": str(report.tool.get("version", "")),
                    }
                ]
            },
            "component": {"type": "machine-learning-model", "bom-ref": "model", "name": shown},
        },
        "declarations": {
            "assessors": [{"bom-ref": "assessor", "thirdParty": True}],
            "claims": [_claim(c, k) for k, c in enumerate(report.claims)],
            "evidence": [_evidence(c, k) for k, c in enumerate(report.claims)],
            "attestations": [
                {
                    "summary": _audit(report) or "no audit was given",
                    "assessor": "assessor",
                    "map": [_mapped(c, k) for k, c in enumerate(report.claims)],
                }
            ],
        },
    }


def _audit(report: CardReport) -> str:
    return "" if isinstance(report.audit, Absent) else report.audit.sentence


def _claim(weighed: WeighedClaim, number: int) -> dict[str, Any]:
    against = weighed.status == "contradicted"
    return {
        "bom-ref": f"claim-{number}",
        "target": "model",
        "predicate": f"{weighed.claim.kind}: {weighed.claim.value}",
        "reasoning": f"the card, line {weighed.claim.line}: {weighed.claim.words}",
        "counterEvidence" if against else "evidence": [f"evidence-{number}"],
    }


def _evidence(weighed: WeighedClaim, number: int) -> dict[str, Any]:
    return {
        "bom-ref": f"evidence-{number}",
        "propertyName": f"parentage:{weighed.status}",
        "description": weighed.reason,
    }


def _mapped(weighed: WeighedClaim, number: int) -> dict[str, Any]:
    key = "counterClaims" if weighed.status == "contradicted" else "claims"
    found: dict[str, Any] = {"requirement": f"claim-{number}", key: [f"claim-{number}"]}
    if weighed.status in _SCORES:
        found["conformance"] = {"score": _SCORES[weighed.status], "rationale": weighed.reason}
    rests = ", ".join(weighed.evidence) or "nothing that was measured"
    found["confidence"] = {"rationale": f"{weighed.status}; it rests on {rests}"}
    return found
