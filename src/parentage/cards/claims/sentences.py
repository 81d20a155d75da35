"""Sentences of a card, who each speaks about, and what it denies.

Words in quotation marks and in block quotes are somebody else's and are taken out; so is a comparison
("unlike the merges that ...,"), up to its comma.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from parentage.cards.claims.document import Block

__all__ = ["NAME", "Sentence", "is_model_name", "names_in", "sentences_of", "short_name"]

MAX_SENTENCE: Final = 2_000
# The end of a sentence; the dot of 3.5, of v2.1 and of "vs." is none.
_END = re.compile(
    r"(?<=[.!?])(?<!\bvs\.)(?<!\be\.g\.)(?<!\bi\.e\.)\s+(?=[^\W\d_a-z]|[\"«„“(])|(?<=[。！？；])"
)
# A block quote that opens so is a notice of the card's own, not somebody else's words.
_NOTICE = re.compile(
    r"(?i)\W{0,4}(?:\[?!(?:note|important|warning|caution|tip)\]|errat|corrigend|correc[tçc]|update|notice"
    r"|aviso|nota\b|actuali[sz]a|atuali[sz]a|mise à jour|rectific|hinweis|korrektur|berichtigung"
    r"|更正|更新|勘误|公告)"
)
_QUOTED = re.compile(r"\"[^\"]{20,}\"|“[^”]{20,}”|«[^»]{20,}»|„[^“”]{20,}[“”]|「[^」]{8,}」")
# A repository, or one word of Latin letters, digits and signs. Chinese words touch names, so no \w.
NAME: Final = r"[A-Za-z0-9À-ÿ][A-Za-z0-9À-ÿ_.+\-]*(?:/[A-Za-z0-9À-ÿ][A-Za-z0-9À-ÿ_.+\-]*)?"
_SIZE = re.compile(r"(?i)(?:^|[-_])\d+(?:\.\d+)?(?:x\d+(?:\.\d+)?)?[bm](?:$|[-_])")
_NO_NAME = re.compile(
    r"(?i)(\d[\d.,]*\s*[kmbgt]?b?|\d+(\.\d+)?x\d+(\.\d+)?b|\d+-?(bits?|shot|step|dimensional)"
    r"|q\d(_\w+)*|int\d+|fp\d+|bf16|float\d+|gpt-style|llama\.cpp"
    r"|(apache|mit|cc|gpl|lgpl|agpl|bsd|creativeml|open?rail)([-+]?[a-z]*)*[-+]*\d*(\.\d+)*"
    r"|\S+\.(gguf|safetensors|bin|md|json|ya?ml|py)|https?|\w+://\S*|.*\.(com|org|io|ai)(/.*)?"
    r"|(model|dare|task|multi|self|pre|post|fine|re|non|chain|state|open|on|off|next|long|high|low|mixture)[-_]\w[\w-]*)"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the card's own; ``heading`` when it is a title; ``language``: those it may be
    in; it stands somewhere in the lines ``line`` to ``last``."""

    text: str
    line: int
    last: int
    heading: bool = False
    language: frozenset[str] = frozenset()


def sentences_of(blocks: Sequence[Block]) -> Iterator[Sentence]:
    """Sentences outside of quotations, in order, each of at most ``MAX_SENTENCE`` characters."""
    for block in blocks:
        if block.kind == "quote" and not _NOTICE.match(block.text):
            continue
        text = _QUOTED.sub(lambda m: " " * len(m.group()), block.text)
        for part in _END.split(text):
            if part and part.strip():
                yield Sentence(part.strip()[:MAX_SENTENCE], block.line, block.last, block.kind == "heading")


def is_model_name(word: str) -> bool:
    """Whether a word looks like a model's name: it has a size, a number or an owner."""
    word = word.strip(".-_+")
    if len(word) < 3 or len(word) > 120 or _NO_NAME.fullmatch(word):
        return False
    if "/" in word:
        return not word.replace("/", "").isdigit() and re.search(r"[A-Za-zÀ-ÿ]", word) is not None
    if not re.search(r"[A-Za-zÀ-ÿ]", word):
        return False
    parted = "-" in word or "_" in word
    return (parted and re.search(r"\d|[A-ZÀ-Þ]", word) is not None and not word[0].islower()) or (
        parted and _SIZE.search(word) is not None
    )


def names_in(text: str) -> Iterator[tuple[str, int, int]]:
    """Names of models in a text, with where they begin and end."""
    for found in re.finditer(NAME, text):
        word = found.group().rstrip(".-_+")
        if is_model_name(word):
            yield word, found.start(), found.start() + len(word)


def short_name(name: str) -> str:
    """The last component, without regard to case: ``org/Name`` and ``Name`` are one."""
    return name.rstrip("/").rpartition("/")[2].strip(".-_+").casefold()
