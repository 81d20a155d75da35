"""What answers share with a published text: the records of a recital."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from parentage.records.absence import Absent

__all__ = ["NearPassage", "Part", "PassageRatio", "Recital", "Run"]


@dataclass(frozen=True, slots=True)
class Run:
    """Words that an answer shares with a published text, one after the other; ``answers`` that have it."""

    words: int
    said: str
    written: str
    answers: int
    condition: str


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a passage's words; ``same``: the other side has them, too."""

    text: str
    same: bool


@dataclass(frozen=True, slots=True)
class NearPassage:
    """A passage that is nearly a published text's: ``same`` words are equal, in order, on both sides."""

    same: int
    words_said: int
    words_written: int
    said: tuple[Part, ...]
    written: tuple[Part, ...]
    answers: int
    condition: str


@dataclass(frozen=True, slots=True)
class PassageRatio:
    """A passage's log-probability (natural, of all its tokens) to the suspect and to one of the panel."""

    passage: str
    label: str
    suspect: float
    panel: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Recital:
    """What answers share with a published text. ``longest``: words of the longest run, by who was asked."""

    source: str
    longest: Mapping[str, int]
    runs: tuple[Run, ...]
    panel_runs: Mapping[str, tuple[Run, ...]]
    ratios: tuple[PassageRatio, ...] | Absent
    near: tuple[NearPassage, ...] = ()
    panel_near: Mapping[str, tuple[NearPassage, ...]] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
