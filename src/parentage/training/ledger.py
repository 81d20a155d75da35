"""What a long run has measured so far: a line a measurement, so that the same run goes on after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from parentage.errors import EvidenceError, OutputError, UsageError
from parentage.records.json_files import dumps

__all__ = ["Ledger"]

SCHEMA: Final = "parentage.ledger"
VERSION: Final = 1
# A line holds the answers to some hundred problems.
MOST_LINE: Final = 1 << 26
MOST_BYTES: Final = 1 << 30


class Ledger:
    """``identity``: plain values that say what the run is; a file of another run is never gone on with.

    Raises ``UsageError`` (``ledger-other-run``), ``EvidenceError`` (``ledger-malformed``), ``OutputError``
    (``output-not-written``). What a kill cut short is measured again.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self._known: dict[str, Any] = {}
        head = {"schema": SCHEMA, "version": VERSION, "identity": json.loads(dumps(identity))}
        whole = self._read(head) if path.exists() else 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("ab")
            self._stream.truncate(whole)
        except OSError as error:
            raise _not_written(path, error) from None
        if not whole:
            self._append(head)

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def __getitem__(self, key: str) -> Any:
        return self._known[key]

    def note(self, key: str, value: Any) -> None:
        """Keep a measurement; it is on the disk when this returns."""
        self._append({"key": key, "value": value})
        self._known[key] = value

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()

    def _append(self, table: Mapping[str, Any]) -> None:
        line = json.dumps(table, ensure_ascii=True, allow_nan=False, separators=(",", ":")) + "\n"
        try:
            self._stream.write(line.encode())
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise _not_written(self.path, error) from None

    def _read(self, head: Mapping[str, Any]) -> int:
        """Bytes of whole lines. A last line without an end was cut short and does not count."""
        if self.path.stat().st_size > MOST_BYTES:
            raise _malformed(self.path, "it is larger than any run makes it")
        whole = 0
        with self.path.open("rb") as stream:
            while (line := stream.readline(MOST_LINE)).endswith(b"\n"):
                self._take(line, head, first=whole == 0)
                whole += len(line)
            if len(line) == MOST_LINE:
                raise _malformed(self.path, "a line of it is longer than any measurement")
        return whole

    def _take(self, line: bytes, head: Mapping[str, Any], *, first: bool) -> None:
        try:
            table = json.loads(line)
        except (ValueError, RecursionError):
            raise _malformed(self.path, "a line of it is no JSON") from None
        if first and table != head:
            raise UsageError(
                f"an unfinished run lies there that differs in {_differing(table, head)}",
                code="ledger-other-run",
                where=str(self.path),
                hint="ask for the same as before, delete it, or name another output",
            )
        if first:
            return
        if not isinstance(table, dict) or not isinstance(table.get("key"), str) or "value" not in table:
            raise _malformed(self.path, "a line of it is no measurement")
        self._known[table["key"]] = table["value"]


def _differing(table: Any, head: Mapping[str, Any]) -> str:
    earlier = table.get("identity") if isinstance(table, dict) else None
    if not isinstance(earlier, dict):
        return "everything"
    own = head["identity"]
    return (
        ", ".join(n for n in sorted({*earlier, *own}) if earlier.get(n) != own.get(n))[:200] or "its form"
    )


def _malformed(path: Path, why: str) -> EvidenceError:
    return EvidenceError(
        f"not the list of an unfinished run: {why}",
        code="ledger-malformed",
        where=str(path),
        hint="delete it; the run then begins anew",
    )


def _not_written(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"could not be written: {error.strerror or error}",
        code="output-not-written",
        where=str(path),
        hint="check that the folder may be written",
    )
