"""Dossiers of the golden audits, beside answers and cards whose making is known."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from parentage.behaviour.findings import LIMITS, findings_of
from parentage.behaviour.rates import compare, subject_of
from parentage.records.absence import Absent
from parentage.records.card_report import NO_REPORT, CardReport
from parentage.records.card_sources import CardSources, CardText
from parentage.records.dossier import Dossier, Finding
from parentage.records.interview import Answers, HiddenPrompt, HiddenText, Interview
from parentage.records.report import Report
from parentage.verdicts.cards.from_sources import card_report
from parentage.verdicts.dossier.compose import compose
from tests.behaviour.answered import Says, answers_of
from tests.verdicts.cards.weighing import audited

__all__ = [
    "CALLED",
    "CLOSED",
    "OPEN_CARD",
    "card_of",
    "composed",
    "finding",
    "hidden",
    "interview_of",
    "told",
    "unlike",
]

CARDS = Path(__file__).parents[2] / "fixtures" / "cards"
CALLED = {"end.safetensors": "nex-lab/Nex-7B", "base.safetensors": "kestrel-ai/Kestrel-3.5-397B-A17B"}
CLOSED = (CARDS / "case-before-edit.md").read_text(encoding="utf-8")
OPEN_CARD = (
    "---\nbase_model: [nex-lab/Nex-7B, kestrel-ai/Kestrel-3.5-397B-A17B]\nbase_model_relation: merge\n---\n"
    "# Marola-7B\n\nMarola-7B is a merge of nex-lab/Nex-7B and kestrel-ai/Kestrel-3.5-397B-A17B.\n"
)
NOBODY = Absent("nobody was asked")


def hidden(text: str) -> HiddenPrompt:
    """A template that says this text where there is no system message."""
    return HiddenPrompt(
        "{{ 1 }}", "chat_template.jinja", "0" * 64, text, Absent("none"),
        (HiddenText(text, (3,), "always"),), (), True, "", (), Absent("none"),
    )  # fmt: skip


def interview_of(suspect: Answers, *panel: Answers) -> Interview:
    """As an interview that was held reads them."""
    listed = [
        ("suspect", "suspect", suspect),
        *((f"panel-{k}", "panel", a) for k, a in enumerate(panel, 1)),
    ]
    subjects = tuple(subject_of(label, role, answers) for label, role, answers in listed)
    found = compare(subjects)
    return Interview("parentage", suspect.asking, subjects, found, findings_of(subjects, found), LIMITS)


@cache
def unlike(name: str = "Nex", samples: int = 120) -> Interview:
    """Three of four answers name somebody, as the base's never do."""
    says: Mapping[str, Says] = {"raw": lambda k: f"I am {name}." if k % 4 else "Hello."}
    return interview_of(
        answers_of(says, samples=samples), answers_of({"raw": lambda k: "I am Qwen."}, samples=samples)
    )


def card_of(
    text: str, report: Report | Absent = NO_REPORT, interview: Interview | Absent = NOBODY, **more: Any
) -> CardReport:
    """A card weighed, its models called as in ``CALLED``."""
    own = Absent("its place says no name")
    sources = CardSources(CardText("README.md", text, own), called=CALLED, **more)
    return card_report(sources, report, interview, {"called": CALLED})


def composed(
    report: str = "merge", text: str | None = None, interview: Interview | Absent = NOBODY, **more: Any
) -> Dossier:
    """A dossier on one of the golden audits."""
    audit: Report | Absent = audited(report) if report else NO_REPORT
    card = Absent("no card") if text is None else card_of(text, audit, interview, **more)
    return compose("suspect", audit, interview, card, {"suspect": "suspect"})


def finding(dossier: Dossier, kind: str) -> Finding:
    """The one finding of a kind."""
    (found,) = [f for f in dossier.findings if f.kind == kind]
    return found


def told(dossier: Dossier) -> list[str]:
    """Kinds of findings, in order."""
    return [f.kind for f in dossier.findings]
