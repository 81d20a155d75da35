"""What a card was read from and weighed with: texts word for word, so that its claims can be read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from parentage.records.absence import Absent
from parentage.records.card import NO_CARD_REVISION, Score
from parentage.records.weight_history import NO_WEIGHTS, WeightSources

__all__ = [
    "NO_DATE",
    "SCHEMA",
    "VERSION",
    "CardSources",
    "CardText",
    "LicenceText",
    "ParentText",
    "VersionText",
    "Versions",
]

SCHEMA = "parentage.card-sources"
VERSION = 1
NO_DATE = Absent("no date of the model was given")
NO_VERSIONS = Absent("no history of the card was given")
NO_PARENT_CARD = Absent("its card was not given")


@dataclass(frozen=True, slots=True)
class LicenceText:
    """A licence file that lies beside a card, as it is; a text longer than any licence is cut."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class CardText:
    """One card; ``name``: what its place says that the model is called. ``config``, ``licences``: files
    beside it. ``limits``: what of them was not read."""

    locator: str
    text: str
    name: str | Absent
    revision: str | Absent = NO_CARD_REVISION
    config: Mapping[str, Any] = field(default_factory=dict)
    licences: tuple[LicenceText, ...] = ()
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParentText:
    """Another model: its card, where one was given, and when it came out (ISO 8601)."""

    name: str
    card: CardText | Absent = NO_PARENT_CARD
    published: str | Absent = NO_DATE


@dataclass(frozen=True, slots=True)
class VersionText:
    """The card's text at a revision; ``when``: the commit's own date."""

    revision: str
    when: str
    text: str


@dataclass(frozen=True, slots=True)
class Versions:
    """The card's versions, oldest first, and what of them was left out."""

    place: str
    versions: tuple[VersionText, ...]
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CardSources:
    """All that a card report rests on beside the audit and the interview.

    ``declared``: names that the model's other files give. ``called``: audited inputs by the names that they
    go by. ``words``: files of further words that the card was read with, which are not kept: rules of
    strangers are never run.
    """

    card: CardText
    declared: tuple[str, ...] = ()
    parents: tuple[ParentText, ...] = ()
    scores: tuple[Score, ...] = ()
    published: str | Absent = NO_DATE
    called: Mapping[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    versions: Versions | Absent = NO_VERSIONS
    weights: WeightSources | Absent = NO_WEIGHTS
