"""Slices of a full pass that are done, kept in a file so that a killed run goes on where it stopped.

The first line is JSON: schema, version, what the slices are slices of (``key``) and how many there are.
Each further line is one slice: its number, its counts, and a CRC-32 of these. Lines are appended whole, so
what a kill leaves is the lines before; one that was torn, or does not verify, counts as not done.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NoReturn

from parentage.errors import EvidenceError, OutputError, UsageError
from parentage.evidence.full.tasks import SliceTask
from parentage.evidence.full.worker import Counts
from parentage.numerics.streaming import replay_kernels as places

__all__ = ["SCHEMA", "VERSION", "PassProgress", "check_progress"]

SCHEMA = "parentage.progress"
VERSION = 1
FIRST = b'{"schema": "parentage.progress"'
# A line holds an index and 22 counts below 2**63.
LONGEST = 1024
# Seconds between two flushes to disk: what a power cut, and not a mere kill, may lose.
FLUSH = 5.0


class PassProgress:
    """The progress file of one pass; use as a context manager, by one process at a time.

    ``path`` may be a folder: the file in it is named by ``key``. Raises ``UsageError`` (``resume-foreign``:
    it belongs to another pass; ``resume-busy``: another process writes it), ``EvidenceError``
    (``resume-damaged``) and ``OutputError`` (``resume-not-written``).
    """

    def __init__(self, path: Path, key: str, tasks: Sequence[SliceTask]) -> None:
        self._path = path / f"{key[:32]}.progress" if path.is_dir() else path
        header: dict[str, object] = {"schema": SCHEMA, "version": VERSION, "key": key, "slices": len(tasks)}
        self._flushed = time.monotonic()
        try:
            self._file = self._path.open("a+b", buffering=0)
        except OSError as error:
            _refuse(self._path, error)
        try:
            self._lock()
            self.done = self._begin(header, tasks)
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                "another process keeps its progress in this file",
                code="resume-busy",
                where=str(self._path),
                hint="wait for it, or name another file",
            ) from None

    def _begin(self, header: Mapping[str, object], tasks: Sequence[SliceTask]) -> Mapping[int, Counts]:
        self._file.seek(0)
        found = _header(self._file, self._path)
        if found is None:
            self._file.truncate(0)
            self._append(json.dumps(header).encode())
            return {}
        if found != header:
            raise UsageError(
                "the progress in this file is of another pass: other files, options, recipe or version",
                code="resume-foreign",
                where=str(self._path),
                hint="name another file, or delete this one to begin anew",
            )
        return self._read(tasks)

    def _read(self, tasks: Sequence[SliceTask]) -> dict[int, Counts]:
        done: dict[int, Counts] = {}
        whole = self._file.tell()
        while line := self._file.readline(LONGEST):
            if not line.endswith(b"\n"):
                # Torn by a kill: the next line begins where it began.
                self._file.truncate(whole)
                break
            whole += len(line)
            record = _record(line)
            if record is not None and _possible(record, tasks):
                done[record[0]] = record[1:]
        return done

    def add(self, task: SliceTask, counts: Counts) -> None:
        """Keep a slice that is done."""
        text = " ".join(map(str, (task.index, *counts))).encode()
        self._append(text + f" {zlib.crc32(text):08x}".encode())
        if time.monotonic() - self._flushed > FLUSH:
            os.fsync(self._file.fileno())
            self._flushed = time.monotonic()

    def _append(self, line: bytes) -> None:
        try:
            # One call: all of it is appended or, on a full disk, some; what is torn is dropped later.
            written = os.write(self._file.fileno(), line + b"\n")
        except OSError as error:
            _refuse(self._path, error)
        if written <= len(line):
            _refuse(self._path, OSError(0, "the disk took a part only"))

    def __enter__(self) -> PassProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def check_progress(path: Path) -> None:
    """Refuse now what would be refused after the sampled pass: a file that is no progress file."""
    if path.is_file():
        try:
            with path.open("rb", buffering=0) as file:
                _header(file, path)
        except OSError as error:
            _refuse(path, error)


def _header(file: BinaryIO, path: Path) -> dict[str, object] | None:
    """The first line; None where there is none yet, or a kill tore it."""
    line = file.readline(LONGEST)
    if not line.endswith(b"\n") and len(line) < LONGEST and _begins(line):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise EvidenceError(
            "this is no progress file of a full pass",
            code="resume-damaged",
            where=str(path),
            hint="name a file that is not there yet, or one that --resume wrote",
        )
    return found


def _begins(line: bytes) -> bool:
    return line.startswith(FIRST) or FIRST.startswith(line)


def _record(line: bytes) -> Counts | None:
    text, _, check = line.rstrip(b"\n").rpartition(b" ")
    if check != f"{zlib.crc32(text):08x}".encode():
        return None
    try:
        return tuple(int(part) for part in text.split(b" "))
    except ValueError:
        return None


def _possible(record: Counts, tasks: Sequence[SliceTask]) -> bool:
    """Could these be counts of the slice that they say they are of?"""
    if len(record) != 1 + places.COUNTS or min(record) < 0 or record[0] >= len(tasks):
        return False
    counts = record[1:]
    examined, matches = counts[places.EXAMINED], counts[places.MATCHES]
    informative, hits = counts[places.INFORMATIVE], counts[places.INFORMATIVE_MATCHES]
    offsets = counts[places.OFFSETS :]
    return (
        matches <= examined <= tasks[record[0]].count
        and hits <= min(informative, matches)
        and informative <= examined
        and counts[places.BEYOND] <= examined - matches
        and sum(offsets) == examined
        and offsets[places.OFFSET_RANGE] == matches
    )


def _refuse(path: Path, error: OSError) -> NoReturn:
    raise OutputError(
        f"the progress cannot be kept: {error.strerror}",
        code="resume-not-written",
        where=str(path),
        hint="name a file that can be written, or go without --resume",
    ) from None
