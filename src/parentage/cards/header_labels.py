"""A label in the headers of weight files that are there already: ``__metadata__`` alone is changed.

A header has no room to grow, so each file is written anew beside the old one, its data copied byte for
byte, and takes the name when all of them are whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from parentage.checkpoints.formats.safetensors_header import parse_header, parse_length, unique_names
from parentage.checkpoints.local_files import LocalFile
from parentage.checkpoints.places import safe_file
from parentage.errors import OutputError, UsageError
from parentage.records.merge import MergedFile

__all__ = ["rewrite_headers"]

ENDING: Final = ".labelled.partial"
OWN: Final = "parentage."


def rewrite_headers(folder: Path, names: Sequence[str], metadata: Mapping[str, str]) -> list[MergedFile]:
    """Add ``metadata`` to each file's own, which stays; the files as they are then.

    Raises ``UsageError`` (``label-headers-format``) for a file that is not safetensors, before anything
    is written; ``OutputError`` when the disk is full: the old files are untouched then.
    """
    headers = {name: _new_header(folder, name, metadata) for name in names}
    made = []
    try:
        for name in names:
            made.append(_copied(folder, name, *headers[name]))
        for name in names:
            os.replace(folder / f"{name}{ENDING}", folder / name)
    except OSError as error:
        raise OutputError(
            f"could not be written: {error.strerror or error}; the old weight files are there",
            code="output-not-written",
            where=str(folder),
            hint="as much room is needed as the weights take",
        ) from None
    finally:
        for name in names:
            (folder / f"{name}{ENDING}").unlink(missing_ok=True)
    return made


def _new_header(folder: Path, name: str, metadata: Mapping[str, str]) -> tuple[bytes, int]:
    """The header with its length, and where the data of the old file begin."""
    file = LocalFile(name, safe_file(folder, name))
    try:
        first = bytearray(min(9, file.size))
        file.read_into(0, memoryview(first))
        if not name.endswith(".safetensors") or first[4:] != b"\0\0\0\0{":
            raise UsageError(
                "only safetensors files have metadata that a label can be written to",
                code="label-headers-format",
                where=file.where,
                hint="leave --headers out: the label lies beside the weights then",
            )
        raw = bytearray(parse_length(bytes(first[:8]), file.size, file.where))
        file.read_into(8, memoryview(raw))
        tensors, old = parse_header(bytes(raw), file_size=file.size, where=file.where)
    finally:
        file.close()
    table: dict[str, Any] = json.loads(bytes(raw), object_pairs_hook=unique_names)
    table.pop("__metadata__", None)
    kept = {key: value for key, value in old.items() if not key.startswith(OWN)}
    new = {"__metadata__": {**metadata, **kept}, **table}
    text = json.dumps(new, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    size = file.size - len(raw) + len(text)
    again, _ = parse_header(text, file_size=size, where=file.where)
    assert [(t.name, t.dtype, t.shape) for t in again] == [(t.name, t.dtype, t.shape) for t in tensors]
    return len(text).to_bytes(8, "little") + text, 8 + len(raw)


def _copied(folder: Path, name: str, header: bytes, begin: int) -> MergedFile:
    source = LocalFile(name, safe_file(folder, name))
    target, digest = folder / f"{name}{ENDING}", hashlib.sha256(header)
    try:
        with target.open("xb") as out:
            out.write(header)
            for data in _data(source, begin):
                out.write(data)
                digest.update(data)
            out.flush()
            os.fsync(out.fileno())
            os.fchmod(out.fileno(), os.fstat(source.descriptor).st_mode & 0o777)
        return MergedFile(name, len(header) + source.size - begin, digest.hexdigest())
    finally:
        source.close()


def _data(file: LocalFile, begin: int) -> Iterator[memoryview]:
    """Everything after the header; ``read-changed`` when the file was modified meanwhile."""
    for offset, block in file.blocks():
        yield memoryview(block)[max(begin - offset, 0) :]
