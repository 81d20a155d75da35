"""What a model card says: claims and scores, each with the words it rests on and where they stand.

A claim is what somebody wrote, not what is so. ``line`` counts from 1; ``offset`` is the number of
characters before the words in the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent
from parentage.records.findings import NOT_MEASURED

__all__ = [
    "KINDS",
    "NO_CARD_REVISION",
    "CardReading",
    "Claim",
    "Score",
]

NO_CARD_REVISION = Absent("a file, which knows of no revisions")

# In the order in which reports tell them.
KINDS = (
    "base-model",
    "relation",
    "from-scratch",
    "training",
    "denied",
    "merge-method",
    "merge-parent",
    "merge-weight",
    "hyper-parameter",
    "parameters",
    "architecture",
    "licence",
    "language",
    "benchmark",
    "inference",
    "maker",
    "upload",
)


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: its ``kind`` (of ``KINDS``) and ``value`` in the ids of docs/cards.md.

    ``source``: front-matter, prose, table, recipe or implied (said by no sentence of its own: a base model
    and a training together say fine-tune). ``rule``: the language whose rule read it, or "any".
    """

    kind: str
    value: str
    words: str
    line: int
    offset: int
    source: str
    rule: str = "any"


@dataclass(frozen=True, slots=True)
class Score:
    """One cell of a benchmark table; ``value`` as printed, ``error`` its standard error if printed.

    ``model`` is the header's text, empty for tables of one model; ``own``: it is this model's.
    """

    model: str
    benchmark: str
    value: float
    line: int
    offset: int
    source: str
    own: bool
    error: float | Absent = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class CardReading:
    """All that the rules found in one card. ``limits``: what of it was not read, and why."""

    locator: str
    revision: str | Absent
    sha256: str
    characters: int
    name: str | Absent
    claims: tuple[Claim, ...]
    scores: tuple[Score, ...]
    limits: tuple[str, ...] = ()

    def values(self, kind: str) -> tuple[str, ...]:
        """Values of the claims of one kind, in the order of the card."""
        return tuple(claim.value for claim in self.claims if claim.kind == kind)
