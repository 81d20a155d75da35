"""Licences of parents beside the model's own: what to look at, no legal advice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from parentage.cards.model_card import WATCHED
from parentage.records.absence import Absent
from parentage.records.card import Claim
from parentage.records.card_report import CardFinding
from parentage.verdicts.cards.facts import Facts, Ruling

__all__ = ["licence_findings", "weigh_licence"]

# What a parent's terms ask, and a child's licence that does not carry it on.
_CARRIES: Final[Mapping[str, str]] = {
    "forbids derivatives": r"(?!)",
    "forbids commercial use": r"(^|-)nc(-|$)|non-?commercial|research",
    "asks for the same licence on what is derived": r"gpl|-sa(-|$)",
    "has conditions of use and naming of its own": r"llama|gemma|qwen-research|openrail|deepseek",
}


def weigh_licence(claim: Claim, facts: Facts) -> Ruling:
    """A licence is what its giver says; only the parents' terms can be laid beside it."""
    known = {
        p.name: p.reading.values("licence") for p in facts.parents if not isinstance(p.reading, Absent)
    }
    if not known:
        return Ruling("not-checkable", "no measurement shows a licence; no parent's card was given")
    told = "; ".join(f"{name}: {', '.join(v) or 'no licence told'}" for name, v in known.items())
    return Ruling(
        "not-checkable", f"no measurement shows a licence. The parents' cards say {told}", ("licences",)
    )


def licence_findings(facts: Facts) -> Iterator[CardFinding]:
    """Terms of a parent that the model's own licence does not carry on."""
    own = facts.reading.values("licence")
    for parent in facts.parents:
        if isinstance(parent.reading, Absent):
            continue
        for licence in parent.reading.values("licence"):
            for pattern, terms in WATCHED:
                if not re.search(pattern, licence.lower()):
                    continue
                if any(re.search(_CARRIES[terms], o.lower()) for o in own):
                    continue
                yield CardFinding(
                    "licence-terms",
                    "medium",
                    f"The licence of {parent.name} ({licence}) {terms}; the card says "
                    f"{', '.join(own) or 'no licence'}. Whether that holds is for a lawyer to say.",
                    ("licences",),
                )
