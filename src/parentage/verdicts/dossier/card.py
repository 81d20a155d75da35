"""What the card says beside the evidence, as findings: what it leaves out, and what it says otherwise.

Claims that one fact contradicts are one finding, however many they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from parentage.records.absence import Absent
from parentage.records.card_report import CardFinding, CardReport, WeighedClaim
from parentage.records.dossier import Confidence, Finding, KindAlone, Support
from parentage.records.report import Report
from parentage.verdicts.dossier.parents import shown_parent
from parentage.verdicts.dossier.scale import OBSERVED, OPEN, confidence_of_later, confidence_of_verdict
from parentage.verdicts.dossier.weights import DESCENT, LATER, descent_support

__all__ = ["card_alone", "card_findings", "undisclosed"]

_THEMES: Final = {
    "relation": "making",
    "base-model": "making",
    "merge-parent": "making",
    "merge-method": "making",
    "from-scratch": "origin",
    "training": "training",
    "merge-weight": "shares",
    "hyper-parameter": "settings",
    "parameters": "size",
    "architecture": "size",
    "benchmark": "scores",
}
_SENTENCES: Final = {
    "making": "The card tells of another making than the weights show.",
    "origin": "The card tells that the model was trained from scratch; the weights show an older model's.",
    "training": "The card tells of training; the weights show that none came after the merge or copy.",
    "untrained": "The card tells that nothing was trained; the weights were changed after the merge.",
    "shares": "The card tells of other shares than the weights show.",
    "settings": "The card tells of other settings of training than the weights show.",
    "size": "The card tells of another size or architecture than the files have.",
    "scores": "The card tells of scores that do not fit others that were given.",
}
MOST_WORDS: Final = 6
_THEME_FACTS: Final = {
    "training": LATER,
    "untrained": LATER,
    "settings": "rows that weight decay moved",
    "size": "the model's size",
    "scores": "the scores of benchmarks",
}
_HIGH: Final = frozenset({"making", "origin", "training", "untrained"})
_EXACT: Final = Confidence(
    "not-graded", "Replayed in every bit; how often that is so by chance was not measured."
)
_NOT_MEASURED: Final = Confidence("not-graded", "No error rate of this was measured.")
_FACTS: Final = {
    "licence-terms": "the licences that the cards tell",
    "licence-file": "the licences that the cards tell",
    "name-not-in-card": "names in the model's other files",
    "parent-after-child": "dates of publication",
}
_TOLD_ELSEWHERE: Final = frozenset({"undisclosed-parent", "merge-not-told", "names-another"})
_CLAIMS: Final = (
    "relation",
    "base-model",
    "from-scratch",
    "training",
    "denied",
    "merge-parent",
    "merge-weight",
)


def undisclosed(card: CardReport | Absent) -> dict[str, int]:
    """Parents by the evidence that the card does not name, with the number of the card's finding."""
    listed = () if isinstance(card, Absent) else card.findings
    return {name: k for k, f in enumerate(listed) if f.id == "undisclosed-parent" for name in f.about}


def card_findings(
    card: CardReport | Absent, report: Report | Absent, said: dict[str, Support]
) -> Iterator[Finding]:
    """``said``: for a parent, the support that the model's own words are."""
    if isinstance(card, Absent):
        return
    if not isinstance(report, Absent):
        for parent, number in undisclosed(card).items():
            yield _undisclosed(parent, number, card, report, said)
        yield from _contradicted(card, report)
    for k, finding in enumerate(card.findings):
        if finding.id not in _TOLD_ELSEWHERE:
            yield _passed_on(finding, k)
    yield from _changes(card)
    for k, line in enumerate(card.score_lines):
        yield Finding(
            f"scores-on-line:{k}",
            "scores-on-line",
            "information",
            line.sentence,
            Confidence("not-graded", "; ".join(line.assumptions) or "See the assumptions."),
            "the scores of benchmarks",
            (Support("card", line.sentence, (f"card.score_lines[{k}]",)),),
        )


def _undisclosed(
    parent: str, number: int, card: CardReport, report: Report, said: dict[str, Support]
) -> Finding:
    shown = shown_parent(parent, card)
    silent = Support("card", f"The card does not name {shown}.", (f"card.findings[{number}]",))
    own = (said[parent],) if parent in said else ()
    order = "Which of the two was first is not in the weights."
    first = (order,) if card.findings[number].sentence.endswith(order) else ()
    return Finding(
        f"undisclosed-parent:{parent}",
        "undisclosed-parent",
        "high",
        f"By the weights the model is made of {shown}, which its card does not name.",
        confidence_of_verdict(report),
        DESCENT,
        (descent_support(report), silent, *own),
        alternatives=(*first, "another place than the card and the files that were read may name it"),
    )


def _contradicted(card: CardReport, report: Report) -> Iterator[Finding]:
    themes: dict[str, list[int]] = {}
    for k, weighed in enumerate(card.claims):
        if weighed.status == "contradicted":
            themes.setdefault(_theme(weighed), []).append(k)
    untold = [k for k, f in enumerate(card.findings) if f.id == "merge-not-told"]
    if untold:
        themes.setdefault("making", [])
    for theme in (t for t in _SENTENCES if t in themes):
        yield _otherwise(theme, themes[theme], untold if theme == "making" else [], card, report)


def _theme(weighed: WeighedClaim) -> str:
    claim = weighed.claim
    if claim.kind == "denied":
        return "making" if claim.value == "merge" else "training"
    if (claim.kind, claim.value) == ("training", "none"):
        return "untrained"
    return _THEMES.get(claim.kind, "making")


def _otherwise(
    theme: str, claims: Sequence[int], untold: Sequence[int], card: CardReport, report: Report
) -> Finding:
    weighed = [card.claims[k] for k in claims]
    places = tuple(dict.fromkeys(f"audit.{e}" for w in weighed for e in w.evidence if _known(e, report)))
    by_card = theme in ("size", "scores") and not places
    reason = ". ".join(dict.fromkeys(w.reason.rstrip(".") for w in weighed)) or report.verdict.sentence
    cited = (*(f"card.claims[{k}]" for k in claims), *(f"card.findings[{k}]" for k in untold))
    own = Support(
        "card", _words(weighed) + (f" {reason[:1].upper()}{reason[1:]}." if by_card else ""), cited
    )
    weights = Support("weights", f"{reason.rstrip('.')}.", places or ("audit.verdict",))
    return Finding(
        f"card-says-otherwise:{theme}",
        "card-says-otherwise",
        "high" if theme in _HIGH else "medium",
        _SENTENCES[theme],
        _confidence(theme, report),
        _THEME_FACTS.get(theme, DESCENT),
        (own,) if by_card else (own, weights),
    )


def _words(weighed: Sequence[WeighedClaim]) -> str:
    """The card's words, each once, with the claims that rest on them."""
    if not weighed:
        return "It does not tell of a merge."
    by_words: dict[str, list[str]] = {}
    for w in weighed:
        by_words.setdefault(w.claim.words, []).append(f"{w.claim.kind} {w.claim.value}")
    told = [f"“{words}” ({', '.join(claims)})" for words, claims in by_words.items()]
    more = f"; and {len(told) - MOST_WORDS} more" if len(told) > MOST_WORDS else ""
    return f"It says {'; '.join(told[:MOST_WORDS])}{more}."


def _known(place: str, report: Report) -> bool:
    """Whether a card's evidence id is a field of the audit's report that is there."""
    head = place.split(".", maxsplit=1)[0]
    found = getattr(report, head, None)
    return place in (
        "verdict",
        "verdict.parents",
        "replay",
        "post_training",
        "direction",
        "quiet_rows",
    ) and (found is not None and not isinstance(found, Absent))


def _confidence(theme: str, report: Report) -> Confidence:
    if theme in ("training", "untrained"):
        return confidence_of_later(report)
    if theme in ("making", "origin", "shares"):
        return confidence_of_verdict(report)
    return {"size": OBSERVED, "settings": _EXACT}.get(theme, _NOT_MEASURED)


def _passed_on(finding: CardFinding, number: int) -> Finding:
    return Finding(
        f"{finding.id}:{number}",
        finding.id,
        finding.severity,
        finding.sentence,
        OBSERVED if finding.id in _FACTS else _NOT_MEASURED,
        _FACTS.get(finding.id, finding.id),
        (Support("card", finding.sentence, (f"card.findings[{number}]",)),),
    )


def _changes(card: CardReport) -> Iterator[Finding]:
    if isinstance(card.history, Absent):
        return
    told = [c for c in card.history.changes if c.claims]
    if not told:
        return
    listed = "; ".join(f"{c.when[:10]} {c.what}: {', '.join(c.claims[:4])}" for c in told[:8])
    more = f"; and {len(told) - 8} changes more" if len(told) > 8 else ""
    sentence = f"The card's claims were changed ({listed}{more})."
    yield Finding(
        "card-changed",
        "card-changed",
        "information",
        sentence,
        OBSERVED,
        "the history of the card",
        (Support("card", sentence, ("card.history",)),),
        alternatives=("dates of commits are set by who makes them",),
    )


def card_alone(card: CardReport | Absent) -> KindAlone:
    """What the card alone would have one believe."""
    if isinstance(card, Absent):
        return KindAlone("card", card, card)
    told = [f"{c.kind} {c.value}" for c in card.reading.claims if c.kind in _CLAIMS]
    listed = "; ".join(told[:8]) + (f"; and {len(told) - 8} more" if len(told) > 8 else "")
    sentence = f"It claims: {listed}." if told else "It claims nothing about how the model was made."
    return KindAlone("card", f"{sentence} A claim is no evidence of itself.", OPEN)
