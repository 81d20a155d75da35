"""One weight file's header, whatever its format: found by its first bytes, never by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from parentage.checkpoints.byte_files import ByteFile
from parentage.checkpoints.formats.gguf_header import MAGIC as GGUF
from parentage.checkpoints.formats.gguf_header import read_gguf
from parentage.checkpoints.formats.gguf_side import config_of, metadata_of, side_files_of
from parentage.checkpoints.formats.onnx_header import is_onnx, read_onnx
from parentage.checkpoints.formats.safetensors_header import parse_header, parse_length
from parentage.checkpoints.formats.torch_header import is_bare_pickle, read_torch
from parentage.checkpoints.formats.torch_zip import ZIP
from parentage.checkpoints.places import CONVERT
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
    ``config`` and ``side_files``: what a file that is a whole model says in place of the files beside it.
    """

    tensors: tuple[TensorRef, ...]
    metadata: dict[str, str]
    nbytes: int
    oddities: tuple[str, ...] = ()
    decoded: bytes = b""
    unread: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    side_files: Mapping[str, bytes] = field(default_factory=dict)


def read_header(file: ByteFile, open_beside: OpenBeside) -> Header:
    """Read and check the header; raises ``HeaderError`` or ``ReadError``.

    ``open_beside`` opens another file of the same folder, which holds some of the data.
    """
    first = _read(file, 0, min(9, file.size))
    if first[4:] == b"\0\0\0\0{":
        return _safetensors(file, first)
    # A file that is called so and begins otherwise is a broken one of this format, not one of another.
    if first[:4] == GGUF or file.name.endswith(".gguf"):
        return _gguf(file)
    if is_onnx(first):
        found = read_onnx(file, open_beside)
        return Header(
            found.tensors, found.metadata, found.nbytes, found.oddities, found.decoded, found.unread
        )
    if first[:4] == ZIP:
        saved = read_torch(file)
        return Header(saved.tensors, saved.metadata, saved.nbytes, saved.oddities, unread=saved.unread)
    if is_bare_pickle(first) and not file.name.endswith(".safetensors"):
        raise HeaderError(
            "a pickle outside of an archive, as PyTorch wrote before 1.6",
            code="torch-legacy",
            where=file.where,
            hint=CONVERT,
        )
    if file.name.endswith(UNNAMED):
        raise HeaderError(
            "it begins like no format that is read: safetensors, GGUF, PyTorch's archives, ONNX",
            code="format-not-read",
            where=file.where,
            hint=CONVERT,
        )
    return _safetensors(file, first)


def _gguf(file: ByteFile) -> Header:
    found = read_gguf(file)
    values = found.values
    return Header(
        found.tensors,
        metadata_of(values),
        found.nbytes,
        found.oddities,
        config=config_of(values),
        side_files=side_files_of(values),
    )


def _safetensors(file: ByteFile, first: bytes) -> Header:
    length = parse_length(first[:8], file.size, file.where)
    found, metadata = parse_header(_read(file, 8, length), file_size=file.size, where=file.where)
    return Header(tuple(replace(t, shard=file.name) for t in found), metadata, length + 8)


def _read(file: ByteFile, offset: int, count: int) -> bytes:
    raw = bytearray(count)
    file.read_into(offset, memoryview(raw))
    return bytes(raw)
