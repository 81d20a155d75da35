"""Question files: ours, and those that a user adds.

A file is YAML (or JSON): ``schema: parentage.questions``, ``version: 1``, and ``questions``, each with an
``id``, a ``language``, a ``style`` and its ``turns``: user, assistant, user … A last turn of the
assistant's is the beginning of an answer, which the model is to go on with.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml

from parentage.checkpoints.places import open_file
from parentage.errors import UsageError

__all__ = ["STYLES", "Question", "digest", "our_questions", "read_questions"]

STYLES: Final = ("direct", "oblique", "multi-turn", "prefilled")
LANGUAGES: Final = ("ar", "de", "en", "es", "fr", "ja", "pt", "zh")
MAX_FILE = 2**20
MAX_QUESTIONS = 2_000
MAX_TURN = 8_000
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Question:
    """Turns in the order user, assistant, user …"""

    id: str
    language: str
    style: str
    turns: tuple[str, ...]

    @property
    def begun(self) -> str:
        """The beginning of an answer that the model goes on with; empty where there is none."""
        return self.turns[-1] if len(self.turns) % 2 == 0 else ""

    @property
    def messages(self) -> list[dict[str, str]]:
        """As a chat template takes them."""
        return [{"role": ("user", "assistant")[k % 2], "content": t} for k, t in enumerate(self.turns)]


@cache
def our_questions() -> tuple[Question, ...]:
    """The questions of this package, in all its languages, in a fixed order."""
    folder = files("parentage.behaviour.questions")
    texts = ((f"{name}.yaml", (folder / f"{name}.yaml").read_text("utf-8")) for name in LANGUAGES)
    return tuple(q for name, text in texts for q in _parse(text, name))


def read_questions(path: Path) -> tuple[Question, ...]:
    """A user's file; raises ``UsageError`` (``questions-malformed``) and what opening a file raises."""
    with os.fdopen(open_file(path), "rb") as stream:
        data = stream.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise _malformed(str(path), f"larger than {MAX_FILE:,} bytes")
    try:
        return _parse(data.decode("utf-8"), str(path))
    except UnicodeDecodeError:
        raise _malformed(str(path), "not UTF-8") from None


def digest(questions: Sequence[Question]) -> str:
    """SHA-256 of what is asked, for telling whether two interviews asked the same."""
    plain = [[q.id, q.language, q.style, list(q.turns)] for q in questions]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=True).encode()).hexdigest()


class _Loader(yaml.SafeLoader):
    """Plain values; no aliases, which a file of questions has no use for."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


def _parse(text: str, where: str) -> tuple[Question, ...]:
    try:
        table = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise _malformed(where, f"not YAML: {error}"[:300]) from None
    named = table if isinstance(table, dict) else {}
    if named.get("schema") != "parentage.questions" or named.get("version") != 1:
        raise _malformed(where, "not 'schema: parentage.questions' of version 1")
    listed = named.get("questions")
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_QUESTIONS:
        raise _malformed(where, f"no list of 1 to {MAX_QUESTIONS:,} questions")
    found = tuple(_question(entry, k, where) for k, entry in enumerate(listed, 1))
    _check_ids(found, where)
    return found


def _question(entry: Any, number: int, where: str) -> Question:
    table = entry if isinstance(entry, dict) else {}
    words = [table.get(k) for k in ("id", "language", "style")]
    turns = table.get("turns")
    good = all(isinstance(w, str) and _ID.fullmatch(w) for w in words) and words[2] in STYLES
    texts = isinstance(turns, list) and 0 < len(turns) <= 16
    if not good or not texts or not all(isinstance(t, str) and 0 < len(t) <= MAX_TURN for t in turns or ()):
        raise _malformed(where, f"question {number}: id, language, style ({', '.join(STYLES)}) and turns")
    found = Question(str(words[0]), str(words[1]), str(words[2]), tuple(turns or ()))
    if bool(found.begun) != (found.style == "prefilled"):
        raise _malformed(where, f"question {number}: prefilled is what ends with the assistant's turn")
    return found


def _check_ids(questions: Iterable[Question], where: str) -> None:
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise _malformed(where, f"two questions have the id {question.id}")
        seen.add(question.id)


def _malformed(where: str, message: str) -> UsageError:
    return UsageError(message, code="questions-malformed", where=where, hint="see docs/interview.md")
