"""The table of names and values at the head of a GGUF file, read with bounds on every count."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from parentage.checkpoints.byte_files import ByteFile
from parentage.checkpoints.formats.safetensors_header import shown
from parentage.errors import HeaderError

__all__ = ["HINT", "Cursor", "Numbers", "Value", "read_value"]

# The largest tokenizers take some 20 MB of a header: a quarter of a million tokens and their merges.
MAX_HEADER = 128 * 2**20
MAX_NESTING = 4
# Tokens of the largest vocabularies are a quarter of a million.
MAX_STRINGS = 4_000_000
FIRST_READ = 2**16
LARGEST_READ = 8 * 2**20
STRING, ARRAY, BOOL = 8, 9, 7
# Type number to ``struct`` code (ggml's docs/gguf.md).
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


@dataclass(frozen=True, slots=True)
class Numbers:
    """An array of numbers, of which only the first are kept: nobody asks for a vocabulary's scores."""

    count: int
    first: tuple[int | float | bool, ...]


HINT = "fetch the file again; if it stays so, it is not a valid GGUF file"
Value = int | float | bool | str | Numbers | tuple["Value", ...]


def _lie(code: str, message: str, where: str) -> HeaderError:
    """A header that lies about its file."""
    return HeaderError(message, code=code, where=where, hint=HINT)


class Cursor:
    """Reads a file's head from its first byte on, a growing part at a time; memory stays bounded."""

    def __init__(self, file: ByteFile) -> None:
        self.where = file.where
        self.size = file.size
        self.at = 0
        self._file = file
        self._held = bytearray()
        self._step = FIRST_READ

    @property
    def left(self) -> int:
        """Bytes of the file that have not been passed."""
        return self.size - self.at

    def take(self, count: int, what: str) -> memoryview:
        """The next ``count`` bytes; ``gguf-truncated``, ``gguf-too-large``."""
        end = self.at + count
        if end > self.size:
            message = f"{what} at byte {self.at:,} needs {count:,} bytes, the file has {self.left:,} left"
            raise _lie("gguf-truncated", message, self.where)
        if end > MAX_HEADER:
            message = f"{what} at byte {self.at:,} ends past {MAX_HEADER:,} bytes"
            raise _lie("gguf-too-large", message, self.where)
        self._hold(end)
        found = memoryview(bytes(self._held[self.at : end]))
        self.at = end
        return found

    def _hold(self, end: int) -> None:
        while len(self._held) < end:
            have = len(self._held)
            more = min(max(end - have, self._step), self.size - have)
            part = bytearray(more)
            self._file.read_into(have, memoryview(part))
            self._held += part
            self._step = min(2 * self._step, LARGEST_READ)

    def number(self, code: str, what: str) -> int:
        """The next whole number of this ``struct`` code, little-endian."""
        found: int = struct.unpack(f"<{code}", self.take(struct.calcsize(code), what))[0]
        return found

    def text(self, what: str, limit: int = MAX_HEADER) -> str:
        """The next string: its length in eight bytes, then UTF-8."""
        count = self.number("Q", f"the length of {what}")
        if count > limit:
            raise _lie("gguf-too-large", f"{what} claims {count:,} bytes", self.where)
        raw = bytes(self.take(count, what))
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            if what.startswith("a name"):
                raise _lie("gguf-bad-value", f"{what} is not UTF-8", self.where) from None
            # Tokens of byte-level vocabularies are not always text.
            return raw.decode("utf-8", errors="replace")


def read_value(cursor: Cursor, kind: int, name: str, depth: int = 0) -> Value:
    """One value of type ``kind``; ``gguf-bad-value``, ``gguf-too-large``, ``gguf-truncated``."""
    what = f"the value of {shown(name)}"
    if kind == STRING:
        return cursor.text(what)
    if kind == ARRAY:
        return _array(cursor, name, what, depth)
    if kind not in _SCALARS:
        raise _lie("gguf-bad-value", f"{what} is of type {kind}, which is none", cursor.where)
    code = _SCALARS[kind]
    raw = cursor.take(struct.calcsize(f"<{code}"), what)
    if kind == BOOL and raw[0] > 1:
        raise _lie("gguf-bad-value", f"{what} is neither true nor false", cursor.where)
    found: int | float | bool = struct.unpack(f"<{code}", raw)[0]
    return found


def _array(cursor: Cursor, name: str, what: str, depth: int) -> Value:
    kind, count = cursor.number("I", what), cursor.number("Q", f"the length of {what}")
    if depth >= MAX_NESTING:
        raise _lie("gguf-bad-value", f"{what} is nested deeper than {MAX_NESTING}", cursor.where)
    if kind in _SCALARS:
        return _numbers(cursor, kind, count, what)
    if kind not in (STRING, ARRAY):
        raise _lie("gguf-bad-value", f"{what} holds type {kind}, which is none", cursor.where)
    # A string takes eight bytes at least, an array twelve: what cannot fit is not counted to its end.
    if count > min(MAX_STRINGS, cursor.left // 8):
        raise _lie("gguf-too-large", f"{what} claims {count:,} entries", cursor.where)
    return tuple(read_value(cursor, kind, name, depth + 1) for _ in range(count))


def _numbers(cursor: Cursor, kind: int, count: int, what: str) -> Numbers:
    code = _SCALARS[kind]
    size = struct.calcsize(f"<{code}")
    if count > cursor.left // size:
        raise _lie("gguf-too-large", f"{what} claims {count:,} entries", cursor.where)
    raw = cursor.take(count * size, what)
    first = min(count, 256)
    kept = struct.unpack(f"<{first}{code}", raw[: first * size])
    return Numbers(count, kept)
