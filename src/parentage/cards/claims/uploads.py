"""What the card says of its own weight files: replaced, or an earlier upload was the wrong one."""

from __future__ import annotations

from collections.abc import Iterator

from parentage.cards.claims.finding import Prose
from parentage.records.card import Claim

__all__ = ["upload_claims"]


def upload_claims(prose: Prose) -> Iterator[Claim]:
    """One claim, ``replaced``, for each sentence that says so; a denial of it is none."""
    for said, _ in prose.said("upload"):
        if not said.denied:
            yield prose.claim(said, "upload", said.rule.value)
