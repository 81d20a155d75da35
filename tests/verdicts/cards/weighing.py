"""Cards weighed against the golden evidence, and against readings with one field changed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from parentage import api
from parentage.cards.claims.reading import read_card
from parentage.records.card_report import CardReport
from parentage.records.report import Report
from parentage.verdicts.cards.examine import examine_card
from parentage.verdicts.cards.facts import Facts

__all__ = ["CALLED", "audited", "status", "weighed"]

SAVED = Path(__file__).parents[2] / "golden" / "saved"
CALLED = {"end.safetensors": "acme/Corvid-7B-Chat", "base.safetensors": "acme/Corvid-7B"}


@cache
def audited(name: str) -> Report:
    """The report of one of the golden cases."""
    return api.load_report(SAVED / f"{name}.report.json")


def weighed(text: str, report: Report | None = None, **more: Any) -> CardReport:
    """A card called Finch-7B, weighed; ``more``: fields of the facts."""
    facts = Facts(read_card(f"# Finch-7B\n\n{text}\n"), text, called=CALLED)
    if report is not None:
        facts = replace(facts, report=report)
    return examine_card(replace(facts, **more), {})


def status(report: CardReport, kind: str, value: str) -> str:
    """The status of a claim."""
    (found,) = [w.status for w in report.claims if (w.claim.kind, w.claim.value) == (kind, value)]
    return found
