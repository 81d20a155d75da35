"""One card, read: its claims with their words and places.

Rules only: what is read here is text to be weighed, and nothing in it, addressed to whom it may be, changes
how it is read or judged.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from parentage.cards.claims.benchmarks import benchmark_scores, score_claims
from parentage.cards.claims.details import detail_claims
from parentage.cards.claims.document import Document, read_document
from parentage.cards.claims.finding import Prose
from parentage.cards.claims.front_matter import front_claims, read_front
from parentage.cards.claims.merges import merge_claims, recipe_claims
from parentage.cards.claims.origins import origin_claims
from parentage.cards.claims.sentences import Sentence, is_model_name, sentences_of, short_name
from parentage.cards.claims.source import MAX_CHARACTERS, source_of
from parentage.cards.claims.training import scratch_claims, training_claims
from parentage.cards.claims.uploads import upload_claims
from parentage.cards.claims.vocabulary import Vocabulary, languages_of, load_vocabulary
from parentage.records.absence import Absent
from parentage.records.card import KINDS, NO_CARD_REVISION, CardReading, Claim

__all__ = ["card_sentences", "read_card"]

MAX_CLAIMS = 2_000
# Some 0.6 ms each; the real cards at hand have up to 171.
MAX_SENTENCES = 5_000


def read_card(
    text: str,
    *,
    locator: str = "",
    revision: str | Absent = NO_CARD_REVISION,
    name: str | None = None,
    vocabularies: Sequence[Vocabulary] | None = None,
) -> CardReading:
    """Read one card. ``name``: what the model is called, where its place says so; else its first title."""
    document = read_document(source_of(text))
    front, front_limits = read_front(document)
    own = name or _title(document, front)
    rules = load_vocabulary() if vocabularies is None else vocabularies
    prose = Prose(document.source, _in_languages(document, rules), rules, own)
    scores = benchmark_scores(document, front, own)
    claims = [
        *front_claims(front, document),
        *origin_claims(prose),
        *scratch_claims(prose),
        *training_claims(prose),
        *recipe_claims(document),
        *merge_claims(prose),
        *detail_claims(prose),
        *score_claims(scores),
        *upload_claims(prose),
    ]
    limits = [*document.limits, *front_limits]
    if len(text) > MAX_CHARACTERS:
        limits.append(f"only the first {MAX_CHARACTERS:,} of {len(text):,} characters were read")
    if len(prose.sentences) == MAX_SENTENCES:
        limits.append(f"only the first {MAX_SENTENCES:,} sentences were read")
    if len(claims) > MAX_CLAIMS:
        limits.append(f"only the first {MAX_CLAIMS:,} claims are listed")
    return CardReading(
        locator,
        revision,
        hashlib.sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest(),
        len(text),
        own or Absent("no title names the model"),
        _ordered([*claims[:MAX_CLAIMS], *_implied(claims)]),
        scores,
        tuple(limits),
    )


def _in_languages(document: Document, rules: Sequence[Vocabulary]) -> tuple[Sentence, ...]:
    """Sentences with their languages; one without any common word is in the card's own, or in English."""
    found = tuple(islice(sentences_of(document.blocks), MAX_SENTENCES))
    main = languages_of(" ".join(s.text for s in found), rules)
    return tuple(replace(s, language=_language(languages_of(s.text, rules), main)) for s in found)


def _language(found: frozenset[str], main: frozenset[str]) -> frozenset[str]:
    """Of languages that a sentence may be in, the card's own: "No ..." may be Portuguese by its words."""
    return found & main or found or main | {"en"}


def card_sentences(text: str) -> tuple[tuple[str, int], ...]:
    """Every visible sentence with its line, quotations too: what a history compares."""
    document = read_document(source_of(text))
    return tuple(
        (part, block.line)
        for block in document.blocks
        for part in re.split(r"(?<=[.!?])\s+(?=[^\W\d_a-z])|(?<=[。！？])", block.text)
        if part
    )


def _title(document: Document, front: Mapping[str, Any]) -> str:
    """The name in the first title, or a title of at most three words; a base's name is not the model's."""
    listed = front.get("base_model")
    bases = {
        short_name(b) for b in (listed if isinstance(listed, list) else [listed]) if isinstance(b, str)
    }
    for block in document.blocks[:40]:
        if block.kind != "heading" and len(block.text) > 60:
            continue
        words = [w.strip("*`:,()[]") for w in block.text.split()]
        named = [w for w in words if is_model_name(w) and short_name(w) not in bases]
        if named and len(words) <= 8 and not re.search(r"(?i)\bbased on\b", block.text):
            return named[0]
        if block.kind == "heading" and len(words) <= 3:
            return block.text.strip()
        if block.kind == "heading":
            break
    return ""


def _implied(claims: Iterable[Claim]) -> Iterator[Claim]:
    """Fine-tune: what a base and a training say together, where the card names no other relation."""
    listed = list(claims)
    stated = {c.value for c in listed if c.kind == "relation"}
    trained = [c for c in listed if c.kind == "training" and c.value != "none"]
    based = any(c.kind == "base-model" for c in listed)
    if not stated and trained and based:
        first = trained[0]
        yield Claim("relation", "finetune", first.words, first.line, first.offset, "implied", first.rule)


def _ordered(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """By kind and place, each (kind, value) once: the first of its source rests on the plainest words."""
    seen: dict[tuple[str, str], Claim] = {}
    for claim in claims:
        seen.setdefault((claim.kind, _folded(claim)), claim)
    return tuple(sorted(seen.values(), key=lambda c: (KINDS.index(c.kind), c.offset, c.value)))


def _folded(claim: Claim) -> str:
    if claim.kind in ("base-model", "merge-parent"):
        return short_name(claim.value)
    if claim.kind == "merge-weight":
        name, _, weight = claim.value.rpartition("=")
        return f"{short_name(name)}={weight}"
    return claim.value.casefold()
