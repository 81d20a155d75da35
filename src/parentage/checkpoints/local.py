"""Local safetensors checkpoints: named tensors read by slice, never whole, never executed.

Data are read with ``pread`` and never mapped: mapped pages would count as ours, and a file cut
short under a map kills the process.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.places import Place, find_place, load_json_file, open_file, safe_file
from parentage.checkpoints.safetensors_header import parse_header, parse_length, shown
from parentage.errors import (
    CheckpointError,
    IndexFileError,
    InputMissingError,
    ParentageError,
    ReadError,
)
from parentage.records.tensors import ShardRef, TensorRef

__all__ = ["Checkpoint", "open_checkpoint"]

HASH_BLOCK = 8 * 2**20
SIDE_FILES = (
    "config.json",
    "generation_config.json",
    "README.md",
    "mergekit_config.yml",
    "LICENSE",
)
SIDE_ENDINGS = (".jinja", ".model", ".txt")
STILL_WRITTEN = "wait until it is no longer written, then begin again"


def _not_read(error: OSError, where: str) -> ReadError:
    return ReadError(
        f"cannot be read: {error.strerror}", code="read-failed", where=where, hint="check the disk"
    )


class Checkpoint:
    """An opened checkpoint; use as a context manager. Reading is safe from several threads."""

    def __init__(self, path: Path, place: Place) -> None:
        self.locator = str(path)
        self._place = place
        self._lock = threading.Lock()
        self._files: dict[str, int] = {}
        self._stamps: dict[str, tuple[int, int]] = {}
        self.bytes_read = 0
        self.shards: tuple[ShardRef, ...] = ()
        self.metadata: dict[str, str] = {}
        self._oddities = list(place.oddities)
        tensors: dict[str, TensorRef] = {}
        try:
            for name in place.files:
                self._open_shard(name, tensors)
            self._check_index(tensors)
            self.config = self._config()
        except BaseException:
            self.close()
            raise
        self.tensors: Mapping[str, TensorRef] = MappingProxyType(dict(sorted(tensors.items())))

    @property
    def oddities(self) -> tuple[str, ...]:
        """What is unusual but no error."""
        return tuple(self._oddities)

    @property
    def folder(self) -> Path:
        """The folder that the weights lie in."""
        return self._place.folder

    @property
    def revision(self) -> str | None:
        """The commit, when the folder is a snapshot in the hub's cache."""
        folder = self._place.folder.absolute()
        return folder.name if folder.parent.name == "snapshots" else None

    @property
    def files(self) -> tuple[str, ...]:
        """Config, tokenizer, card, template and recipe files that lie beside the weights."""
        found = []
        for path in sorted(self._place.folder.iterdir()):
            named = path.name in SIDE_FILES or path.name.startswith("tokenizer")
            if (named or path.suffix in SIDE_ENDINGS) and os.path.isfile(path):
                found.append(path.name)
        return tuple(found)

    def read_text(self, name: str, limit: int = 4 * 2**20) -> str:
        """The first ``limit`` bytes of a side file, decoded as UTF-8 with replacement."""
        number = open_file(safe_file(self._place.folder, name))
        with os.fdopen(number, "rb") as stream:
            try:
                return stream.read(limit).decode("utf-8", errors="replace")
            except OSError as error:
                raise _not_read(error, name) from None

    def _open_shard(self, name: str, tensors: dict[str, TensorRef]) -> None:
        folder = self._place.folder
        path = folder / name if self._place.as_named else safe_file(folder, name)
        where = str(path)
        number = self._files[name] = open_file(path)
        status = os.fstat(number)
        self._stamps[name] = (status.st_size, status.st_mtime_ns)
        try:
            length = parse_length(os.pread(number, 8, 0), status.st_size, where)
            raw = os.pread(number, length, 8)
        except OSError as error:
            raise InputMissingError(
                f"cannot be read: {error.strerror}",
                code="input-unreadable",
                where=where,
                hint="check the disk",
            ) from None
        if len(raw) < length:
            raise ReadError(
                "the file became shorter while it was read",
                code="read-short",
                where=where,
                hint=STILL_WRITTEN,
            )
        found, metadata = parse_header(raw, file_size=status.st_size, where=where)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(number, 0, 0, os.POSIX_FADV_RANDOM)
        self.shards = (*self.shards, ShardRef(name, status.st_size, length + 8))
        self.metadata.update(metadata)
        for tensor in found:
            if tensor.name in tensors:
                message = f"{shown(tensor.name)} is also in {shown(tensors[tensor.name].shard)}"
                raise CheckpointError(
                    message,
                    code="duplicate-tensor",
                    where=where,
                    hint="keep the files of one model only, or name one file",
                )
            tensors[tensor.name] = replace(tensor, shard=name)

    def _check_index(self, tensors: dict[str, TensorRef]) -> None:
        mapping = self._place.weight_map
        if mapping is None:
            return
        for name, shard in sorted(mapping.items()):
            if name not in tensors or tensors[name].shard != shard:
                raise IndexFileError(
                    f"the index says that {shown(name)} is in {shown(shard)}, and it is not",
                    code="index-wrong-shard",
                    where=self.locator,
                    hint="fetch the index and the shard again",
                )
        extra = sorted(set(tensors) - set(mapping))
        self._oddities += [f"{name}: in a shard, not in the index" for name in extra]

    def _config(self) -> dict[str, Any] | None:
        folder = self._place.folder
        if not os.path.lexists(folder / "config.json"):
            return None
        try:
            loaded = load_json_file(safe_file(folder, "config.json"))
        except ParentageError as error:
            self._oddities.append(f"config.json: {error.message}")
            return None
        return loaded if isinstance(loaded, dict) else None

    def read(self, name: str, start: int, count: int) -> NDArray[np.unsignedinteger]:
        """Storage bits of elements [start, start + count) as a fresh 1-D array."""
        out = np.empty(count, dtype=self.tensors[name].dtype.storage)
        self.read_into(name, start, out)
        return out

    def read_into(self, name: str, start: int, out: NDArray[np.unsignedinteger]) -> None:
        """Fill a contiguous 1-D array of the tensor's storage dtype from element ``start``."""
        tensor = self.tensors[name]
        if start < 0 or start + out.size > tensor.elements:
            message = f"elements {start:,} to {start + out.size:,} of {tensor.elements:,}"
            raise ReadError(
                f"a slice outside the tensor: {message}",
                code="read-range",
                where=shown(name),
                hint="this is our mistake: please report it",
            )
        view = out.data.cast("B") if out.size else memoryview(b"")
        offset = tensor.begin + start * tensor.dtype.itemsize
        number = self._files[tensor.shard]
        while len(view):
            try:
                got = os.preadv(number, [view], offset)
            except OSError as error:
                raise _not_read(error, tensor.shard) from None
            if got == 0:
                raise ReadError(
                    "the file became shorter while it was read",
                    code="read-short",
                    where=f"{tensor.shard}: {shown(name)}",
                    hint=STILL_WRITTEN,
                )
            view, offset = view[got:], offset + got
        with self._lock:
            self.bytes_read += out.nbytes

    def announce(self, name: str, start: int, count: int) -> None:
        """Elements [start, start + count) will be read soon: the system may fetch them meanwhile."""
        tensor = self.tensors[name]
        if hasattr(os, "posix_fadvise"):
            size = tensor.dtype.itemsize
            offset = tensor.begin + start * size
            os.posix_fadvise(self._files[tensor.shard], offset, count * size, os.POSIX_FADV_WILLNEED)

    def read_blocks(self, name: str, starts: NDArray[np.int64], length: int) -> NDArray[np.unsignedinteger]:
        """Runs of ``length`` elements at ``starts`` as [len(starts), length]."""
        out = np.empty((len(starts), length), dtype=self.tensors[name].dtype.storage)
        for row, start in zip(out, starts, strict=True):
            self.read_into(name, int(start), row)
        return out

    def sha256(self, progress: Callable[[int], None] | None = None) -> dict[str, str]:
        """SHA-256 of every weight file, streamed; raises ``read-changed`` when one was modified."""
        found = {}
        for shard in self.shards:
            digest = hashlib.sha256()
            for _, block in self.blocks(shard):
                digest.update(block)
                if progress is not None:
                    progress(len(block))
            found[shard.name] = digest.hexdigest()
        return found

    def blocks(self, shard: ShardRef) -> Iterator[tuple[int, bytes]]:
        """A weight file from its first byte to its last, as (offset, bytes); raises ``read-changed``
        when it was modified since it was opened."""
        offset, number = 0, self._files[shard.name]
        while block := self._block(number, offset, shard.name):
            yield offset, block
            offset += len(block)
        status = os.fstat(number)
        if (status.st_size, status.st_mtime_ns) != self._stamps[shard.name]:
            raise ReadError(
                "the file changed while it was examined",
                code="read-changed",
                where=shard.name,
                hint=STILL_WRITTEN,
            )

    @staticmethod
    def _block(number: int, offset: int, where: str) -> bytes:
        try:
            return os.pread(number, HASH_BLOCK, offset)
        except OSError as error:
            raise _not_read(error, where) from None

    def close(self) -> None:
        """Close all files; safe to call twice."""
        for number in self._files.values():
            os.close(number)
        self._files = {}

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Open a safetensors file, or a folder that holds one or several; headers only are read."""
    location = Path(path)
    return Checkpoint(location, find_place(location))
