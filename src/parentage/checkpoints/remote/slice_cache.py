"""Slices already read, kept on disk so that a run that was killed goes on where it stopped.

One folder a file, named by the digest of what names its bytes (commit and path; address, ETag, size).
One file a slice, ``<start>-<end>``: SHA-256 of identity, range and data, then the data. Written whole or
not at all; what does not verify counts as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import threading
from pathlib import Path
from typing import Protocol

from parentage.errors import OutputError

__all__ = ["FileSlices", "SliceCache", "SliceStore", "Slices"]

DIGEST = 32
NAME = re.compile(r"(\d{1,19})-(\d{1,19})", re.ASCII)


class Slices(Protocol):
    """Slices of one file that lie on disk, by their first byte and their end."""

    def spans(self) -> list[tuple[int, int]]:
        """What is there, in order, none overlapping another."""

    def load(self, start: int, end: int) -> bytes | None:
        """The bytes; ``None`` when they are not there, or not what was saved."""

    def save(self, start: int, data: bytes) -> bool:
        """Keep the slice; whether it was kept."""


class SliceStore(Protocol):
    """Where slices lie on disk."""

    def of(self, key: str | None) -> Slices | None:
        """Those of the file whose bytes ``key`` names; ``None`` where it keeps none of it."""


class SliceCache:
    """A folder of slices, at most ``limit`` bytes added by this process."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._left = limit
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the cache folder cannot be made: {error.strerror}",
                code="cache-folder",
                where=str(folder),
                hint="name a folder that may be written to",
            ) from None

    def of(self, key: str | None) -> FileSlices | None:
        """The slices of one file; ``None`` where nothing names its bytes."""
        if key is None:
            return None
        digest = hashlib.sha256(key.encode()).hexdigest()
        return FileSlices(self, self._folder / digest[:40], key)

    def grant(self, nbytes: int) -> bool:
        """Whether there is room for so many bytes; they count as written."""
        with self._lock:
            if nbytes > self._left:
                return False
            self._left -= nbytes
            return True


class FileSlices:
    """The slices of one file. A disk that fails makes the cache forget, and never the audit fail."""

    def __init__(self, cache: SliceCache, folder: Path, key: str) -> None:
        self._cache, self._folder, self._key = cache, folder, key

    def spans(self) -> list[tuple[int, int]]:
        """(start, end) of what is there, in order, none overlapping another; not yet verified."""
        try:
            names = os.listdir(self._folder)
        except OSError:
            return []
        found = [NAME.fullmatch(name) for name in names]
        spans = sorted((int(m[1]), int(m[2])) for m in found if m is not None)
        kept: list[tuple[int, int]] = []
        for start, end in spans:
            if start < end and (not kept or start >= kept[-1][1]):
                kept.append((start, end))
        return kept

    def load(self, start: int, end: int) -> bytes | None:
        """The bytes, verified; ``None`` when they are not there or not what was written."""
        size = DIGEST + end - start
        try:
            number = os.open(self._path(start, end), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            with os.fdopen(number, "rb") as stream:
                if os.fstat(number).st_size != size:
                    return None
                raw = stream.read(size)
        except OSError:
            return None
        data = raw[DIGEST:]
        return data if raw[:DIGEST] == self._digest(start, end, data) else None

    def save(self, start: int, data: bytes) -> bool:
        """Keep the slice; whether it was kept."""
        end = start + len(data)
        if not data or not self._cache.grant(len(data)):
            return False
        try:
            self._folder.mkdir(exist_ok=True)
            number, name = tempfile.mkstemp(prefix=".partial-", dir=self._folder)
        except OSError:
            return False
        try:
            with os.fdopen(number, "wb") as stream:
                stream.write(self._digest(start, end, data))
                stream.write(data)
            os.replace(name, self._path(start, end))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name)
            return False
        return True

    def _path(self, start: int, end: int) -> Path:
        return self._folder / f"{start}-{end}"

    def _digest(self, start: int, end: int, data: bytes) -> bytes:
        digest = hashlib.sha256(f"{self._key}\0{start}\0{end}\0".encode())
        digest.update(data)
        return digest.digest()
