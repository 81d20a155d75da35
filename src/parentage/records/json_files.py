"""The files that we write and read back: whole or not at all, bounded, and checked before use.

Writing goes to a ``.partial`` file beside the target, is flushed to disk and renamed, so that a
full disk or an interrupt leaves the old file (or none) and never half of a new one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from parentage.errors import EvidenceError, InputMissingError, OutputError

__all__ = [
    "MAX_BYTES",
    "check_writable",
    "dumps",
    "load_json",
    "loads",
    "write_bytes",
    "write_json",
    "write_text",
]

# A report on 2,924 tensors takes about 2 MB and an evidence file with every replay about 40 MB; the
# bound leaves room for models ten times that and still fits in memory once parsed.
MAX_BYTES = 512 * 1024 * 1024
WRITTEN = "name a file that parentage wrote, and fetch it again if it was cut short"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def dumps(payload: Mapping[str, Any], *, compact: bool = False) -> str:
    """JSON text ending in a line feed. Keys keep the order given: records fix theirs.

    Raises ``OutputError`` (``output-not-finite``) for NaN and infinity, which are not JSON.
    """
    layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 2}
    try:
        return json.dumps(payload, ensure_ascii=False, allow_nan=False, **layout) + "\n"
    except ValueError as error:
        raise OutputError(f"a value cannot be written as JSON: {error}", code="output-not-finite") from None


def write_json(path: Path, payload: Mapping[str, Any], *, compact: bool = False) -> None:
    """Write one JSON object atomically."""
    write_text(path, dumps(payload, compact=compact))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; a lone surrogate (from an undecodable file name) is escaped."""
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` as a whole.

    Raises ``OutputError``: ``output-is-folder``, ``output-no-space``, ``output-not-written``. A
    path that is a device or a pipe is written straight through, for it cannot be replaced.
    """
    target = _target(path)
    try:
        if _is_special(target):
            _write_through(target, data)
        else:
            _replace(target, data)
    except OSError as error:
        _refuse(path, error)


def check_writable(path: Path) -> None:
    """Raise now what :func:`write_bytes` would raise after hours of work; writes nothing that stays."""
    target = _target(path)
    try:
        if _is_special(target):
            return
        with _partial(target):
            pass
    except OSError as error:
        _refuse(path, error)


def _target(path: Path) -> Path:
    target = Path(os.path.realpath(path))
    if os.path.isdir(target):
        raise OutputError(
            "the output is a folder", code="output-is-folder", where=str(path), hint="name a file"
        )
    return target


def _is_special(target: Path) -> bool:
    return target.exists() and not stat.S_ISREG(target.stat().st_mode)


def _write_through(target: Path, data: bytes) -> None:
    # A named pipe that nobody reads would hold us for ever; without blocking it is an error.
    number = os.open(target, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(number, "wb") as stream:
        os.set_blocking(number, True)
        stream.write(data)


def _replace(target: Path, data: bytes) -> None:
    with _partial(target) as (name, stream):
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
        name.replace(target)
    _sync_folder(target.parent)


@contextlib.contextmanager
def _partial(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    name = target.with_name(f"{target.name}.{os.getpid()}.partial")
    # Exclusive, so that a planted link of this name is not followed.
    number = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(number, "wb") as stream:
            yield name, stream
    finally:
        name.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # Not every file system lets a folder be synced; the file itself is already on disk.
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _refuse(path: Path, error: OSError) -> NoReturn:
    reason = error.strerror or str(error)
    if error.errno in _NO_SPACE:
        raise OutputError(
            "the disk is full; nothing half-written was left",
            code="output-no-space",
            where=str(path),
            hint="free some space or write elsewhere",
        ) from None
    raise OutputError(
        f"could not be written: {reason}; nothing half-written was left",
        code="output-not-written",
        where=str(path),
        hint="check that the folder exists and may be written",
    ) from None


def load_json(path: Path, *, schema: str, version: int, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read one of our files; the object as parsed, its ``schema`` and ``version`` checked.

    Raises ``InputMissingError`` (``input-missing``, ``input-permission``, ``input-not-file``,
    ``input-unreadable``) and the errors of :func:`loads`.
    """
    try:
        # One byte past the bound tells "too large" from "just fits" without trusting the size.
        with os.fdopen(_open_regular(path), "rb") as stream:
            data = stream.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return loads(data, schema=schema, version=version, max_bytes=max_bytes, where=str(path))


def _open_regular(path: Path) -> int:
    # Without O_NONBLOCK a named pipe that nobody writes to would hold us for ever.
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise InputMissingError(
            "not a regular file",
            code="input-not-file",
            where=str(path),
            hint="name a file; save what comes through a pipe first",
        )
    return number


def _unreadable(path: Path, error: OSError | ValueError) -> InputMissingError:
    where = str(path)
    if isinstance(error, PermissionError):
        return InputMissingError(
            "no permission to read it",
            code="input-permission",
            where=where,
            hint="ask its owner, or copy it to where you may read it",
        )
    if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return InputMissingError(
            f"cannot be read: {error.strerror or error}",
            code="input-unreadable",
            where=where,
            hint="check the path and the disk",
        )
    return InputMissingError("there is no such file", where=where, hint="check the path")


def loads(
    data: bytes, *, schema: str, version: int, max_bytes: int = MAX_BYTES, where: str = ""
) -> dict[str, Any]:
    """Parse bytes as one of our files.

    Raises ``EvidenceError``: ``file-too-large``, ``file-not-json`` (also NaN, duplicate keys and
    nesting beyond reason), ``file-wrong-schema``, ``file-newer-version``.
    """
    if len(data) > max_bytes:
        raise EvidenceError(
            f"larger than {max_bytes:,} bytes",
            code="file-too-large",
            where=where,
            hint="no file that parentage writes is so large",
        )
    payload = _parse(data, where)
    found = payload.get("schema")
    if found != schema:
        raise EvidenceError(
            f"expected schema {schema}, found {_short(found)}",
            code="file-wrong-schema",
            where=where,
            hint=WRITTEN,
        )
    number = payload.get("version")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise EvidenceError(
            f"version {_short(number)} is not a version",
            code="file-wrong-schema",
            where=where,
            hint=WRITTEN,
        )
    if number > version:
        raise EvidenceError(
            f"version {number} of {schema} is newer than this package reads ({version})",
            code="file-newer-version",
            where=where,
            hint="install a newer parentage",
        )
    return payload


def _parse(data: bytes, where: str) -> dict[str, Any]:
    try:
        payload = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(
            f"not a JSON file: {_short(error)}", code="file-not-json", where=where, hint=WRITTEN
        ) from None
    if not isinstance(payload, dict):
        raise EvidenceError("not a JSON object", code="file-not-json", where=where, hint=WRITTEN)
    return payload


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _short(value: object) -> str:
    text = str(value) if isinstance(value, Exception) else json.dumps(value, default=str)
    return text if len(text) <= 120 else text[:117] + "..."
