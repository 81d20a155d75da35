"""One version of a card, wherever it was kept."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MAX_CARD", "MOST_VERSIONS", "TextVersion"]

# A card of the hub's has rarely more than some dozens; each takes a request, or a process's answer.
MOST_VERSIONS = 200
MAX_CARD = 4 * 2**20


@dataclass(frozen=True, slots=True)
class TextVersion:
    """The card's text at a revision; ``when``: the commit's own date, which its maker can set."""

    revision: str
    when: str
    text: str
