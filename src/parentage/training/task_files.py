"""A user's own task: a file with a problem a line, ``{"prompt": …, "answer": …}``, read with bounds."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from parentage.errors import UsageError
from parentage.training.answers import last_number, last_option, plain, same_number
from parentage.training.drawing import draw
from parentage.training.problems import Item, Message

__all__ = ["MOST_ITEMS", "MOST_LINE", "SCORINGS", "FileTask", "is_file_name", "read_task"]

# A long problem with its context takes some kilobytes; a line of a mebibyte is no problem.
MOST_LINE: Final = 1 << 20
MOST_ITEMS: Final = 100_000
MOST_BYTES: Final = 256 << 20
ROLES: Final = ("system", "user", "assistant")


def _exact(item: Item, text: str) -> str:
    return plain(text)


def _number(item: Item, text: str) -> str:
    return last_number(text)


def _contains(item: Item, text: str) -> str:
    """The answer where the text has it as whole words; else the text, for votes are taken on readings."""
    return last_option(text, (item.answer,)) or plain(text)


SCORINGS: Final[Mapping[str, Callable[[Item, str], str]]] = {
    "exact": _exact,
    "number": _number,
    "contains": _contains,
}


@dataclass(frozen=True, slots=True)
class FileTask:
    """``scoring``: "exact" (the whole text, but for case, spaces and signs at its ends), "number" (its last
    number) or "contains" (the answer as whole words, anywhere)."""

    name: str
    scoring: str
    problems: tuple[Item, ...]
    most_tokens: int = 128

    def items(self, split: str, count: int, seed: int) -> tuple[Item, ...]:
        """``count`` different problems of a split; ``UsageError`` (``task-split``, ``task-too-few``)."""
        found = draw(self.name, len(self.problems), self._problem, split, count, seed)
        return tuple(self.problems[k] for k in found)

    def _problem(self, k: int) -> str:
        # Not the answer: one prompt with two answers must not lie in both splits.
        return "\n".join(m["content"] for m in self.problems[k].messages)

    def read(self, item: Item, text: str) -> str:
        """As ``scoring`` says."""
        return SCORINGS[self.scoring](item, text)

    def score(self, item: Item, text: str) -> float:
        """1 where what is read is the answer."""
        found = self.read(item, text)
        if self.scoring == "number":
            return float(same_number(found, item.answer))
        return float(bool(found) and found == plain(item.answer))


def is_file_name(name: str) -> bool:
    """Whether a task's name is meant as a file's."""
    return ".jsonl" in name


def read_task(name: str) -> FileTask:
    """``FILE`` or ``FILE:SCORING``; exact without one.

    Raises ``UsageError``: ``task-scoring``, ``task-file`` (missing, too large, or no problem in it, with
    the line's number).
    """
    place, scoring = _parted(name)
    problems = []
    with os.fdopen(_opened(place), "rb") as stream:
        for number, line in _lines(stream, place):
            if line.strip():
                problems.append(_item(line, f"{place}, line {number}", scoring))
            if len(problems) > MOST_ITEMS:
                _fail(place, f"it has more than {MOST_ITEMS:,} problems")
    if not problems:
        _fail(place, "it has no problem")
    return FileTask(name, scoring, tuple(problems))


def _parted(name: str) -> tuple[str, str]:
    place, colon, scoring = name.rpartition(":")
    if not colon or "/" in scoring or scoring.endswith(".jsonl"):
        return name, "exact"
    if scoring not in SCORINGS:
        raise UsageError(
            f"answers are not scored by {scoring[:40]!r}",
            code="task-scoring",
            where=place,
            hint=f"one of {', '.join(SCORINGS)}",
        )
    return place, scoring


def _opened(place: str) -> int:
    try:
        # Without O_NONBLOCK a named pipe that nobody writes to would hold us for ever.
        number = os.open(Path(place), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        _fail(place, f"it cannot be read: {getattr(error, 'strerror', None) or error}")
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
        os.close(number)
        _fail(place, f"it is no regular file of at most {MOST_BYTES >> 20} MiB")
    return number


def _lines(stream: Any, place: str) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := stream.readline(MOST_LINE + 1):
        number += 1
        if len(line) > MOST_LINE:
            _fail(f"{place}, line {number}", f"the line is longer than {MOST_LINE:,} bytes")
        yield number, line


def _item(line: bytes, where: str, scoring: str) -> Item:
    try:
        table = json.loads(line)
    except (ValueError, RecursionError):
        _fail(where, "the line is no JSON")
    if not isinstance(table, dict) or not {"prompt", "answer"} <= set(table):
        _fail(where, 'the line is no {"prompt": …, "answer": …}')
    answer = table["answer"]
    if isinstance(answer, bool) or not isinstance(answer, str | int | float) or not str(answer).strip():
        _fail(where, "the answer is no text and no number")
    if scoring == "number" and not last_number(str(answer)):
        _fail(where, "the answer has no number")
    return Item(_messages(table["prompt"], where), str(answer))


def _messages(prompt: Any, where: str) -> tuple[Message, ...]:
    if isinstance(prompt, str) and prompt.strip():
        return ({"role": "user", "content": prompt},)
    if not isinstance(prompt, list) or not prompt:
        _fail(where, "the prompt is neither a text nor a list of messages")
    for message in prompt:
        known = isinstance(message, dict) and set(message) == {"role", "content"}
        if not known or message["role"] not in ROLES or not isinstance(message["content"], str):
            _fail(where, f"a message is not a role of {', '.join(ROLES)} and a content")
    return tuple({"role": m["role"], "content": m["content"]} for m in prompt)


def _fail(where: str, why: str) -> NoReturn:
    raise UsageError(
        f"not a file of a task: {why}",
        code="task-file",
        where=where,
        hint='one line a problem: {"prompt": "…", "answer": "…"}',
    )
