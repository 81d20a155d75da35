"""The file of answers: JSON lines, a head and then one answer a line, whole or resumed.

While an interview runs, answers are appended to ``NAME.partial``, each flushed; when it ends, the file
appears whole, in the plan's order. A run that was stopped goes on from either. Every text is written in
ASCII with escapes, so that no control sign of an answer reaches a terminal that shows the file.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from parentage.checkpoints.places import open_file
from parentage.errors import EvidenceError, OutputError, UsageError
from parentage.records.codec import from_plain, to_plain
from parentage.records.interview import ANSWERS_SCHEMA, ANSWERS_VERSION, Answer, Answers
from parentage.records.json_files import loads, write_text

__all__ = ["Journal", "answers_text", "head_of", "load_answers", "parsed_answers", "save_answers"]

# 4 conditions of 10,000 answers of 2 kB each; a file of more is none of ours.
MAX_FILE = 256 * 2**20
MAX_LINES = 1_000_000


def head_of(found: Answers) -> dict[str, Any]:
    """The first line: everything but the answers."""
    plain = to_plain(replace(found, answers=()))
    plain.pop("answers")
    return {"schema": ANSWERS_SCHEMA, "version": ANSWERS_VERSION, **plain}


def _line(plain: object) -> str:
    return json.dumps(plain, ensure_ascii=True, allow_nan=False, separators=(",", ":")) + "\n"


def save_answers(found: Answers, path: Path) -> None:
    """Write the whole file atomically, answers in the plan's order."""
    write_text(path, answers_text(found))


def answers_text(found: Answers) -> str:
    """What :func:`save_answers` writes."""
    ordered = sorted(found.answers, key=lambda a: a.number)
    return _line(head_of(found)) + "".join(_line(to_plain(a)) for a in ordered)


def load_answers(path: Path, *, cut_short: bool = False) -> Answers:
    """Read a file of answers. ``cut_short``: a last line that was not ended is left out.

    Raises ``EvidenceError`` (``file-not-json``, ``file-wrong-schema``, ``file-newer-version``,
    ``file-too-large``, ``record-shape``, ``answers-twice``) and what opening a file raises.
    """
    with os.fdopen(open_file(path), "rb") as stream:
        data = stream.read(MAX_FILE + 1)
    return parsed_answers(data, str(path), cut_short=cut_short)


def parsed_answers(data: bytes, where: str, *, cut_short: bool = False) -> Answers:
    """A file of answers from its bytes; errors as of :func:`load_answers`."""
    if len(data) > MAX_FILE or data.count(b"\n") > MAX_LINES:
        raise EvidenceError("larger than any file of answers", code="file-too-large", where=where)
    lines = data.split(b"\n")
    ended = lines.pop() == b""
    if not ended and not cut_short:
        raise EvidenceError(
            "the last line is not ended: the file was cut short",
            code="answers-cut",
            where=where,
            hint="fetch it again, or go on with the interview that wrote it",
        )
    return _parsed(lines, where)


def _parsed(lines: list[bytes], where: str) -> Answers:
    head = loads(lines[0] if lines else b"", schema=ANSWERS_SCHEMA, version=ANSWERS_VERSION, where=where)
    head = {k: v for k, v in head.items() if k not in ("schema", "version")}
    found = from_plain(Answers, {**head, "answers": []}, where)
    answers = tuple(
        from_plain(Answer, _object(line, f"{where}, line {k}"), f"{where}, line {k}")
        for k, line in enumerate(lines[1:], 2)
    )
    if len({a.number for a in answers}) != len(answers):
        raise EvidenceError("an answer stands twice in it", code="answers-twice", where=where)
    return replace(found, answers=answers)


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise EvidenceError("not a JSON object", code="file-not-json", where=where)
    return found


class Journal:
    """Answers as they come; ``start`` says which are there already."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f"{path.name}.partial")
        self._stream: int | None = None

    def start(self, plan: Answers) -> tuple[Answer, ...]:
        """Answers of an earlier run of this very plan, absent ones left out so that they are asked again.

        Raises ``UsageError`` (``answers-other-plan``) when the file is of another plan.
        """
        kept: tuple[Answer, ...] = ()
        source = next((p for p in (self.partial, self.path) if p.exists()), None)
        if source is not None:
            earlier = load_answers(source, cut_short=source == self.partial)
            _check_same(earlier, plan, source)
            kept = tuple(a for a in earlier.answers if isinstance(a.text, str))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_answers(replace(plan, answers=kept), self.partial)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._stream = os.open(self.partial, flags)
        except OSError as error:
            raise _not_written(self.partial, error) from None
        return kept

    def add(self, answer: Answer) -> None:
        """Append one; it is on disk, or will be after the system's own crash at most a few are lost."""
        if self._stream is not None:
            try:
                os.write(self._stream, _line(to_plain(answer)).encode())
            except OSError as error:
                raise _not_written(self.partial, error) from None

    def close(self) -> None:
        """Stop appending; what was appended stays for the next run."""
        if self._stream is not None:
            os.close(self._stream)
            self._stream = None

    def finish(self, found: Answers) -> None:
        """The whole file takes the journal's place."""
        self.close()
        save_answers(found, self.path)
        self.partial.unlink(missing_ok=True)


def _check_same(earlier: Answers, plan: Answers, source: Path) -> None:
    differing = [
        name
        for name, one, other in (
            ("what is asked", earlier.asking, plan.asking),
            ("who is asked", earlier.respondent.locator, plan.respondent.locator),
            ("the model", earlier.respondent.model, plan.respondent.model),
            ("what it offers", earlier.left_out, plan.left_out),
            ("the chat template", _template(earlier), _template(plan)),
        )
        if one != other
    ]
    if differing:
        raise UsageError(
            f"a file of answers is here already, and differs in {', '.join(differing)}",
            code="answers-other-plan",
            where=str(source),
            hint="name another folder with --out, or ask as before",
        )


def _template(found: Answers) -> str:
    return getattr(found.hidden, "sha256", "")


def _not_written(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"answers could not be written: {error.strerror or error}",
        code="output-not-written",
        where=str(path),
        hint="free some space or name another folder with --out",
    )
