"""What the model calls itself, beside what its card calls it. Weak evidence, and told as such.

A quarter of models name another maker at times (arXiv 2411.10683): a rate accuses nobody by itself, and
counts for more where a panel of relatives does not show it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from parentage.records.absence import Absent
from parentage.records.card_report import CardFinding
from parentage.records.interview import Comparison, Group, Interview, NameRate, Subject
from parentage.verdicts.cards.facts import Facts

__all__ = ["identity_findings"]

SUSPECT: Final = "suspect"
ALL: Final = "all"
# Below this a name is a slip; the lower end of its interval must reach it.
OFTEN: Final = 0.25
SURE: Final = 0.01


def identity_findings(facts: Facts) -> Iterator[CardFinding]:
    """Names that the model often gives as its own and that its card nowhere mentions."""
    if isinstance(facts.interview, Absent):
        return
    text = facts.card_text.casefold()
    for group, rate in _often(facts.interview):
        if rate.shown.casefold() in text or rate.name.casefold() in text:
            continue
        panel = _panel(facts.interview, group.condition, rate.name)
        unlike = bool(panel) and all(_more_often(c) for c in panel)
        yield CardFinding(
            "names-another",
            "medium" if unlike else "low",
            f"Asked who it is ({group.condition}), the model names {rate.shown} in {rate.claims} of "
            f"{group.answers} answers ({rate.share.low:.0%} to {rate.share.high:.0%}); the card does not "
            f"mention that name. {_beside(panel, unlike)}",
            (f"interview:{group.condition}:{rate.name}",),
        )


def _often(interview: Interview) -> Iterator[tuple[Group, NameRate]]:
    suspects: Iterator[Subject] = (s for s in interview.subjects if s.role == SUSPECT)
    for subject in suspects:
        for group in subject.groups:
            if group.language == ALL:
                yield from ((group, rate) for rate in group.names if rate.share.low >= OFTEN)


def _panel(interview: Interview, condition: str, name: str) -> list[Comparison]:
    """The suspect against each of the panel, in this condition."""
    return [
        c
        for c in interview.comparisons
        if c.kind == "panel" and c.name == name and c.first.endswith(f", {condition}")
    ]


def _more_often(found: Comparison) -> bool:
    """In the suspect than in the other, beyond chance (Holm over all comparisons)."""
    ours = found.first_claims * found.second_answers
    return ours > found.second_claims * found.first_answers and found.p_holm < SURE


def _beside(panel: list[Comparison], unlike: bool) -> str:
    if unlike:
        return "None of the panel does so as often. That is no proof of descent."
    if panel:
        return "Some of the panel do so too."
    return "No panel was asked, and a quarter of models name another maker at times."
