"""A card report as one self-contained HTML page; the template engine escapes every value."""

from __future__ import annotations

from typing import Any, Final

from markupsafe import Markup

from parentage.records.absence import Absent
from parentage.records.card_report import CardReport, WeighedClaim
from parentage.reports.card_text import STATUS_ORDER
from parentage.reports.html import environment, own_text, policy

__all__ = ["CLAIMS_LIMIT", "render"]

# A page is for reading: claims beyond these are in the JSON report.
CLAIMS_LIMIT: Final = 500


def render(report: CardReport) -> str:
    """The page; equal reports give equal text."""
    return environment().get_template("card.html.jinja").render(_page(report)) + "\n"


def _page(report: CardReport) -> dict[str, Any]:
    style = Markup(own_text("report.css") + own_text("card.css"))
    name = report.reading.name
    return {
        "report": report,
        "style": style,
        "policy": policy(style, ""),
        "title": report.reading.locator if isinstance(name, Absent) else name,
        "counts": report.counts(),
        "groups": _groups(report),
        "left_out": max(0, len(report.claims) - CLAIMS_LIMIT),
    }


def _groups(report: CardReport) -> tuple[tuple[str, tuple[WeighedClaim, ...]], ...]:
    shown = sorted(report.claims, key=lambda c: STATUS_ORDER.index(c.status))[:CLAIMS_LIMIT]
    groups = ((s, tuple(c for c in shown if c.status == s)) for s in STATUS_ORDER)
    return tuple((status, claims) for status, claims in groups if claims)
