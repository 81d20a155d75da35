"""One weight file's header, whatever its format: found by its first bytes, never by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from parentage.checkpoints.byte_files import ByteFile
from parentage.checkpoints.onnx_header import is_onnx, read_onnx
from parentage.checkpoints.places import CONVERT
from parentage.checkpoints.safetensors_header import parse_header, parse_length
from parentage.errors import HeaderError
from parentage.records.tensors import TensorRef

__all__ = ["Header", "read_header"]


OpenBeside = Callable[[str], ByteFile]
# Files with these endings hold safetensors, or are what nobody knows.
UNNAMED = (".bin", ".pt", ".pth", ".ckpt", ".onnx", ".gguf", ".h5", ".msgpack")


@dataclass(frozen=True, slots=True)
class Header:
    """Tensors in the order of their data, string metadata, the header's size, and what is unusual.

    ``decoded``: numbers that the header itself holds; tensors in the file ``<name>#decoded`` lie there.
    ``unread``: tensors that are there and cannot be read, each with a reason.
    """

    tensors: tuple[TensorRef, ...]
    metadata: dict[str, str]
    nbytes: int
    oddities: tuple[str, ...] = ()
    decoded: bytes = b""
    unread: Mapping[str, str] = field(default_factory=dict)


def read_header(file: ByteFile, open_beside: OpenBeside) -> Header:
    """Read and check the header; raises ``HeaderError`` or ``ReadError``.

    ``open_beside`` opens another file of the same folder, which holds some of the data.
    """
    first = _read(file, 0, min(9, file.size))
    if first[4:] == b"\0\0\0\0{":
        return _safetensors(file, first)
    if is_onnx(first):
        found = read_onnx(file, open_beside)
        return Header(
            found.tensors, found.metadata, found.nbytes, found.oddities, found.decoded, found.unread
        )
    if file.name.endswith(UNNAMED):
        raise HeaderError(
            "it begins like no format that is read: safetensors, ONNX",
            code="format-not-read",
            where=file.where,
            hint=CONVERT,
        )
    return _safetensors(file, first)


def _safetensors(file: ByteFile, first: bytes) -> Header:
    length = parse_length(first[:8], file.size, file.where)
    found, metadata = parse_header(_read(file, 8, length), file_size=file.size, where=file.where)
    return Header(tuple(replace(t, shard=file.name) for t in found), metadata, length + 8)


def _read(file: ByteFile, offset: int, count: int) -> bytes:
    raw = bytearray(count)
    file.read_into(offset, memoryview(raw))
    return bytes(raw)
