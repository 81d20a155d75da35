"""What the weights say, as findings: what the suspect is made of, what came after, what it was before."""

from __future__ import annotations

from collections.abc import Iterator

from parentage.records.absence import Absent
from parentage.records.dossier import Confidence, Finding, KindAlone, Support
from parentage.records.report import Report
from parentage.verdicts.dossier.scale import OBSERVED, OPEN, confidence_of_later, confidence_of_verdict

__all__ = ["DESCENT", "descent_support", "weights_alone", "weights_findings"]

DESCENT = "what the weights are made of"
LATER = "what happened to the weights afterwards"


def descent_support(report: Report) -> Support:
    """The verdict, as a support of whatever rests on it."""
    places = ["audit.verdict"]
    if not isinstance(report.replay, Absent) and report.verdict.status == "supported":
        places.append("audit.replay")
    return Support("weights", report.verdict.sentence, tuple(places))


def weights_findings(report: Report | Absent) -> Iterator[Finding]:
    """All that the weights alone carry."""
    if isinstance(report, Absent):
        return
    yield _made_of(report)
    if report.post_training.status == "detected":
        yield _later(report)
    if not isinstance(report.previous, Absent):
        earlier = Support("weights", report.previous.sentence, ("audit.previous",))
        yield Finding(
            "earlier-upload",
            "earlier-upload",
            "information",
            report.previous.sentence,
            OBSERVED,
            "how it differs from its earlier upload",
            (earlier,),
        )


def _made_of(report: Report) -> Finding:
    settled = report.verdict.status == "supported"
    return Finding(
        "made-of",
        "made-of" if settled else "not-settled",
        "information",
        report.verdict.sentence,
        confidence_of_verdict(report),
        DESCENT,
        (descent_support(report),),
        alternatives=tuple(
            f"{rival.relation}: {rival.why_excluded.reason}"
            for rival in report.verdict.rivals
            if isinstance(rival.why_excluded, Absent)
        ),
    )


def _later(report: Report) -> Finding:
    after = report.post_training
    sentence = "After the merge was stored its weights were changed, as by training."
    return Finding(
        "changed-later",
        "changed-later",
        "information",
        sentence,
        confidence_of_later(report),
        LATER,
        (Support("weights", sentence, ("audit.post_training",)),),
        alternatives=tuple(
            f"{rival.cause}: {rival.why_excluded.reason}"
            for rival in after.rivals
            if isinstance(rival.why_excluded, Absent)
        ),
    )


def weights_alone(report: Report | Absent) -> KindAlone:
    """What the audit would have concluded by itself."""
    if isinstance(report, Absent):
        return KindAlone("weights", report, report)
    confidence: Confidence = OPEN
    if report.verdict.status != "undetermined":
        confidence = confidence_of_verdict(report)
    return KindAlone("weights", report.verdict.sentence, confidence)
