"""From the texts that a card was read from to its report: read, weigh, say. Reads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from parentage.cards.claims.licences import licences_of
from parentage.cards.claims.reading import read_card
from parentage.cards.claims.vocabulary import Vocabulary, load_vocabulary
from parentage.cards.history.changes import history_of
from parentage.cards.history.versions import TextVersion
from parentage.cards.history.weights import weight_history
from parentage.records.absence import Absent
from parentage.records.card import CardReading
from parentage.records.card_report import NO_HISTORY, CardHistory, CardReport
from parentage.records.card_sources import CardSources, CardText
from parentage.records.interview import Interview
from parentage.records.report import Report
from parentage.records.weight_history import NO_WEIGHTS, WeightHistory
from parentage.verdicts.cards.examine import examine_card
from parentage.verdicts.cards.facts import Facts, ParentCard
from parentage.verdicts.sentences import listing

__all__ = ["card_report"]


def card_report(
    sources: CardSources,
    report: Report | Absent,
    interview: Interview | Absent,
    asked: Mapping[str, Any],
    rules: Sequence[Vocabulary] | None = None,
) -> CardReport:
    """Weigh a card; ``rules``: ours where none are given. Equal sources give equal reports."""
    vocabularies = load_vocabulary() if rules is None else rules
    history = _history(sources, vocabularies)
    facts = Facts(
        reading=_reading(sources.card, vocabularies),
        card_text=sources.card.text,
        report=report,
        declared=sources.declared,
        config=sources.card.config,
        parents=tuple(
            ParentCard(
                p.name,
                p.card if isinstance(p.card, Absent) else _reading(p.card, vocabularies),
                p.published,
                {} if isinstance(p.card, Absent) else licences_of(p.card.licences),
            )
            for p in sources.parents
        ),
        scores=sources.scores,
        published=sources.published,
        called=sources.called,
        interview=interview,
        weights=_weights(sources, history),
        licences=licences_of(sources.card.licences),
    )
    return examine_card(facts, asked, history)


def _weights(sources: CardSources, history: CardHistory | Absent) -> WeightHistory | Absent:
    if isinstance(sources.weights, Absent) or isinstance(history, Absent):
        return NO_WEIGHTS
    return weight_history(sources.weights, history)


def _reading(card: CardText, rules: Sequence[Vocabulary]) -> CardReading:
    name = None if isinstance(card.name, Absent) else card.name
    found = read_card(
        card.text, locator=card.locator, revision=card.revision, name=name, vocabularies=rules
    )
    return replace(found, limits=(*found.limits, *card.limits, *_untold(card)))


def _untold(card: CardText) -> Iterator[str]:
    told = licences_of(card.licences)
    names = [f.name for f in card.licences if f.name not in told]
    if names:
        yield f"{listing(names)} beside the card: of no one licence whose text is known"


def _history(sources: CardSources, rules: Sequence[Vocabulary]) -> CardHistory | Absent:
    kept = sources.versions
    if isinstance(kept, Absent):
        return NO_HISTORY
    versions = [TextVersion(v.revision, v.when, v.text) for v in kept.versions]
    return history_of(kept.place, versions, rules, kept.limits)
