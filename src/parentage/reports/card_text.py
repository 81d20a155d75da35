"""A card report as text: findings, then claims by status with their words and reasons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from parentage.records.absence import Absent
from parentage.records.card_report import CardReport, WeighedClaim
from parentage.records.weight_history import WeightHistory
from parentage.reports.wording import clipped, visible

__all__ = ["STATUS_ORDER", "card_lines"]

# What a reader must see first.
STATUS_ORDER: Final = ("contradicted", "supported", "undetermined", "untested", "not-checkable")
WORDS: Final = 160
PROSE: Final = 1_200
# Of a version; the JSON lists all.
FILES: Final = 8


def card_lines(report: CardReport, *, limit: int = 0) -> Iterator[str]:
    """Lines of text; at most ``limit`` claims of each status, all when it is 0."""
    name = report.reading.name
    yield f"Card of {report.reading.locator if isinstance(name, Absent) else name}"
    audit = report.audit
    yield f"audit: {audit.reason if isinstance(audit, Absent) else clipped(audit.sentence, PROSE)}"
    counts = report.counts()
    yield f"{len(report.claims)} claims: " + ", ".join(f"{counts[s]} {s}" for s in STATUS_ORDER)
    for finding in report.findings:
        yield f"\n[{finding.severity}] {finding.id}: {clipped(finding.sentence, PROSE)}"
    for status in STATUS_ORDER:
        yield from _of_status(status, [c for c in report.claims if c.status == status], limit)
    yield from _rest(report)


def _weights(report: CardReport) -> Iterator[str]:
    """Weight files by revision, then card and weights side by side."""
    history = report.weights
    if isinstance(history, Absent):
        return
    yield f"\nweights: {len(history.versions)} versions in {history.revisions:,} revisions"
    for version in history.versions:
        yield f"  {visible(version.when)} {visible(version.revision[:12])} {version.change}"
        for file in version.files[:FILES]:
            digest = "not known" if isinstance(file.sha256, Absent) else file.sha256
            yield f"    {digest} {clipped(file.name, WORDS)} ({file.size:,} bytes)"
        if len(version.files) > FILES:
            yield f"    and {len(version.files) - FILES:,} more files"
    yield from _side_by_side(history)


def _proposed(report: CardReport) -> Iterator[str]:
    """What a model takes for claims."""
    found = report.proposed
    if isinstance(found, Absent):
        return
    model = "" if isinstance(found.model, Absent) else f" ({clipped(found.model, WORDS)})"
    more = sum(not c.read for c in found.claims)
    yield (
        f"\nproposed by a model at {clipped(found.locator, WORDS)}{model}, not weighed: "
        f"{len(found.claims)} claims, {more} of which the rules did not read; {found.dropped} dropped"
    )
    for claim in found.claims:
        sign = "" if claim.read else "  (not read by the rules)"
        yield f"  {claim.kind} {clipped(claim.value, WORDS)}{sign}"
        yield f"    says (line {claim.line}): {clipped(claim.words, WORDS)}"
    yield from (f"  {clipped(limit, PROSE)}" for limit in found.limits)


def _side_by_side(history: WeightHistory) -> Iterator[str]:
    yield "card and weights:"
    for moment in history.moments:
        card = f"{moment.sentences} sentences changed" if moment.card_changed else "as before"
        at = f"{visible(moment.when)} {visible(moment.revision[:12])}"
        yield f"  {at}  weights {moment.weights}, card {card}"
        for word, claims in (("came", moment.claims_came), ("went", moment.claims_went)):
            if claims:
                yield f"    claims that {word}: {clipped(', '.join(claims), PROSE)}"
    yield from (f"  {clipped(limit, PROSE)}" for limit in history.limits)


def _of_status(status: str, claims: list[WeighedClaim], limit: int) -> Iterator[str]:
    if not claims:
        return
    yield f"\n{status}"
    for weighed in claims[: limit or None]:
        claim = weighed.claim
        yield f"  {claim.kind} {clipped(claim.value, WORDS)}"
        yield f"    says (line {claim.line}): {clipped(claim.words, WORDS)}"
        yield f"    {clipped(weighed.reason, PROSE)}"
    if limit and len(claims) > limit:
        yield f"  and {len(claims) - limit:,} more (--limit 0 lists all)"


def _rest(report: CardReport) -> Iterator[str]:
    for line in report.score_lines:
        yield f"\nscores: {clipped(line.sentence, PROSE)}"
    yield from _weights(report)
    if not isinstance(report.history, Absent):
        yield f"\nhistory: {len(report.history.versions)} versions of the card"
        for change in report.history.changes:
            at = f"{visible(change.when)} {visible(change.revision[:12])}"
            yield f"  {at} {visible(change.what)}: {clipped(change.text, PROSE)}"
            if not isinstance(change.before, Absent):
                yield f"    before: {clipped(change.before, PROSE)}"
    yield from _proposed(report)
    if not isinstance(report.honest, Absent):
        yield "\nWhat the evidence alone would let the card say:"
        yield from (f"  {line}" for line in report.honest.front_matter.splitlines())
        yield f"  {clipped(report.honest.paragraph, PROSE)}"
    yield ""
    yield from (f"limit: {clipped(limit, PROSE)}" for limit in report.limits)
