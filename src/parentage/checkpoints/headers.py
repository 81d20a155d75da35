"""One weight file's header, whatever its format: found by its first bytes, never by its name."""

from __future__ import annotations

from dataclasses import dataclass, replace

from parentage.checkpoints.byte_files import ByteFile
from parentage.checkpoints.safetensors_header import parse_header, parse_length
from parentage.records.tensors import TensorRef

__all__ = ["Header", "read_header"]


@dataclass(frozen=True, slots=True)
class Header:
    """Tensors in the order of their data, string metadata, the header's size, and what is unusual."""

    tensors: tuple[TensorRef, ...]
    metadata: dict[str, str]
    nbytes: int
    oddities: tuple[str, ...] = ()


def read_header(file: ByteFile) -> Header:
    """Read and check the header; raises ``HeaderError`` or ``ReadError``."""
    return _safetensors(file)


def _safetensors(file: ByteFile) -> Header:
    first = _read(file, 0, min(8, file.size))
    length = parse_length(first, file.size, file.where)
    found, metadata = parse_header(_read(file, 8, length), file_size=file.size, where=file.where)
    return Header(tuple(replace(t, shard=file.name) for t in found), metadata, length + 8)


def _read(file: ByteFile, offset: int, count: int) -> bytes:
    raw = bytearray(count)
    file.read_into(offset, memoryview(raw))
    return bytes(raw)
