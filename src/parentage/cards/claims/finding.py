"""What all kinds of claims share: the sentences, the rules, and a claim from a match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parentage.cards.claims.sentences import Sentence
from parentage.cards.claims.source import Source
from parentage.cards.claims.statements import Said, matches
from parentage.cards.claims.vocabulary import Vocabulary
from parentage.records.card import Claim

__all__ = ["Prose"]


@dataclass(frozen=True, slots=True)
class Prose:
    """The running text of one card; ``own`` is the model's name, "" if the card has none."""

    source: Source
    sentences: tuple[Sentence, ...]
    vocabularies: Sequence[Vocabulary]
    own: str

    def said(self, *kinds: str) -> Iterator[tuple[Said, Vocabulary]]:
        """Matches of the rules of these kinds, sentence by sentence."""
        wanted = frozenset(kinds)
        for sentence in self.sentences:
            yield from matches(sentence, self.vocabularies, wanted, self.own)

    def claim(self, said: Said, kind: str, value: str) -> Claim:
        """A claim that rests on the words of a match."""
        sentence = said.sentence
        line, offset = self.source.find(said.match.group().strip(), sentence.line, sentence.last)
        return Claim(kind, value, said.words, line, offset, "prose", said.language)
