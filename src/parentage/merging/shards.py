"""The output's weight files: which tensors go where, their headers, and the bytes, written in place.

A file is allocated whole under a ``.partial`` name, filled by position, flushed to the disk and renamed.
Its header says what the merge is made of; it is known before the first weight is written.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from parentage.errors import OutputError
from parentage.merging.flushing import Flusher
from parentage.merging.inputs import DEFAULT_SHARD_BYTES

if TYPE_CHECKING:
    from parentage.merging.planned import PlannedTensor

__all__ = ["Shard", "ShardFile", "index_of", "no_write", "split"]


@dataclass(frozen=True, slots=True)
class Shard:
    """A weight file and its tensors in order."""

    name: str
    tensors: tuple[PlannedTensor, ...]

    def header(self, metadata: Mapping[str, str]) -> bytes:
        """The safetensors header, its length included (huggingface/safetensors, README)."""
        entries: dict[str, Any] = {"__metadata__": dict(metadata)}
        position = 0
        for tensor in self.tensors:
            entries[tensor.name] = {
                "dtype": tensor.dtype.value,
                "shape": list(tensor.shape),
                "data_offsets": [position, position + tensor.nbytes],
            }
            position += tensor.nbytes
        text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return sum(t.nbytes for t in self.tensors)


def split(tensors: Sequence[PlannedTensor], limit: int = DEFAULT_SHARD_BYTES) -> tuple[Shard, ...]:
    """Files of at most ``limit`` bytes of tensors; a larger tensor has one of its own."""
    parts: list[list[PlannedTensor]] = [[]]
    size = 0
    for tensor in tensors:
        if parts[-1] and size + tensor.nbytes > limit:
            parts.append([])
            size = 0
        parts[-1].append(tensor)
        size += tensor.nbytes
    if len(parts) == 1:
        return (Shard("model.safetensors", tuple(parts[0])),)
    return tuple(
        Shard(f"model-{k:05}-of-{len(parts):05}.safetensors", tuple(part))
        for k, part in enumerate(parts, 1)
    )


def index_of(shards: Sequence[Shard], metadata: Mapping[str, str]) -> str:
    """``model.safetensors.index.json``, as transformers reads it."""
    names = {t.name: s.name for s in shards for t in s.tensors}
    total = sum(s.nbytes for s in shards)
    table = {"metadata": {"total_size": total, **metadata}, "weight_map": dict(sorted(names.items()))}
    return json.dumps(table, indent=2, ensure_ascii=False) + "\n"


class ShardFile:
    """A weight file in the making; a context manager that leaves the finished file, or nothing.

    Bytes are written at positions by any thread (``put``) and hashed in order by one (``hashed``).
    """

    def __init__(self, folder: Path, name: str, header: bytes, nbytes: int) -> None:
        self.path = folder / name
        self._partial = folder / f"{name}.partial"
        self._size = len(header) + nbytes
        self._begin = len(header)
        self._sha256 = hashlib.sha256(header)
        self._hashed = len(header)
        try:
            self._number = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            no_write(self._partial, error)
        self._flusher = Flusher(self._number)
        try:
            _allocate(self._number, self._size)
            _write_all(self._number, header, 0)
        except OSError as error:
            self._discard()
            no_write(self._partial, error)

    def put(self, position: int, data: memoryview) -> None:
        """Write ``data`` at ``position`` of the tensors' bytes."""
        try:
            _write_all(self._number, data, self._begin + position)
            self._flusher.wrote(len(data))
        except OSError as error:
            no_write(self._partial, error)

    def hashed(self, data: memoryview) -> None:
        """The next bytes in order, for the digest."""
        self._sha256.update(data)
        self._hashed += len(data)

    def __enter__(self) -> ShardFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._discard()

    def finish(self) -> str:
        """Flush, rename; the file's SHA-256 in hexadecimal."""
        assert self._hashed == self._size, (self._hashed, self._size)
        try:
            self._flusher.close()
            os.fsync(self._number)
            os.close(self._number)
            os.replace(self._partial, self.path)
        except OSError as error:
            no_write(self._partial, error)
        return self._sha256.hexdigest()

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            self._flusher.close()
        with contextlib.suppress(OSError):
            os.close(self._number)
        self._partial.unlink(missing_ok=True)


def _allocate(number: int, size: int) -> None:
    """Take the room now, so that a full disk is found before the work; where the system cannot, only the
    length is set."""
    try:
        os.posix_fallocate(number, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
        os.ftruncate(number, size)


def _write_all(number: int, data: bytes | memoryview, position: int) -> None:
    view = memoryview(data).cast("B")
    while view:
        written = os.pwrite(number, view, position)
        view, position = view[written:], position + written


def no_write(path: Path, error: OSError) -> NoReturn:
    """Say why a file of the output could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        raise OutputError(
            "the disk is full, or the file may not grow so large",
            code="output-no-space",
            where=str(path),
            hint="free some space or write elsewhere; finished shards are kept for the same command",
        ) from None
    raise OutputError(
        f"could not be written: {error.strerror or error}",
        code="output-not-written",
        where=str(path),
        hint="check that the folder may be written",
    ) from None


def chunks_of(data: memoryview, size: int = 2**20) -> Iterator[memoryview]:
    """``data`` in pieces."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
