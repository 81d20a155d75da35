"""A dossier as text: findings with what supports them, then what each kind alone would have concluded."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from parentage.records.absence import Absent
from parentage.records.dossier import Confidence, Dossier, Finding, KindAlone, Support
from parentage.reports.wording import clipped

__all__ = [
    "GRADE_WORDS",
    "KIND_WORDS",
    "confidence_words",
    "first_told",
    "ratio_words",
    "render_text",
    "summary",
]

PROSE: Final = 1_600
NAME: Final = 160
PLACES: Final = 8
GRADE_WORDS: Final = {
    "observed": "observed directly",
    "extremely-strong": "extremely strong support",
    "very-strong": "very strong support",
    "strong": "strong support",
    "moderately-strong": "moderately strong support",
    "moderate": "moderate support",
    "weak": "weak support",
    "none": "no support either way",
    "not-graded": "not graded",
}
KIND_WORDS: Final = {
    "weights": "The weights",
    "behaviour": "What it says",
    "card": "Its card",
}


def ratio_words(confidence: Confidence) -> str:
    """The bound of the likelihood ratio; empty where none is known."""
    if isinstance(confidence.ratio, Absent):
        return ""
    bound = "at most" if confidence.bound == "at-most" else "at least"
    return f"likelihood ratio {bound} {_figures(confidence)}"


def _figures(confidence: Confidence) -> str:
    # Never rounded towards the stronger claim: down from below, up from above.
    ratio = confidence.ratio
    assert not isinstance(ratio, Absent)
    if ratio < 10:
        step = 0.1
        whole = int(ratio / step) + (confidence.bound == "at-most" and ratio % step > 0)
        return f"{whole * step:.1f}"
    return f"{int(ratio) + (confidence.bound == 'at-most' and ratio % 1 > 0):,}"


def confidence_words(confidence: Confidence) -> str:
    """The grade, with its ratio."""
    ratio = ratio_words(confidence)
    limit = "at most " if confidence.bound == "at-most" and ratio else ""
    return limit + GRADE_WORDS[confidence.grade] + (f" ({ratio})" if ratio else "")


def summary(dossier: Dossier) -> str:
    """How many findings rest on how many facts."""
    n, facts = len(dossier.findings), len(dossier.facts())
    if n == 0:
        return "No findings."
    by = {
        s: sum(f.severity == s for f in dossier.findings) for s in ("high", "medium", "low", "information")
    }
    counted = ", ".join(f"{count} {severity}" for severity, count in by.items() if count)
    plural = "s" if n != 1 else ""
    return f"{n} finding{plural} ({counted}), resting on {facts} fact{'s' if facts != 1 else ''}."


def render_text(dossier: Dossier, width: int = 100) -> str:
    """The whole dossier, a line feed at its end."""
    return "\n".join(_wrapped(_lines(dossier), width)) + "\n"


def _wrapped(lines: Iterator[str], width: int) -> Iterator[str]:
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()))
        yield from textwrap.wrap(line, width, subsequent_indent=indent + "  ", break_on_hyphens=False) or [
            ""
        ]


def _lines(dossier: Dossier) -> Iterator[str]:
    yield f"DOSSIER OF {clipped(dossier.suspect, NAME)}"
    yield summary(dossier)
    first = first_told(dossier.findings)
    for number, finding in enumerate(dossier.findings, 1):
        yield ""
        yield from _finding(number, finding, first[finding.confidence.basis])
    yield ""
    yield "What each kind of evidence alone would have concluded"
    for alone in dossier.alone:
        yield from _alone(alone)
    if dossier.not_looked_at:
        yield ""
        yield "What this does not rest on"
        for left in dossier.not_looked_at:
            yield f"  {clipped(left.what, NAME)}: {clipped(left.reason, PROSE)}"
    yield ""
    yield "Limits"
    yield from (f"  {clipped(limit, PROSE)}" for limit in dossier.limits)
    if not isinstance(dossier.audit, Absent):
        yield from (f"  {clipped(limit, PROSE)}" for limit in dossier.audit.verdict.limits)


def first_told(findings: Sequence[Finding]) -> dict[str, int]:
    """The number of the first finding that rests on each basis of confidence: it alone tells it whole."""
    found: dict[str, int] = {}
    for number, finding in enumerate(findings, 1):
        found.setdefault(finding.confidence.basis, number)
    return found


def _finding(number: int, finding: Finding, first: int) -> Iterator[str]:
    basis = clipped(finding.confidence.basis, PROSE) if number == first else f"As of finding {first}."
    yield f"{number}. [{finding.severity}] {clipped(finding.sentence, PROSE)}"
    yield f"   sure: {confidence_words(finding.confidence)}. {basis}"
    yield f"   fact: {clipped(finding.fact, NAME)}"
    for support in finding.supports:
        yield from _support(support, "")
    for support in finding.against:
        yield from _support(support, "against: ")
    for other in finding.alternatives[:PLACES]:
        yield f"   may also be: {clipped(other, PROSE)}"


def _support(support: Support, beside: str) -> Iterator[str]:
    yield f"   {beside}{KIND_WORDS[support.kind]}: {clipped(support.says, PROSE)}"
    if support.evidence:
        more = len(support.evidence) - PLACES
        listed = ", ".join(clipped(e, NAME) for e in support.evidence[:PLACES])
        yield f"     evidence: {listed}{f' and {more} more' if more > 0 else ''}"


def _alone(alone: KindAlone) -> Iterator[str]:
    if isinstance(alone.conclusion, Absent):
        yield f"  {KIND_WORDS[alone.kind]}: nothing ({clipped(alone.conclusion.reason, PROSE)})"
        return
    sure = "" if isinstance(alone.confidence, Absent) else f" [{confidence_words(alone.confidence)}]"
    yield f"  {KIND_WORDS[alone.kind]}: {clipped(alone.conclusion, PROSE)}{sure}"
