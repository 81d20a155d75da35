"""Precision and recall of the reader, kind by kind, against the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from parentage.cards.claims.reading import read_card
from parentage.cards.claims.sentences import short_name
from tests.cards.claims.labelled import LabelledCard

__all__ = ["Score", "compare", "found_in", "score"]


@dataclass(frozen=True, slots=True)
class Score:
    """Claims found that are labelled, found in all, and labelled in all."""

    right: int
    found: int
    labelled: int


def _normal(kind: str, value: str) -> str:
    if kind in ("base-model", "merge-parent"):
        return short_name(value)
    if kind in ("merge-weight", "benchmark", "hyper-parameter"):
        name, _, number = value.rpartition("=")
        try:
            return f"{short_name(name)}={float(number):.6g}"
        except ValueError:
            pass
    return value.casefold()


def found_in(card: LabelledCard) -> set[tuple[str, str]]:
    """What the reader finds in a card."""
    return {(c.kind, _normal(c.kind, c.value)) for c in read_card(card.text).claims}


def compare(card: LabelledCard) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """(missed, invented)."""
    wanted = {(kind, _normal(kind, value)) for kind, value in card.claims}
    found = found_in(card)
    return wanted - found, found - wanted


def score(cards: Iterable[LabelledCard]) -> dict[str, Score]:
    """By kind, and of all kinds as ``all``."""
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for card in cards:
        labelled = {(kind, _normal(kind, value)) for kind, value in card.claims}
        got = found_in(card)
        for counter, claims in ((right, labelled & got), (found, got), (wanted, labelled)):
            counter.update(kind for kind, _ in claims)
            counter["all"] += len(claims)
    return {kind: Score(right[kind], found[kind], wanted[kind]) for kind in sorted({*found, *wanted})}
