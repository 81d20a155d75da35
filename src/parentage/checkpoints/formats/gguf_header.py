"""The head of a GGUF file: values, then tensors, then data; one error code for each way to lie.

Format: ggml's ``docs/gguf.md``, versions 2 and 3, little-endian. Extents are listed from the innermost
outwards there; here they are in the usual order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from parentage.checkpoints.byte_files import ByteFile
from parentage.checkpoints.formats.encodings import GGUF_BLOCKS
from parentage.checkpoints.formats.gguf_values import HINT, Cursor, Value, read_value
from parentage.checkpoints.formats.safetensors_header import shown
from parentage.errors import HeaderError
from parentage.records.dtypes import DType
from parentage.records.tensors import TensorRef

__all__ = ["MAGIC", "GgufHeader", "read_gguf"]

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_NAME = 2**16 - 1
MAX_DIMENSIONS = 4
MAX_ELEMENTS = 2**62
MAX_ALIGNMENT = 2**20
DEFAULT_ALIGNMENT = 32
# An entry takes at least so many bytes: name's length, number of extents, type, offset.
LEAST_TENSOR, LEAST_VALUE = 24, 13
MAX_ENTRIES = 1_000_000
_PLAIN = {
    0: DType.F32,
    1: DType.F16,
    24: DType.I8,
    25: DType.I16,
    26: DType.I32,
    27: DType.I64,
    28: DType.F64,
    30: DType.BF16,
}
_BLOCKS = {number: (name, elements, nbytes) for name, (number, elements, nbytes) in GGUF_BLOCKS.items()}


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """Tensors in the order of their data, all values, the bytes before the data, and oddities."""

    tensors: tuple[TensorRef, ...]
    values: Mapping[str, Value]
    nbytes: int
    oddities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


def read_gguf(file: ByteFile) -> GgufHeader:
    """Read and check the head; raises ``HeaderError`` or ``ReadError``. Reads no data."""
    cursor = Cursor(file)
    _check_version(cursor)
    tensors = _count(cursor, "tensors", LEAST_TENSOR)
    values = _values(cursor, _count(cursor, "values", LEAST_VALUE))
    alignment = _alignment(values, file.where)
    entries = [_entry(cursor) for _ in range(tensors)]
    _check_names(entries, file.where)
    start = -(-cursor.at // alignment) * alignment
    found = [_tensor(e, start, alignment, file) for e in entries]
    found.sort(key=lambda t: (t.begin, t.end, t.name))
    oddities = _check_layout(found, start, alignment, file)
    return GgufHeader(tuple(found), values, start, oddities)


def _lie(code: str, message: str, where: str) -> HeaderError:
    return HeaderError(message, code=code, where=where, hint=HINT)


def _check_version(cursor: Cursor) -> None:
    if bytes(cursor.take(4, "the magic number")) != MAGIC:
        raise _lie("gguf-version", "the file does not begin with GGUF", cursor.where)
    version = cursor.number("I", "the version")
    if version in VERSIONS:
        return
    swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
    told = f"version {swapped} in big-endian order" if swapped in VERSIONS else f"version {version}"
    raise _lie("gguf-version", f"{told} is not read; versions 2 and 3, little-endian, are", cursor.where)


def _count(cursor: Cursor, what: str, least: int) -> int:
    count = cursor.number("Q", f"the number of {what}")
    if count > min(MAX_ENTRIES, cursor.left // least):
        message = f"the header claims {count:,} {what} in a file of {cursor.size:,} bytes"
        raise _lie("gguf-too-large", message, cursor.where)
    return count


def _values(cursor: Cursor, count: int) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for _ in range(count):
        name = cursor.text("a name of a value", MAX_NAME)
        kind = cursor.number("I", f"the type of {shown(name)}")
        if name in found:
            raise _lie("gguf-duplicate-name", f"the value {shown(name)} appears twice", cursor.where)
        found[name] = read_value(cursor, kind, name)
    return found


def _alignment(values: Mapping[str, Value], where: str) -> int:
    given = values.get("general.alignment", DEFAULT_ALIGNMENT)
    good = type(given) is int and 8 <= given <= MAX_ALIGNMENT and given % 8 == 0
    if not good or not isinstance(given, int):
        raise _lie("gguf-alignment", f"an alignment of {shown(str(given))} bytes", where)
    return given


def _entry(cursor: Cursor) -> _Entry:
    name = cursor.text("a name of a tensor", MAX_NAME)
    at = f"{cursor.where}: {shown(name)}"
    dimensions = cursor.number("I", "the number of extents")
    if dimensions > MAX_DIMENSIONS:
        raise _lie("gguf-bad-shape", f"{dimensions:,} extents; there are at most {MAX_DIMENSIONS}", at)
    inner = [cursor.number("Q", "an extent") for _ in range(dimensions)]
    elements = 1
    for extent in inner:
        elements *= extent
        if elements > MAX_ELEMENTS or extent > MAX_ELEMENTS:
            raise _lie("gguf-bad-shape", "the shape overflows", at)
    return _Entry(
        name, tuple(reversed(inner)), cursor.number("I", "a type"), cursor.number("Q", "an offset")
    )


def _check_names(entries: list[_Entry], where: str) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise _lie("gguf-duplicate-name", f"the tensor {shown(entry.name)} appears twice", where)
        seen.add(entry.name)


def _tensor(entry: _Entry, start: int, alignment: int, file: ByteFile) -> TensorRef:
    at = f"{file.where}: {shown(entry.name)}"
    elements = 1
    for extent in entry.shape:
        elements *= extent
    if entry.kind in _PLAIN:
        dtype, encoding = _PLAIN[entry.kind], ""
        nbytes = elements * dtype.itemsize
    elif entry.kind in _BLOCKS:
        encoding, block, size = _BLOCKS[entry.kind]
        dtype = DType.F32
        if not entry.shape or entry.shape[-1] % block:
            message = f"rows of {entry.shape[-1:] or 'one'} elements are no whole blocks of {encoding}"
            raise _lie("gguf-bad-shape", message, at)
        nbytes = elements // block * size
    else:
        raise _lie("gguf-unknown-type", f"tensors of type {entry.kind} are not read", at)
    if entry.offset % alignment:
        raise _lie("gguf-alignment", f"offset {entry.offset:,} is no multiple of {alignment}", at)
    begin = start + entry.offset
    if begin + nbytes > file.size:
        message = f"its data end at {begin + nbytes:,}, the file at {file.size:,}: it is truncated"
        raise _lie("gguf-truncated", message, at)
    return TensorRef(entry.name, dtype, entry.shape, file.name, begin, begin + nbytes, encoding)


def _check_layout(tensors: list[TensorRef], start: int, alignment: int, file: ByteFile) -> tuple[str, ...]:
    """No two tensors share bytes. Bytes that belong to none are told: the format does not forbid them."""
    position, unused = start, 0
    for tensor in tensors:
        if tensor.begin < position and tensor.end > tensor.begin:
            at = f"{file.where}: {shown(tensor.name)}"
            raise _lie("gguf-overlap", "its data overlap another tensor's", at)
        unused += max(0, tensor.begin - -(-position // alignment) * alignment)
        position = max(position, tensor.end)
    unused += max(0, file.size - -(-position // alignment) * alignment)
    return (f"{file.name}: {unused:,} bytes belong to no tensor",) if unused else ()
