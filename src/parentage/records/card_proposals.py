"""What a model behind an endpoint proposes as claims of a card: shown, marked, and never weighed."""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent

__all__ = ["NO_READER", "Proposals", "ProposedClaim"]

NO_READER = Absent("no second reader was asked")


@dataclass(frozen=True, slots=True)
class ProposedClaim:
    """A claim that a model proposes; ``words`` stand in the card at ``line``.

    ``read``: the rules read the same claim.
    """

    kind: str
    value: str
    words: str
    line: int
    read: bool


@dataclass(frozen=True, slots=True)
class Proposals:
    """Of one reader. ``dropped``: proposals of no known kind, or whose words the card does not have.

    ``pieces`` of the card were given to it, of which ``unread`` came back in no form that was asked for.
    """

    locator: str
    model: str | Absent
    pieces: int
    unread: int
    dropped: int
    claims: tuple[ProposedClaim, ...]
    limits: tuple[str, ...] = ()
