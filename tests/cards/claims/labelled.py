"""The labelled cards: what a careful person reads in them, written before there was a reader."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["FOLDER", "LabelledCard", "labelled_cards"]

FOLDER = Path(__file__).parents[2] / "fixtures" / "cards"


@dataclass(frozen=True, slots=True)
class LabelledCard:
    """One card: its text, and its claims as (kind, value)."""

    name: str
    text: str
    claims: frozenset[tuple[str, str]]
    held_out: bool


@cache
def labelled_cards() -> tuple[LabelledCard, ...]:
    """All of them in the order of the file."""
    labels = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))
    return tuple(
        LabelledCard(
            name,
            (FOLDER / f"{name}.md").read_text(encoding="utf-8"),
            frozenset((c["kind"], c["value"]) for c in entry["claims"]),
            entry["held_out"],
        )
        for name, entry in labels.items()
    )
