"""Model cards: read from where they lie, and weighed against an audit and an interview."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parentage.api.files import load_evidence, load_report
from parentage.checkpoints.remote.remote_limits import RemoteLimits, SharedSession
from parentage.errors import EvidenceError, UsageError
from parentage.records.absence import Absent
from parentage.records.card_proposals import Proposals
from parentage.records.card_report import NO_REPORT, CardReport
from parentage.records.card_sources import NO_DATE, NO_VERSIONS, CardSources, CardText, ParentText
from parentage.records.report import Report
from parentage.records.weight_history import NO_WEIGHTS

if TYPE_CHECKING:
    from parentage.cards.claims.places import FoundCard

__all__ = ["CardInputs", "audited", "card", "card_sources"]

NO_INTERVIEW = Absent("no interview was given")


@dataclass(frozen=True, slots=True)
class CardInputs:
    """Where a card lies, and what goes with it. ``published``: dates by name, the model's own under ""."""

    model: str
    called: Mapping[str, str] = field(default_factory=dict)
    parent_cards: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, str] = field(default_factory=dict)
    words: tuple[Path, ...] = ()
    scores: Path | None = None
    history: str | Sequence[str] | None = None

    def asked(self) -> dict[str, Any]:
        """For the report."""
        return {
            "model": self.model,
            "called": dict(self.called),
            "parent_cards": dict(self.parent_cards),
            "published": dict(self.published),
            "words": [str(path) for path in self.words],
            "scores": None if self.scores is None else str(self.scores),
            "history": self.history if isinstance(self.history, str) else list(self.history or ()) or None,
        }


def card(
    model: str,
    *,
    evidence: Path | None = None,
    interview: Path | None = None,
    called: Mapping[str, str] | None = None,
    parent_cards: Mapping[str, str] | None = None,
    published: Mapping[str, str] | None = None,
    words: Sequence[Path] = (),
    scores: Path | None = None,
    history: str | Sequence[str] | None = None,
    reader: str | None = None,
    key: str | None = None,
    limits: RemoteLimits | None = None,
) -> CardReport:
    """What the card of ``model`` (a folder, a repository, a card's file) claims, against the evidence.

    ``evidence``: evidence or a report of an audit; ``interview``: a saved interview (JSON); the others as
    the options of ``parentage card`` (docs/cards.md). ``reader``: an endpoint whose model proposes claims,
    with its ``key``; what it proposes is shown and never weighed. Raises ``ParentageError``.
    """
    from parentage.api.interviews import load_interview
    from parentage.cards.claims.vocabulary import load_vocabulary
    from parentage.verdicts.cards.from_sources import card_report

    given = CardInputs(
        model, called or {}, parent_cards or {}, published or {}, tuple(words), scores, history
    )
    report, declared = (NO_REPORT, ()) if evidence is None else audited(evidence)
    said = NO_INTERVIEW if interview is None else load_interview(interview)
    with ExitStack() as stack:
        sources = card_sources(given, declared, SharedSession(stack, limits))
    asked = given.asked() | {
        "from_evidence": None if evidence is None else str(evidence),
        "from_interview": None if interview is None else str(interview),
        "reader": reader,
    }
    found = card_report(sources, report, said, asked, load_vocabulary(given.words))
    return found if reader is None else replace(found, proposed=_proposed(reader, key, sources, found))


def _proposed(reader: str, key: str | None, sources: CardSources, found: CardReport) -> Proposals:
    """What a model behind an endpoint takes for claims of the card."""
    import asyncio

    from parentage.behaviour.card_reader import propose_claims
    from parentage.behaviour.endpoints.client import Limits
    from parentage.behaviour.opening import ENDPOINT, open_target, spec_of

    spec = spec_of(reader)
    if spec.kind != ENDPOINT:
        raise UsageError("a reader is asked through an endpoint", code="interview-target", where=reader)

    async def ask() -> Proposals:
        target = open_target(spec, key, Limits())
        try:
            return await propose_claims(target, sources.card.text, found.reading)
        finally:
            await target.close()

    return asyncio.run(ask())


def audited(path: Path) -> tuple[Report, tuple[str, ...]]:
    """The report, and the names that the suspect's files declared when it was audited."""
    report = load_report(path)
    try:
        return report, load_evidence(path).models[0].declared
    except EvidenceError:  # a report, which does not hold them
        return report, ()


def card_sources(given: CardInputs, declared: Sequence[str], shared: SharedSession) -> CardSources:
    """Read the card, its versions, the parents' cards and the scores. Raises ``ParentageError``."""
    from parentage.cards.claims.places import find_card
    from parentage.cards.claims.score_files import read_scores
    from parentage.cards.history.places import card_versions
    from parentage.cards.history.weights import weight_sources

    found = find_card(given.model, shared.of(given.model))
    places = (given.history,) if isinstance(given.history, str) else tuple(given.history or ())
    return CardSources(
        card=_text(found),
        declared=tuple(dict.fromkeys((*found.declared, *declared))),
        parents=tuple(_parents(given, shared)),
        scores=() if given.scores is None else read_scores(given.scores),
        published=given.published.get("", NO_DATE),
        called=dict(given.called),
        words=tuple(str(path) for path in given.words),
        versions=card_versions(places, shared.of(places[0])) if places else NO_VERSIONS,
        weights=weight_sources(places, shared.of(places[0])) if places else NO_WEIGHTS,
    )


def _text(found: FoundCard) -> CardText:
    name = Absent("its place says no name") if found.name is None else found.name
    return CardText(
        found.locator, found.text, name, found.revision, dict(found.config), found.licences, found.limits
    )


def _parents(given: CardInputs, shared: SharedSession) -> Iterator[ParentText]:
    from parentage.cards.claims.places import find_card

    for name in dict.fromkeys((*given.parent_cards, *(n for n in given.published if n))):
        place, published = given.parent_cards.get(name), given.published.get(name, NO_DATE)
        if place is None:
            yield ParentText(name, published=published)
            continue
        found = find_card(place, shared.of(place))
        card = CardText(
            place, found.text, name, found.revision, licences=found.licences, limits=found.limits
        )
        yield ParentText(name, card, published)
