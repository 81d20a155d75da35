"""The rules as data: patterns by language, kind and value, in the YAML files of ``words/``.

A user's file of the same shape is added to them (docs/cards.md). Patterns are regular expressions; the
sentences that they meet are bounded, and who adds one answers for its running time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from parentage.cards.claims.sentences import NAME
from parentage.checkpoints.declared import plain_yaml
from parentage.errors import CardError

__all__ = ["Rule", "Vocabulary", "languages_of", "load_vocabulary", "words_file"]

_NUMBER = r"(?<!\d)(?P<number>\d{1,3}(?:,\d{3}){1,4}(?!\d)|\d{1,15}(?:[.,]\d{1,15})?(?:[eE][-+]?\d{1,3})?)"
_JOIN = "of|de|do|da|dos|das|del|du|der|des|the|and|et|und|y|e|&|la|le"
_WHO = (
    r"(?:(?:the|a|o|el|la|le|les|los) )?"
    rf"(?-i:(?P<who>[A-ZÀ-Þ][\w&’'\-]*(?: (?:(?:{_JOIN}) )?[A-ZÀ-Þ][\w&’'\-]*){{0,8}}))"
)
_LISTS: Final = (
    "this-model",
    "is",
    "relative",
    "negation",
    "unlike",
    "boundary",
    "until",
    "common",
    "reported",
)
_OWN_FILES: Final = ("any", "en", "pt", "es", "fr", "de", "zh")
MAX_FILE: Final = 2**18
MAX_PATTERN: Final = 1_000


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern: where it matches, a claim of ``kind`` with ``value`` ("" where the match says it)."""

    kind: str
    value: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The rules of one language and the words that turn a claim round."""

    language: str
    rules: tuple[Rule, ...]
    words: Mapping[str, re.Pattern[str] | None]

    def speaks(self, languages: frozenset[str]) -> bool:
        """Whether its rules are for a sentence in these languages; one without common words is for all."""
        return self.words.get("common") is None or self.language in languages


def load_vocabulary(extra: Sequence[Path] = ()) -> tuple[Vocabulary, ...]:
    """Ours, then a user's files; ``CardError`` (``card-words``) for a file that makes no sense."""
    return (*_ours(), *(words_file(path.read_text(encoding="utf-8"), str(path)) for path in extra))


@cache
def _ours() -> tuple[Vocabulary, ...]:
    folder = files("parentage.cards.claims").joinpath("words")
    return tuple(
        words_file(folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8"), name) for name in _OWN_FILES
    )


def words_file(text: str, where: str) -> Vocabulary:
    """One file's rules."""
    table = plain_yaml(text) if len(text) <= MAX_FILE else None
    if not isinstance(table, dict) or not isinstance(table.get("claims", {}), dict):
        raise _bad("it is no table with a table of claims", where)
    words = {name: _any_of(table.get(name) or [], where) for name in _LISTS}
    rules = tuple(_rules(table.get("claims", {}), where))
    return Vocabulary(str(table.get("language", "any")), rules, words)


def languages_of(text: str, vocabularies: Sequence[Vocabulary]) -> frozenset[str]:
    """The languages with most common words in a text; empty where it has none of any."""
    counts = {
        v.language: sum(1 for _ in common.finditer(text))
        for v in vocabularies
        if (common := v.words.get("common")) is not None
    }
    most = max(counts.values(), default=0)
    return frozenset(language for language, count in counts.items() if count == most > 0)


def _rules(claims: Mapping[Any, Any], where: str) -> Iterator[Rule]:
    for kind, entry in claims.items():
        by_value = entry if isinstance(entry, dict) else {"": entry}
        for value, patterns in by_value.items():
            for pattern in _texts(patterns, where):
                yield Rule(str(kind), str(value), _compiled(_filled(pattern), where))


def _filled(pattern: str) -> str:
    lazy = pattern.replace("{names}", "(?P<names>.{3,300})", 1)
    if not pattern.endswith("{names}"):
        lazy = pattern.replace("{names}", "(?P<names>.{3,300}?)", 1)
    lazy = lazy.replace("{name}", f"(?P<name>{NAME})", 1).replace("{name}", NAME)
    return lazy.replace("{number}", _NUMBER, 1).replace("{who}", _WHO, 1)


def _any_of(patterns: Any, where: str) -> re.Pattern[str] | None:
    texts = _texts(patterns, where)
    return _compiled("|".join(f"(?:{t})" for t in texts), where) if texts else None


def _texts(patterns: Any, where: str) -> list[str]:
    listed = patterns if isinstance(patterns, list) else [patterns]
    if not all(isinstance(p, str) and 0 < len(p) <= MAX_PATTERN for p in listed):
        raise _bad(f"patterns are texts of at most {MAX_PATTERN:,} characters, in lists", where)
    return listed


def _compiled(pattern: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise _bad(f"{pattern!r} is no regular expression: {error}", where) from None


def _bad(message: str, where: str) -> CardError:
    return CardError(
        message, code="card-words", where=where, hint="see docs/cards.md for the shape of such a file"
    )
