"""How the card says that the weights came about: from scratch, trained how, or not trained."""

from __future__ import annotations

from collections.abc import Iterator

from parentage.cards.claims.finding import Prose
from parentage.records.card import Claim

__all__ = ["scratch_claims", "training_claims"]


def scratch_claims(prose: Prose) -> Iterator[Claim]:
    """Trained from scratch: yes, or no where it is denied."""
    for said, _ in prose.said("from-scratch"):
        yield prose.claim(said, "from-scratch", "no" if said.denied else said.rule.value)


def training_claims(prose: Prose) -> Iterator[Claim]:
    """Kinds of training; ``none`` where the card says that there was none, ``denied`` for single kinds.

    The patterns of ``none`` hold their own negation, and what they cover is no denial of a kind.
    """
    found = list(prose.said("training"))
    none = [said for said, _ in found if said.rule.value == "none"]
    for said in none:
        yield prose.claim(said, "training", "none")
    for said, _ in found:
        covered = any(
            n.sentence is said.sentence
            and n.match.start() <= said.match.start()
            and said.match.end() <= n.match.end()
            for n in none
        )
        if said.rule.value == "none" or covered:
            continue
        yield prose.claim(said, "denied" if said.denied else "training", said.rule.value)
