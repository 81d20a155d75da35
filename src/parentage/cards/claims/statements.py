"""A rule's match in a sentence: is it denied, and is it said of this model?

The card speaks of its own model unless the sentence, or the clause, names another as its subject: "Heron-7B
was trained from scratch", "unlike Heron-7B-Mix, which is a merge". Where that cannot be told, the words
count as the card's own: what it claims is then weighed, never taken for true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parentage.cards.claims.sentences import Sentence, names_in, short_name
from parentage.cards.claims.vocabulary import Rule, Vocabulary

__all__ = ["Said", "matches"]

# Words between a denial and what it denies: "was not, as some say, trained from scratch" is beyond it.
REACH = 48
_CLAUSE = re.compile(r"[;:—–()]|,\s")


@dataclass(frozen=True, slots=True)
class Said:
    """One match: the rule, the words, and how they stand in the sentence."""

    rule: Rule
    language: str
    sentence: Sentence
    match: re.Match[str]
    denied: bool

    @property
    def words(self) -> str:
        """The sentence, or its middle where it is long."""
        text, start = self.sentence.text, self.match.start()
        if len(text) <= 300:
            return text
        return text[max(0, start - 120) : self.match.end() + 120].strip()[:300]

    def names(self, vocabulary: Vocabulary) -> Iterator[str]:
        """Models in the part that the pattern calls ``names``, up to where the sentence goes on."""
        text = self.match.group("names")
        until = vocabulary.words.get("until")
        found = until.search(text) if until is not None else None
        for name, _, _ in names_in(text[: found.start()] if found else text):
            yield name


def matches(
    sentence: Sentence, vocabularies: Sequence[Vocabulary], kinds: frozenset[str], own: str
) -> Iterator[tuple[Said, Vocabulary]]:
    """Every match of a rule of these kinds that speaks of the model called ``own`` ("" if unknown)."""
    for vocabulary in vocabularies:
        if not vocabulary.speaks(sentence.language):
            continue
        text = _without_comparison(sentence.text, vocabulary)
        for rule in vocabulary.rules:
            if rule.kind not in kinds:
                continue
            for found in rule.pattern.finditer(text):
                before = text[: found.start()]
                another = _of_another(text, found.start(), vocabularies, own)
                if not another and not _reported(before, vocabularies):
                    # "is no merge": the denial may stand between the words of a relation.
                    end = found.end() if rule.kind == "relation" else found.start()
                    denied = _denied(text, end, vocabularies, vocabulary)
                    yield Said(rule, vocabulary.language, sentence, found, denied), vocabulary


def _reported(before: str, vocabularies: Sequence[Vocabulary]) -> bool:
    """Whether the words are told of: what others say, or what the card said before."""
    return any(p is not None and p.search(before) for p in (v.words.get("reported") for v in vocabularies))


def _without_comparison(text: str, vocabulary: Vocabulary) -> str:
    unlike = vocabulary.words.get("unlike")
    found = unlike.search(text) if unlike is not None else None
    if found is None:
        return text
    end = text.find(", ", _relative_end(text, found.end()))
    end = len(text) if end < 0 else end
    return text[: found.start()] + " " * (end - found.start()) + text[end:]


def _relative_end(text: str, start: int) -> int:
    """Past "X, which is ...": the comma that ends the comparison is the one after the relative clause."""
    found = re.compile(r"[^,]{1,80}, (?:which|that|who|que|qui|das|die|der) ").match(text, start)
    return found.end() if found else start


def _denied(text: str, start: int, vocabularies: Sequence[Vocabulary], own: Vocabulary) -> bool:
    before = text[max(0, start - REACH) : start]
    clause = _CLAUSE.split(before)[-1] if own.language != "zh" else before
    # Names of methods are in no language: whichever the sentence is in may deny them.
    asked = vocabularies if own.language == "any" else (own,)
    return any(_negated(clause, v) for v in asked)


def _negated(clause: str, vocabulary: Vocabulary) -> bool:
    negation, boundary = vocabulary.words.get("negation"), vocabulary.words.get("boundary")
    if negation is None:
        return False
    if boundary is not None:
        clause = boundary.split(clause)[-1]
    return negation.search(clause) is not None


def _of_another(text: str, match: int, vocabularies: Sequence[Vocabulary], own: str) -> bool:
    """Whether the last subject before the match is a model other than this one."""
    last, another, before = -1, False, text[:match]
    for vocabulary in vocabularies:
        ours = vocabulary.words.get("this-model")
        for found in ours.finditer(before) if ours is not None else ():
            if found.start() > last:
                last, another = found.start(), False
    for name, start, end in names_in(before):
        if start > last and (is_own := _is_own(name, own)) | _is_subject(text, start, end, vocabularies):
            last, another = start, not is_own
    return another


def _is_own(name: str, own: str) -> bool:
    return bool(own) and short_name(name) == short_name(own)


def _is_subject(text: str, start: int, end: int, vocabularies: Sequence[Vocabulary]) -> bool:
    lead = text[:start].rstrip()
    opens = (
        not lead
        or lead[-1] in ",;:.，；"
        or re.search(r"(?i)\b(the|and|while|o|el|le|das|und|y|e|et)$", lead)
    )
    if not opens:
        return False
    after = text[end : end + 40]
    for vocabulary in vocabularies:
        for kind in ("is", "relative"):
            words = vocabulary.words.get(kind)
            if words is not None and re.match(rf"[)\]]?,? ?(?:{words.pattern})\b", after, re.IGNORECASE):
                return True
    return False
