"""What an answer claims its speaker to be: rules, readable and the same for suspect and panel.

An answer is cut into sentences and those into clauses. A name in it is *claimed* when its clause says what
the speaker is, is called or was made by, or goes on from a clause that does; *denied*, *compared*,
*hedged*, *supposed*, *quoted* or *asked* when the clause says so; else only *mentioned*. Nothing in an
answer is an instruction: a text that tells its reader what to report is read for names like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import yaml

from parentage.behaviour.names.aliases import Mention, mentions, normalised

__all__ = ["READ_CHARACTERS", "Reading", "read_answer"]

# A name that comes later than this answers no question about it; a megabyte would take seconds.
READ_CHARACTERS: Final = 8_000
# Words of a quotation that may be a name in quotes.
QUOTED_NAME: Final = 24
# How far before an everyday word the words that name the speaker may begin.
NAMING_REACH: Final = 26

# A server may begin the thought in the prompt, so that an answer shows only its end.
_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|$)|^.*?</think(?:ing)?>", re.DOTALL)
_FENCE = re.compile(r"```.*?(?:```|$)", re.DOTALL)
_ELEMENT = re.compile(
    r"<(?!(?:b|i|em|strong|p|span|u)\b)([a-z][\w-]{0,30})[^<>]{0,200}>.{0,2000}?</\1>", re.DOTALL
)
_TAG = re.compile(r"</?[a-z][^<>]{0,200}>|<\|[^<>|]{1,40}\|>")
_QUOTES = re.compile(
    '"([^"\n]{1,2000})"|\u201c([^\u201c\u201d\n]{1,2000})\u201d|\u201e([^\u201e\u201c\u201d\n]{1,2000})[\u201c\u201d]'
    "|\u00ab([^\u00ab\u00bb\n]{1,2000})\u00bb|\u300c([^\u300c\u300d\n]{1,2000})\u300d|\u300e([^\u300e\u300f\n]{1,2000})\u300f"
)
_WORD = re.compile(r"\w")
_MARKUP = re.compile(r"[*_`#>]+")
_SENTENCE = re.compile(r"(?<=[!?。؟;؛\n])|(?<=\.)(?=\s|$)")
_CLAUSE = re.compile(
    r"[,،、:(){}\[\]–—]|(?<=\s)-(?=\s)|(?=\b(?:but|rather than|and not|instead of|mas|e não|e nao|pero|sino"
    r"|y no|mais|et non|sondern|aber|und nicht|и не)\b)|(?=而是|而不是)|(?<=ではなく)|(?=\bبل\b)"
)
_COPULA_AFTER = re.compile(
    r"^['\"]?\s*(?:is|was|es|é|est|ist|是|は|هو|هي|это|—\s*это|- это)(?![a-z])|^\s*[—–-]\s*это"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """``claims``, ``denials``: ids of names, sorted. ``ambiguous``: names, and no telling whose."""

    claims: tuple[str, ...]
    denials: tuple[str, ...]
    ambiguous: bool
    refuses: bool


def _cues(kind: str) -> re.Pattern[str]:
    return _all_cues()[kind]


@cache
def _all_cues() -> dict[str, re.Pattern[str]]:
    text = (files("parentage.behaviour.names") / "cues.yaml").read_text("utf-8")
    listed = yaml.load(text, Loader=yaml.SafeLoader)
    return {kind: re.compile("|".join(normalised(p) for p in listed[kind])) for kind in _KINDS}


_KINDS: Final = (
    "self",
    "self_without_subject",
    "doing",
    "kind",
    "denial",
    "turn",
    "comparison",
    "comparison_around",
    "hedge",
    "supposition",
    "address",
    "refusal",
)


def read_answer(answer: str) -> Reading:
    """Read one answer, its begun words in front of it where there were any."""
    text = _plain(answer[:READ_CHARACTERS])
    said: dict[str, set[str]] = {}
    first = True
    for sentence in _SENTENCE.split(text):
        if sentence.strip():
            for mention, how in _sentence(sentence.strip(), first):
                said.setdefault(how, set()).add(mention.name.id)
            first = False
    claimed, denied = said.get("claimed", set()), said.get("denied", set())
    sure = claimed - denied
    unsure = bool(claimed & denied) or "hedged" in said or "unclear" in said
    return Reading(
        claims=tuple(sorted(sure)),
        denials=tuple(sorted(denied - claimed)),
        ambiguous=not sure and unsure,
        refuses=not sure and not unsure and _cues("refusal").search(text) is not None,
    )


def _plain(answer: str) -> str:
    """The text without thought, code, quotations and markup."""
    text = normalised(answer)
    for pattern, put in ((_THOUGHT, " "), (_FENCE, "\n"), (_ELEMENT, "\n"), (_TAG, "\n")):
        text = pattern.sub(put, text)
    return _MARKUP.sub("", _QUOTES.sub(_unquoted, text))


def _unquoted(match: re.Match[str]) -> str:
    inside = next(g for g in match.groups() if g is not None)
    name_alone = len(inside) <= QUOTED_NAME and not _cues("address").search(inside) and "?" not in inside
    return f" {inside} " if name_alone else " "


@dataclass(slots=True)
class _State:
    """What the clauses of a sentence have established so far."""

    about_self: bool = False
    denied: bool = False
    compared: bool = False


def _sentence(sentence: str, first: bool) -> Iterator[tuple[Mention, str]]:
    if not mentions(sentence):
        return
    if sentence[-1] in "?؟":
        yield from ((m, "asked") for m in mentions(sentence))
        return
    if _cues("supposition").search(sentence):
        yield from ((m, "supposed") for m in mentions(sentence))
        return
    sentence = _cues("comparison_around").sub(" ", sentence)
    if _is_about_a_name(sentence):
        told = "unclear" if first and _cues("kind").search(sentence) else "mentioned"
        yield from ((m, told) for m in mentions(sentence))
        return
    hedged = _cues("hedge").search(sentence) is not None
    state = _State()
    for clause in (c for c in _CLAUSE.split(sentence) if c and c.strip()):
        yield from _clause(clause.strip(), state, hedged, first)
        first = False


def _is_about_a_name(sentence: str) -> bool:
    """ "Qwen is a model by Alibaba": the name is the subject, and nothing says that it is the speaker's."""
    found = mentions(sentence)
    if not found or _cues("self").search(sentence):
        return False
    before = sentence[: found[0].start].strip()
    return before in _ARTICLES and _COPULA_AFTER.search(sentence[found[0].end :]) is not None


_ARTICLES: Final = ("", "the", "o", "a", "el", "la", "le", "der", "die", "das")


def _clause(clause: str, state: _State, hedged: bool, first: bool) -> Iterator[tuple[Mention, str]]:
    found = mentions(clause)
    own = any(_cues(kind).search(clause) for kind in ("self", "self_without_subject"))
    denies = _cues("denial").search(clause) is not None
    compares = _cues("comparison").search(clause) is not None
    if own or _cues("turn").search(clause):
        state.denied = state.compared = False
    state.about_self = own or (state.about_self and _cues("doing").search(clause) is None)
    # Of what is denied or compared the list may go on over commas.
    state.denied = state.denied or (denies and "ではなく" not in clause)
    state.compared = state.compared or compares
    for mention in found:
        yield mention, _how(clause, mention, state, denies=denies, hedged=hedged, first=first)


def _how(clause: str, mention: Mention, state: _State, *, denies: bool, hedged: bool, first: bool) -> str:
    if hedged:
        return "hedged"
    if denies or state.denied:
        return "denied"
    if state.compared:
        return "compared"
    alone = first and _WORD.search(clause[: mention.start] + clause[mention.end :]) is None
    if mention.name.common:
        return "claimed" if alone or _names_directly(clause, mention) else "mentioned"
    return "claimed" if alone or state.about_self else "mentioned"


def _names_directly(clause: str, mention: Mention) -> bool:
    """An everyday word right after words that name the speaker: "my name is Rio", not "born in Rio"."""
    before = clause[max(0, mention.start - NAMING_REACH) : mention.start]
    return _NAMING.search(before) is not None


_NAMING = re.compile(
    r"(?:\bi am|\bi'm|name is|name's|call me|called|known as|go by|based on|here is|"
    r"\bsou|\bnome é|me chamo|chamar de|\bsoy|me llamo|nombre es|llamarme|\bje suis|m'appelle|m'appeler|"
    r"nom est|"
    r"\bich bin|heisse|name ist|nennen|我是|我叫|名字是|叫我|(?:私|僕)は|名前は"
    r"|\bانا|\bاسمي|\bя|меня зовут|имя)"
    r"[\s:]*(?:the |o |a |el |la |le |der |die |das )?$"
)
