"""Protocol buffers as ONNX files use them, read by range: fields in order, data skipped, all bounded.

Wire format: https://protobuf.dev/programming-guides/encoding. Groups are refused: no ONNX file has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from parentage.checkpoints.byte_files import ByteFile
from parentage.errors import HeaderError

__all__ = ["BYTES", "ONNX_HINT", "VARINT", "Field", "Wire", "varints"]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
WINDOW = 16 * 2**10
# The graph of a 7 B model has some 20,000 nodes and 400,000 fields.
MOST_FIELDS = 2_000_000
# Names and graphs, without the tensors' data. A protocol buffer ends at 2 GiB in all.
MOST_BYTES = 64 * 2**20
ONNX_HINT = "fetch the file again; if it stays so, it is not a valid ONNX file"


def _lie(code: str, message: str, where: str) -> HeaderError:
    return HeaderError(message, code=code, where=where, hint=ONNX_HINT)


class Field(NamedTuple):
    """One field of a message: its number and wire type; ``value`` of a varint; the bytes [begin, end)."""

    number: int
    kind: int
    value: int
    begin: int
    end: int


class Wire:
    """Reads messages of one file; counts what was read and stops at the bounds."""

    def __init__(self, file: ByteFile) -> None:
        self.file = file
        self.fields_read = 0
        self.bytes_taken = 0
        self._window = b""
        self._at = 0

    def fields(self, begin: int, end: int) -> Iterator[Field]:
        """The fields of the message in [begin, end); raises ``HeaderError``."""
        at = begin
        while at < end:
            self.fields_read += 1
            if self.fields_read > MOST_FIELDS:
                raise _lie("onnx-too-large", f"more than {MOST_FIELDS:,} fields", self.place(at))
            field = self._field(at, end)
            yield field
            at = field.end

    def _field(self, at: int, end: int) -> Field:
        tag, begin = self._varint(at, end)
        number, kind = tag >> 3, tag & 7
        if number == 0 or number >= 2**29:
            raise _lie("onnx-wire", f"no field has the number {number}", self.place(at))
        if kind == VARINT:
            value, stop = self._varint(begin, end)
            return Field(number, kind, value, begin, stop)
        if kind == BYTES:
            length, begin = self._varint(begin, end)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise _lie("onnx-wire", f"a field of wire type {kind}", self.place(at))
        if length > end - begin:
            message = f"a field of {length:,} bytes in a message with {end - begin:,} left"
            raise self._cut(message, at, end)
        return Field(number, kind, 0, begin, begin + length)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        inside = at - self._at
        if 0 <= inside < len(self._window) and at < end and self._window[inside] < 128:
            return self._window[inside], at + 1
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise self._cut("it ends within a number", at, end)
            byte = self._byte(at, end)
            value |= (byte & 127) << shift
            at += 1
            if byte < 128:
                return value & (2**64 - 1), at
        raise _lie("onnx-wire", "a number of more than ten bytes", self.place(at))

    def _byte(self, at: int, end: int) -> int:
        inside = at - self._at
        if not 0 <= inside < len(self._window):
            self._window = self._read(at, min(WINDOW, self.file.size - at))
            self._at, inside = at, 0
        return self._window[inside]

    def take(self, field: Field, limit: int, what: str) -> bytes:
        """The bytes of a field of at most ``limit`` bytes; raises ``onnx-too-large``."""
        count = field.end - field.begin
        if field.kind != BYTES:
            raise _lie("onnx-wire", f"{what} is no string of bytes", self.place(field.begin))
        self.bytes_taken += count
        if count > limit or self.bytes_taken > MOST_BYTES:
            raise _lie("onnx-too-large", f"{what} of {count:,} bytes", self.place(field.begin))
        inside = field.begin - self._at
        if inside >= 0 and inside + count <= len(self._window):
            return self._window[inside : inside + count]
        return self._read(field.begin, count)

    def text(self, field: Field, what: str) -> str:
        """A name, in UTF-8; raises ``onnx-wire`` where it is not."""
        raw = self.take(field, 2**16, what)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise _lie("onnx-wire", f"{what} is not UTF-8", self.place(field.begin)) from None

    def inner(self, field: Field, what: str) -> Iterator[Field]:
        """The fields of a message in a field."""
        if field.kind != BYTES:
            raise _lie("onnx-wire", f"{what} is no message", self.place(field.begin))
        return self.fields(field.begin, field.end)

    def place(self, at: int) -> str:
        """File and byte, for messages."""
        return f"{self.file.where}: byte {at:,}"

    def _cut(self, message: str, at: int, end: int) -> HeaderError:
        if end >= self.file.size:
            return _lie("onnx-truncated", message, self.place(at))
        return _lie("onnx-wire", message, self.place(at))

    def _read(self, offset: int, count: int) -> bytes:
        raw = bytearray(count)
        self.file.read_into(offset, memoryview(raw))
        return bytes(raw)


def varints(raw: bytes) -> list[int] | None:
    """All numbers of a packed field, as unsigned 64-bit; None where it does not hold whole ones."""
    found, value, shift = [], 0, 0
    for byte in raw:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(value & (2**64 - 1))
            value = shift = 0
        elif shift >= 70:
            return None
    return None if shift else found
