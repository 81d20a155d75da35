"""A dossier as one self-contained page: no script, no network, every value escaped by the template engine.

Each piece of evidence that a finding rests on stands once, under an id, and findings link to it.
"""

from __future__ import annotations

from typing import Any, Final

from markupsafe import Markup

from parentage.records.absence import Absent
from parentage.records.dossier import Dossier
from parentage.reports.dossier_places import excerpt
from parentage.reports.dossier_text import GRADE_WORDS, KIND_WORDS, confidence_words, first_told, summary
from parentage.reports.html import environment, own_text, policy

__all__ = ["FINDINGS_LIMIT", "PLACES_LIMIT", "render"]

# A page is for reading: more findings and places than these are in the JSON.
FINDINGS_LIMIT: Final = 300
PLACES_LIMIT: Final = 24


def render(dossier: Dossier) -> str:
    """The page; equal dossiers give equal text."""
    return environment().get_template("dossier.html.jinja").render(_page(dossier)) + "\n"


def _page(dossier: Dossier) -> dict[str, Any]:
    style = Markup(own_text("report.css") + own_text("dossier.css"))
    shown = dossier.findings[:FINDINGS_LIMIT]
    cited = list(dict.fromkeys(p for f in shown for p in f.evidence()))
    numbers = {place: k for k, place in enumerate(cited, 1)}
    return {
        "dossier": dossier,
        "style": style,
        "policy": policy(style, ""),
        "headline": _headline(dossier),
        "summary": summary(dossier),
        "findings": shown,
        "first": first_told(shown),
        "left_out": len(dossier.findings) - len(shown),
        "numbers": numbers,
        "places": [(numbers[place], place, excerpt(dossier, place)) for place in cited],
        "places_limit": PLACES_LIMIT,
        "kinds": KIND_WORDS,
        "grades": GRADE_WORDS,
        "confidence": confidence_words,
        "verdict_limits": () if isinstance(dossier.audit, Absent) else dossier.audit.verdict.limits,
    }


def _headline(dossier: Dossier) -> str:
    """What the weights say stands first; without them, that they were not looked at."""
    if isinstance(dossier.audit, Absent):
        return "The weights were not examined"
    return dossier.audit.verdict.sentence
