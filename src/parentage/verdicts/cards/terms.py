"""Licences of parents beside the model's own: what to look at, no legal advice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from parentage.cards.claims.licences import same_licence
from parentage.cards.model_card import WATCHED
from parentage.records.absence import Absent
from parentage.records.card import Claim
from parentage.records.card_report import CardFinding
from parentage.verdicts.cards.facts import Facts, Ruling
from parentage.verdicts.sentences import listing

__all__ = ["licence_findings", "weigh_licence"]

# What a parent's terms ask, and a child's licence that does not carry it on.
_CARRIES: Final[Mapping[str, str]] = {
    "forbids derivatives": r"(?!)",
    "forbids commercial use": r"(^|-)nc(-|$)|non-?commercial|research",
    "asks for the same licence on what is derived": r"gpl|-sa(-|$)",
    "has conditions of use and naming of its own": r"llama|gemma|qwen-research|openrail|deepseek",
}


def weigh_licence(claim: Claim, facts: Facts) -> Ruling:
    """A licence is what its giver says: only files beside the card, and the parents' terms, can be laid
    beside it. A file of another licence leaves the claim open, for either may be the one that holds."""
    agreeing = [name for name, told in facts.licences.items() if same_licence(claim.value, told)]
    if agreeing:
        return Ruling(
            "supported", f"{agreeing[0]} beside the card is the text of that licence", ("licence-files",)
        )
    if facts.licences:
        told = listing([f"{name} is the text of {other}" for name, other in facts.licences.items()])
        return Ruling("undetermined", f"beside the card, {told}", ("licence-files",))
    known = {p.name: p.terms() for p in facts.parents if not isinstance(p.reading, Absent)}
    if not known:
        return Ruling("not-checkable", "no measurement shows a licence; no parent's card was given")
    told = "; ".join(f"{name}: {', '.join(v) or 'no licence told'}" for name, v in known.items())
    return Ruling(
        "not-checkable", f"no measurement shows a licence. The parents' cards say {told}", ("licences",)
    )


def licence_findings(facts: Facts) -> Iterator[CardFinding]:
    """Terms of a parent that the model's own licence does not carry on."""
    own = facts.reading.values("licence")
    yield from _another_file(facts, own)
    carried = [o.lower() for o in (*own, *facts.licences.values())]
    for parent in facts.parents:
        if isinstance(parent.reading, Absent):
            continue
        for licence in parent.terms():
            for pattern, terms in WATCHED:
                if not re.search(pattern, licence.lower()):
                    continue
                if any(re.search(_CARRIES[terms], o) for o in carried):
                    continue
                yield CardFinding(
                    "licence-terms",
                    "medium",
                    f"The licence of {parent.name} ({licence}) {terms}; the card says "
                    f"{', '.join(own) or 'no licence'}. Whether that holds is for a lawyer to say.",
                    ("licences",),
                )


def _another_file(facts: Facts, own: Sequence[str]) -> Iterator[CardFinding]:
    """Licence files of which none is the one that the card names."""
    told = facts.licences
    if not told or any(same_licence(o, t) for o in own for t in told.values()):
        return
    files = listing([f"{name} is the text of {licence}" for name, licence in told.items()])
    yield CardFinding(
        "licence-file",
        "medium" if own else "information",
        f"Beside the card, {files}; the card says {', '.join(own) or 'no licence'}. Which holds is for "
        f"a lawyer to say.",
        ("licence-files",),
    )
