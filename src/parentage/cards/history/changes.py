"""What changed from one version of a card to the next: sentences, and the claims in the versions."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Sequence

from parentage.cards.claims.reading import card_sentences, read_card
from parentage.cards.claims.vocabulary import Vocabulary
from parentage.cards.history.versions import TextVersion
from parentage.records.card_report import CardChange, CardHistory, CardVersion

__all__ = ["history_of"]

# Below this likeness two sentences are one that went and another that came.
ALIKE = 0.6
MOST_CHANGES = 1_000
# Sentences of one version that are compared with each other: their number enters squared.
MOST_COMPARED = 100


def history_of(
    place: str,
    versions: Sequence[TextVersion],
    rules: Sequence[Vocabulary],
    limits: Sequence[str] = (),
) -> CardHistory:
    """Versions, oldest first, and every change between neighbours."""
    told, changes = [], list[CardChange]()
    before: tuple[str, ...] = ()
    claimed: tuple[str, ...] = ()
    for number, version in enumerate(versions):
        sentences = tuple(dict.fromkeys(s for s, _ in card_sentences(version.text)))
        claims = _claims(version, rules)
        digest = hashlib.sha256(version.text.encode("utf-8", errors="backslashreplace")).hexdigest()
        told.append(CardVersion(version.revision, version.when, digest, len(claims)))
        if number:
            changes += _sentences(version, before, sentences)
            changes += _claimed(version, claimed, claims)
        before, claimed = sentences, claims
    kept = tuple(changes[:MOST_CHANGES])
    if len(changes) > MOST_CHANGES:
        limits = (*limits, f"only the first {MOST_CHANGES:,} of {len(changes):,} changes are listed")
    return CardHistory(place, tuple(told), kept, tuple(limits))


def _claims(version: TextVersion, rules: Sequence[Vocabulary]) -> tuple[str, ...]:
    found = read_card(version.text, vocabularies=rules).claims
    return tuple(f"{c.kind} {c.value}" for c in found)


def _sentences(version: TextVersion, before: Sequence[str], now: Sequence[str]) -> Iterator[CardChange]:
    old, new = set(before), set(now)
    went = [s for s in before if s not in new]
    for sentence in (s for s in now if s not in old):
        match = _nearest(sentence, went[:MOST_COMPARED])
        if match is None:
            yield CardChange(version.revision, version.when, "came", sentence)
        else:
            went.remove(match)
            yield CardChange(version.revision, version.when, "changed", sentence, match)
    for sentence in went:
        yield CardChange(version.revision, version.when, "went", sentence)


def _nearest(sentence: str, others: Sequence[str]) -> str | None:
    """The most alike, in words, of those that are alike enough."""
    words = sentence.split()[:200]
    ratios = [difflib.SequenceMatcher(None, words, o.split()[:200]).ratio() for o in others]
    best = max(range(len(others)), key=lambda k: ratios[k], default=-1)
    return others[best] if best >= 0 and ratios[best] >= ALIKE else None


def _claimed(version: TextVersion, before: Sequence[str], now: Sequence[str]) -> Iterator[CardChange]:
    for what, some, others in (("claim-came", now, before), ("claim-went", before, now)):
        known = set(others)
        for claim in some:
            if claim not in known:
                yield CardChange(version.revision, version.when, what, claim, claims=(claim,))
