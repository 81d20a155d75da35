"""What the card leaves out: parents, a merge, names that the files carry, dates that do not fit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from parentage.cards.claims.sentences import short_name
from parentage.records.absence import Absent
from parentage.records.card_report import CardFinding
from parentage.verdicts.cards.facts import Facts
from parentage.verdicts.cards.identity import identity_findings
from parentage.verdicts.cards.terms import licence_findings
from parentage.verdicts.cards.uploads import upload_findings
from parentage.verdicts.sentences import listing

__all__ = ["card_findings"]


def card_findings(facts: Facts) -> tuple[CardFinding, ...]:
    """All findings, severest first."""
    found = [
        *_undisclosed(facts),
        *_merge_not_told(facts),
        *licence_findings(facts),
        *_names(facts),
        *identity_findings(facts),
        *_dates(facts),
        *upload_findings(facts),
    ]
    order = ("high", "medium", "low", "information")
    return tuple(sorted(found, key=lambda f: order.index(f.severity)))


def _undisclosed(facts: Facts) -> Iterator[CardFinding]:
    unnamed = [p for p in facts.verdict_parents() if not _mentioned(p, facts)]
    if not unnamed:
        return
    names = listing([facts.shown(p) for p in unnamed])
    yield CardFinding(
        "undisclosed-parent",
        "high",
        f"By the evidence the model has weights from {names}, which the card does not name."
        + _first(facts, unnamed),
        ("verdict",),
        tuple(unnamed),
    )


def _first(facts: Facts, names: list[str]) -> str:
    if all(facts.first_came(n) for n in names):
        return ""
    return " Which of the two was first is not in the weights."


def _mentioned(parent: str, facts: Facts) -> bool:
    """Anywhere in the card, or declared in another file: names count in the card's favour."""
    names = next((n for name, n in facts.inputs() if name == parent), frozenset({short_name(parent)}))
    text = facts.card_text.casefold()
    declared = {short_name(d) for d in facts.declared}
    return any(
        name in declared or re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text)
        for name in sorted(names)
        if name
    )


def _merge_not_told(facts: Facts) -> Iterator[CardFinding]:
    told = {
        *facts.reading.values("relation"),
        *(
            ("merge",)
            if facts.reading.values("merge-parent") or facts.reading.values("merge-method")
            else ()
        ),
    }
    if not facts.is_merge or "merge" in told:
        return
    said = "a fine-tune" if "finetune" in told or facts.reading.values("training") else "no merge"
    yield CardFinding(
        "merge-not-told",
        "high",
        f"{facts.audit.verdict.sentence} The card tells of {said}.",
        ("verdict", "replay"),
    )


def _names(facts: Facts) -> Iterator[CardFinding]:
    own = "" if isinstance(facts.reading.name, Absent) else short_name(facts.reading.name)
    text = facts.card_text.casefold()
    unsaid = [
        n for n in facts.declared if short_name(n) not in text and short_name(n) != own and short_name(n)
    ]
    if unsaid:
        yield CardFinding(
            "name-not-in-card",
            "medium",
            f"Other files of the model name {listing(unsaid[:8])}, which the card does not.",
            ("declared",),
        )


def _dates(facts: Facts) -> Iterator[CardFinding]:
    own = _own_date(facts)
    for parent in facts.parents if own else ():
        if isinstance(parent.published, str) and parent.published[:10] > own[:10]:
            yield CardFinding(
                "parent-after-child",
                "information",
                f"{parent.name} was published on {parent.published}, after the model ({own}): it was made "
                f"from an earlier copy of it, or the other way round.",
                ("dates",),
            )


def _own_date(facts: Facts) -> str:
    """When the model was there at the latest; "" where nothing tells.

    The history's first weights tell it too: a history that was begun anew has later dates, not earlier
    ones, unless its maker set them so. Which of two came first is never concluded from them.
    """
    if isinstance(facts.published, str):
        return facts.published
    if isinstance(facts.weights, Absent):
        return ""
    first = facts.weights.first
    # Folders given as versions have no dates.
    if first is None or not first.when[:10]:
        return ""
    return f"{first.when[:10]}, the date of its first weights in its own history"
