"""A checkpoint to be opened again in another process, on another machine, as the very same files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from parentage.checkpoints.adapters.adapted import ADAPTER_FOLDER, AdaptedCheckpoint
from parentage.checkpoints.adapters.settings import AdapterSettings
from parentage.checkpoints.byte_files import ByteFile, Span
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.local_files import LocalFile
from parentage.checkpoints.locators import at_revision
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import CheckpointError, ReadError
from parentage.records.tensors import ShardRef

__all__ = ["PinnedCheckpoint", "pin_checkpoint"]


@dataclass(frozen=True, slots=True)
class PinnedCheckpoint:
    """Where a checkpoint lies, and what is known of each weight file; plain data, safe to send.

    ``headed``: names of the files that have a header; others hold data that these point to.
    ``paths`` [shards]: absolute paths of a local checkpoint's files, the same on every machine that
    reads them; empty for one that is read over a network. ``layouts`` [shards]: digests of where which
    tensor lies. ``stamps`` [shards]: when they were last written, in nanoseconds, on the machine that
    pinned them; it tells that a file was replaced, and is not asked of copies elsewhere. ``over``: the
    adapter that is merged into it, with its ``settings``.
    """

    locator: str
    revision: str | None
    shards: tuple[ShardRef, ...]
    headed: tuple[str, ...]
    layouts: tuple[str, ...]
    paths: tuple[str, ...]
    stamps: tuple[int, ...]
    over: PinnedCheckpoint | None = None
    settings: AdapterSettings | None = None

    def holds(self, shard: str) -> bool:
        """Whether this file can be read here; what lies on a network can be everywhere."""
        if self.over is not None and shard.startswith(ADAPTER_FOLDER):
            return self.over.holds(shard.removeprefix(ADAPTER_FOLDER))
        if not self.paths:
            return True
        named = zip((s.name for s in self.shards), self.paths, strict=True)
        # What was decoded when a file was opened has a name that begins with the file's.
        return any(shard.startswith(name) and os.path.exists(path) for name, path in named)

    def open(self) -> Checkpoint:
        """Open what of it lies here; ``ReadError`` (``pinned-changed``) when a file is another one."""
        if self.over is not None:
            return self._open_with(self.over)
        if not self.paths:
            found = open_checkpoint(at_revision(self.locator, self.revision))
        else:
            found = self._open_here()
        known = dict(
            zip((s.name for s in self.shards), zip(self.shards, self.layouts, strict=True), strict=True)
        )
        for shard, layout in zip(found.shards, _layouts(found), strict=True):
            pinned = known.get(shard.name)
            if pinned is None or pinned[0].size != shard.size or pinned[1] != layout:
                found.close()
                raise _changed(f"{self.locator}: {shard.name}")
        return found

    def _open_with(self, over: PinnedCheckpoint) -> Checkpoint:
        base = replace(self, over=None).open()
        try:
            return AdaptedCheckpoint(base, over.open(), self.settings)
        except BaseException:
            base.close()
            raise

    def _open_here(self) -> Checkpoint:
        try:
            return Checkpoint(_PinnedFolder(self))
        except CheckpointError as error:
            # It was sound when it was pinned.
            raise _changed(f"{error.where}: {error.message}") from None


def _layouts(checkpoint: Checkpoint) -> tuple[str, ...]:
    digests = {shard.name: hashlib.sha256() for shard in checkpoint.shards}
    for ref in checkpoint.tensors.values():
        if ref.shard in digests:
            digests[ref.shard].update(repr(ref).encode())
    return tuple(digest.hexdigest() for digest in digests.values())


def _changed(where: str) -> ReadError:
    return ReadError(
        "a worker finds another file here than the one that is examined",
        code="pinned-changed",
        where=where,
        hint="give every machine the same files at the same paths",
    )


def pin_checkpoint(checkpoint: Checkpoint) -> PinnedCheckpoint:
    """Pin an opened checkpoint's files; ``ReadError`` (``read-failed``) when one is gone."""
    if isinstance(checkpoint, AdaptedCheckpoint):
        base, over = pin_checkpoint(checkpoint.base), pin_checkpoint(checkpoint.adapter)
        return replace(base, over=over, settings=checkpoint.settings)
    paths: tuple[str, ...] = ()
    if not checkpoint.remote:
        paths = tuple(os.path.abspath(checkpoint.where(s.name)) for s in checkpoint.shards)
    return PinnedCheckpoint(
        checkpoint.locator,
        checkpoint.revision,
        checkpoint.shards,
        tuple(checkpoint.folder.files),
        _layouts(checkpoint),
        paths,
        tuple(_stamp(path) for path in paths),
    )


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError as error:
        raise ReadError(
            f"cannot be found again: {error.strerror}",
            code="read-failed",
            where=path,
            hint="check the disk",
        ) from None


class _PinnedFolder:
    """Those of a local checkpoint's weight files that lie on this machine; see :class:`Folder`."""

    remote = False
    bytes_read = 0
    requests = 0
    weight_map: Mapping[str, str] | None = None
    oddities: tuple[str, ...] = ()

    def __init__(self, pinned: PinnedCheckpoint) -> None:
        self.locator = self.where = pinned.locator
        self.revision = pinned.revision
        named = zip((s.name for s in pinned.shards), pinned.paths, strict=True)
        self._paths = {name: path for name, path in named if os.path.exists(path)}
        self.files = tuple(name for name in pinned.headed if name in self._paths)
        self.side_files: Mapping[str, int | None] = {}

    def open(self, name: str) -> LocalFile:
        return LocalFile(name, Path(self._paths.get(name) or os.path.join(self.where, name)))

    def open_beside(self, name: str) -> LocalFile:
        return self.open(name)

    def announce_all(self, spans: Sequence[tuple[ByteFile, Sequence[Span]]]) -> None:
        for file, found in spans:
            file.announce(found)

    def read_side_file(self, name: str, limit: int) -> bytes:
        raise FileNotFoundError(name)

    def close(self) -> None:
        """Nothing is held."""
