"""Training data: JSON lines, read by us, bounded before memory is taken, every fault with its line.

A line is one object, of one of three kinds:

- ``{"messages": [{"role", "content"}, …]}``: a chat, rendered by the model's own template;
- ``{"prompt": TEXT, "completion": TEXT}``: plain text that goes on with plain text, no template;
- ``{"text": TEXT}``: plain text.

For prompts (distillation) a line is ``{"prompt": TEXT}`` (asked as a user's turn) or ``{"messages": […]}``,
a last turn of the assistant's left out.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from parentage.checkpoints.places import open_file
from parentage.errors import UsageError

__all__ = ["MOST_LINE", "DataFile", "Example", "Message", "read_examples", "read_prompts"]

# A context of 128k tokens has half a million characters; longer ones are cut to --max-length anyway.
MOST_LINE: Final = 2**20
MOST_FILE: Final = 2**30
MOST_LINES: Final = 1_000_000
MOST_TURNS: Final = 1_024
ROLES: Final = ("system", "user", "assistant")
T = TypeVar("T")
Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Example:
    """A chat (``messages``), or plain text of which ``completion`` is learnt; ``line`` counts from 1."""

    line: int
    messages: tuple[Message, ...] = ()
    prompt: str = ""
    completion: str = ""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file's name, the SHA-256 of its bytes, and its examples in order."""

    name: str
    sha256: str
    examples: tuple[Example, ...]


def read_examples(path: Path) -> DataFile:
    """Examples to learn from.

    Raises ``UsageError``: ``data-empty``, ``data-too-large``, ``data-line-too-long``, ``data-not-json``,
    ``data-keys``, ``data-roles``, ``data-no-answer``; and what opening a file raises.
    """
    return _read(path, _example)


def read_prompts(path: Path) -> DataFile:
    """Prompts to answer: each example's ``messages`` ends with a user's turn. Errors as above."""
    return _read(path, _asked)


def _read(path: Path, made: Callable[[dict[str, Any], int, str], Example]) -> DataFile:
    digest, found = hashlib.sha256(), []
    for number, line in _lines(path):
        digest.update(line)
        if line.strip():
            found.append(made(_object(line, f"{path}, line {number}"), number, f"{path}, line {number}"))
    if not found:
        raise UsageError(
            "there is nothing in it",
            code="data-empty",
            where=str(path),
            hint="docs/training.md shows the form",
        )
    return DataFile(path.name, digest.hexdigest(), tuple(found))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    size = 0
    with os.fdopen(open_file(path), "rb") as stream:
        for number in range(1, MOST_LINES + 2):
            line = stream.readline(MOST_LINE + 1)
            if not line:
                return
            size += len(line)
            if len(line) > MOST_LINE:
                _long(f"{path}, line {number}")
            if size > MOST_FILE or number > MOST_LINES:
                break
            yield number, line
    raise UsageError(
        f"more than {MOST_LINES:,} lines or {MOST_FILE:,} bytes",
        code="data-too-large",
        where=str(path),
        hint="split it; a run reads one file",
    )


def _long(where: str) -> NoReturn:
    raise UsageError(
        f"a line of more than {MOST_LINE:,} bytes",
        code="data-line-too-long",
        where=where,
        hint="one example a line, each shorter than that",
    )


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(
            "not a JSON object with each key once",
            code="data-not-json",
            where=where,
            hint="one JSON object a line, in UTF-8",
        )
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key occurs twice")
    return made


def _example(table: dict[str, Any], line: int, where: str) -> Example:
    keys = set(table)
    if keys == {"messages"}:
        messages = _messages(table["messages"], where)
        if messages[-1]["role"] != "assistant":
            _no_answer(where, "the last turn is not the assistant's")
        return Example(line, messages)
    if keys == {"prompt", "completion"}:
        completion = _text(table["completion"], "completion", where)
        if not completion:
            _no_answer(where, "the completion is empty")
        return Example(line, (), _text(table["prompt"], "prompt", where), completion)
    if keys == {"text"}:
        text = _text(table["text"], "text", where)
        if not text:
            _no_answer(where, "the text is empty")
        return Example(line, (), "", text)
    raise _keys(where, keys, "messages, or prompt and completion, or text")


def _asked(table: dict[str, Any], line: int, where: str) -> Example:
    keys = set(table)
    if keys == {"prompt"} and isinstance(table["prompt"], str):
        prompt = _text(table["prompt"], "prompt", where)
        if not prompt:
            _roles(where, "the prompt is empty")
        return Example(line, ({"role": "user", "content": prompt},))
    if keys == {"messages"}:
        messages = _messages(table["messages"], where)
        asked = messages[:-1] if messages[-1]["role"] == "assistant" else messages
        if not asked or asked[-1]["role"] != "user":
            _roles(where, "there is no user's turn to answer")
        return Example(line, asked)
    raise _keys(where, keys, "prompt, or messages")


def _keys(where: str, found: set[str], wanted: str) -> UsageError:
    names = ", ".join(repr(k[:40]) for k in sorted(found)[:6]) or "none"
    return UsageError(f"keys {names}; {wanted} are known", code="data-keys", where=where)


def _text(value: Any, name: str, where: str) -> str:
    if not isinstance(value, str) or any("\ud800" <= c <= "\udfff" for c in value):
        raise UsageError(f"{name} is no text", code="data-keys", where=where)
    return value


def _messages(value: Any, where: str) -> tuple[Message, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MOST_TURNS:
        _roles(where, f"messages is no list of 1 to {MOST_TURNS:,} turns")
    return tuple(_message(turn, k, value, where) for k, turn in enumerate(value))


def _message(turn: Any, k: int, turns: list[Any], where: str) -> Message:
    if not isinstance(turn, dict) or set(turn) != {"role", "content"}:
        _roles(where, f"turn {k + 1} has other keys than role and content")
    if turn["role"] not in ROLES:
        _roles(where, f"turn {k + 1} has a role that is none of {', '.join(ROLES)}")
    opened = turns[0]["role"] == "system" if isinstance(turns[0], dict) else False
    expected = "system" if k == 0 and opened else ("user", "assistant")[(k - opened) % 2]
    if turn["role"] != expected:
        _roles(where, f"turn {k + 1} is of the {turn['role']}, where the {expected}'s should be")
    return {"role": turn["role"], "content": _text(turn["content"], f"turn {k + 1}", where)}


def _roles(where: str, message: str) -> NoReturn:
    raise UsageError(
        message,
        code="data-roles",
        where=where,
        hint="an optional system turn, then user and assistant in turn",
    )


def _no_answer(where: str, message: str) -> NoReturn:
    raise UsageError(
        f"there is nothing to learn: {message}",
        code="data-no-answer",
        where=where,
        hint="end each chat with the answer that is to be learnt",
    )
