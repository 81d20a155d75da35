"""What ``parentage card`` was given, opened and put together."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parentage import api
from parentage.cards.claims.places import find_card
from parentage.cards.claims.reading import read_card
from parentage.cards.claims.score_files import read_scores
from parentage.cards.claims.vocabulary import Vocabulary, load_vocabulary
from parentage.cards.history.places import card_history
from parentage.checkpoints.remote.remote_limits import SharedSession
from parentage.errors import EvidenceError, UsageError
from parentage.records import interview as interviews
from parentage.records.absence import Absent
from parentage.records.card_report import NO_HISTORY, NO_REPORT, CardHistory
from parentage.records.codec import from_plain
from parentage.records.json_files import load_json
from parentage.records.report import Report
from parentage.verdicts.cards.facts import NO_DATE, NO_INTERVIEW, Facts, ParentCard

__all__ = ["Given", "dates", "facts_of", "history_of", "pairs"]

NO_CARD = Absent("its card was not given")


@dataclass(frozen=True, slots=True)
class Given:
    """The command's arguments. ``published``: dates by name, of the model itself under ""."""

    model: str
    from_evidence: Path | None
    called: Mapping[str, str]
    parent_cards: Mapping[str, str]
    published: Mapping[str, str]
    words: tuple[Path, ...]
    scores: Path | None = None
    history: str | None = None
    from_interview: Path | None = None

    def asked(self) -> dict[str, Any]:
        """For the report."""
        return {
            "model": self.model,
            "from_evidence": None if self.from_evidence is None else str(self.from_evidence),
            "called": dict(self.called),
            "parent_cards": dict(self.parent_cards),
            "published": dict(self.published),
            "words": [str(path) for path in self.words],
            "scores": None if self.scores is None else str(self.scores),
            "history": self.history,
            "from_interview": None if self.from_interview is None else str(self.from_interview),
        }


def facts_of(given: Given, shared: SharedSession) -> Facts:
    """Read the card, the audit and the parents' cards."""
    rules = load_vocabulary(given.words)
    found = find_card(given.model, shared.of(given.model))
    report, declared = _audited(given.from_evidence)
    reading = read_card(
        found.text, locator=found.locator, revision=found.revision, name=found.name, vocabularies=rules
    )
    return Facts(
        reading=reading,
        card_text=found.text,
        report=report,
        declared=tuple(dict.fromkeys((*found.declared, *declared))),
        config=found.config,
        parents=_parents(given, rules, shared),
        scores=() if given.scores is None else read_scores(given.scores),
        published=given.published.get("", NO_DATE),
        called=given.called,
        interview=NO_INTERVIEW if given.from_interview is None else _interview(given.from_interview),
    )


def history_of(given: Given, shared: SharedSession) -> CardHistory | Absent:
    """The history that was asked for."""
    if given.history is None:
        return NO_HISTORY
    return card_history(given.history, load_vocabulary(given.words), shared.of(given.history))


def _interview(path: Path) -> interviews.Interview:
    plain = load_json(path, schema=interviews.SCHEMA, version=interviews.VERSION)
    return from_plain(interviews.Interview, plain)


def _audited(path: Path | None) -> tuple[Report | Absent, tuple[str, ...]]:
    """The report, and the names that the suspect's files declared when it was audited."""
    if path is None:
        return NO_REPORT, ()
    report = api.load_report(path)
    try:
        return report, api.load_evidence(path).models[0].declared
    except EvidenceError:  # a report, which does not hold them
        return report, ()


def _parents(given: Given, rules: Sequence[Vocabulary], shared: SharedSession) -> tuple[ParentCard, ...]:
    found = []
    for name in dict.fromkeys((*given.parent_cards, *(n for n in given.published if n))):
        place = given.parent_cards.get(name)
        reading: Any = NO_CARD
        if place is not None:
            card = find_card(place, shared.of(place))
            reading = read_card(
                card.text, locator=place, revision=card.revision, name=name, vocabularies=rules
            )
        found.append(ParentCard(name, reading, given.published.get(name, NO_DATE)))
    return tuple(found)


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """``NAME=VALUE`` by name; ``UsageError`` (``usage-card``) for anything else."""
    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{option} takes NAME=VALUE, not {text!r}", code="usage-card")
        found[name] = value
    return found


def dates(texts: Sequence[str] | None) -> dict[str, str]:
    """Dates by name, "" for the model's own; ``UsageError`` (``usage-card``) for what is no date."""
    found = {}
    for text in texts or ():
        name, _, day = text.rpartition("=")
        try:
            found[name] = datetime.date.fromisoformat(day).isoformat()
        except ValueError:
            raise UsageError(
                f"--published takes [NAME=]YYYY-MM-DD, not {text!r}", code="usage-card"
            ) from None
    return found
