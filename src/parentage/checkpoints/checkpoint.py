"""An opened checkpoint: named tensors of one model, read by slice, never whole, never executed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.adapters.reading import adapted_parts, read_adapted
from parentage.checkpoints.byte_files import ByteFile, Folder, HeldFile, Span
from parentage.checkpoints.formats.dequantised import decode, stored_parts
from parentage.checkpoints.formats.gguf_places import split_oddities
from parentage.checkpoints.formats.headers import Header, OpenBeside, read_header
from parentage.checkpoints.formats.onnx_header import DECODED
from parentage.checkpoints.formats.packed import packed_parts, read_packed
from parentage.checkpoints.formats.safetensors_header import shown
from parentage.checkpoints.formats.scales import Found, apply_scales, told_by
from parentage.checkpoints.layouts import Run, read_tile, runs_of, tiles_of
from parentage.checkpoints.local_files import LocalFile
from parentage.checkpoints.orders import ordered_parts, ordered_tiles, read_ordered
from parentage.checkpoints.remote.remote_errors import at_opening
from parentage.checkpoints.shifts import read_shifted
from parentage.errors import (
    CheckpointError,
    IndexFileError,
    InputMissingError,
    ParentageError,
    ReadError,
)
from parentage.records.tensors import ShardRef, TensorRef

__all__ = ["Checkpoint", "Slices", "spans_of", "stored_runs"]

MAX_CONFIG = 64 * 2**20
Bits = NDArray[np.unsignedinteger]


@dataclass(frozen=True, slots=True)
class Slices:
    """Runs of ``length`` elements of a tensor at ``starts``."""

    tensor: TensorRef
    starts: NDArray[np.int64]
    length: int


def spans_of(slices: Sequence[Slices]) -> dict[str, list[Span]]:
    """The bytes that hold them, by weight file."""
    spans: dict[str, list[Span]] = {}
    for part in slices:
        for run in _runs_of_slices(part):
            spans.setdefault(run.source.shard, []).extend(run.spans)
    return spans


def _runs_of_slices(part: Slices) -> Iterator[Run]:
    tiles = ordered_tiles(part.tensor, part.starts, part.length)
    if tiles is None:
        for start in part.starts:
            yield from stored_runs(part.tensor, int(start), part.length)
    for tile in tiles or ():
        for stored in tile.parts():
            yield from stored_runs(*stored)


def stored_runs(tensor: TensorRef, start: int, count: int) -> Iterator[Run]:
    """Runs of what the files hold: codes and scales in place of the weights that they make."""
    for run in runs_of(tensor, start, count):
        if run.source.order is not None:
            for part in ordered_parts(run.source, run.start, run.count):
                yield from stored_runs(*part)
            continue
        if run.source.adapted is not None:
            for part in adapted_parts(run.source, run.start, run.count):
                yield from stored_runs(*part)
            continue
        if run.source.shifted is not None:
            yield from stored_runs(run.source.shifted.source, run.start, run.count)
            continue
        if run.source.packed is not None:
            for part in packed_parts(run.source, run.start, run.count):
                yield from stored_runs(*part)
            continue
        if run.source.dequantised is None:
            yield run
            continue
        for part in stored_parts(run.source, run.start, run.count):
            yield from stored_runs(*part)


class Checkpoint:
    """An opened checkpoint; use as a context manager. Reading is safe from several threads."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.locator = folder.locator
        self._lock = threading.Lock()
        self._files: dict[str, ByteFile] = {}
        self.bytes_read = 0
        self.as_remote = False
        self.shards: tuple[ShardRef, ...] = ()
        self.metadata: dict[str, str] = {}
        self._oddities = list(folder.oddities)
        self.unread: dict[str, str] = {}
        self._told: dict[str, Any] = {}
        self._inside: dict[str, bytes] = {}
        tensors: dict[str, TensorRef] = {}
        try:
            for name in folder.files:
                self._open_shard(name, tensors)
            self._oddities += split_oddities(self.metadata, len(self.shards))
            self._check_index(tensors)
            self.config = self._config()
            found = self._through_scales(tensors)
        except BaseException:
            self.close()
            raise
        self.tensors: Mapping[str, TensorRef] = MappingProxyType(found.weights)
        self.parts: Mapping[str, TensorRef] = MappingProxyType(found.parts)
        """Scales, zero points and shapes of tensors that are read through them."""
        self._oddities += found.oddities

    @property
    def oddities(self) -> tuple[str, ...]:
        """What is unusual but no error."""
        return tuple(self._oddities)

    @property
    def remote(self) -> bool:
        """Reading takes requests over a network."""
        return self.folder.remote

    @property
    def by_range(self) -> bool:
        """Little is read of it: over a network, or as it was there when evidence of it was made."""
        return self.remote or self.as_remote

    @property
    def revision(self) -> str | None:
        """The commit, where the place has such."""
        return self.folder.revision

    @property
    def files(self) -> tuple[str, ...]:
        """Config, tokenizer, card, template and recipe files that lie beside the weights."""
        return tuple(self.side_files)

    @property
    def side_files(self) -> Mapping[str, int | None]:
        """The same with their sizes, where known; those inside a weight file yield to those beside it."""
        return {**{name: len(raw) for name, raw in self._inside.items()}, **self.folder.side_files}

    def where(self, shard: str) -> str:
        """The path or address of a weight file."""
        return self._files[shard].where

    def version(self, shard: str) -> str | None:
        """Names the bytes of a weight file as they were opened; None where nothing tells."""
        return self._files[shard].version

    def read_text(self, name: str, limit: int = 4 * 2**20) -> str:
        """The first ``limit`` bytes of a side file, decoded as UTF-8 with replacement."""
        if name in self._inside and name not in self.folder.side_files:
            return self._inside[name][:limit].decode("utf-8", errors="replace")
        return self.folder.read_side_file(name, limit).decode("utf-8", errors="replace")

    def _open_shard(self, name: str, tensors: dict[str, TensorRef]) -> None:
        file = self._files[name] = self.folder.open(name)
        header = _header_of(file, self._open_beside)
        self._add_shard(file, header.nbytes)
        if header.decoded:
            held = HeldFile(f"{name}{DECODED}", file.where, header.decoded)
            self._files[held.name] = held
        self.metadata.update(header.metadata)
        self._oddities += header.oddities
        self._oddities += [f"{n}: not read: {reason}" for n, reason in sorted(header.unread.items())]
        self.unread.update(header.unread)
        self._told = {**header.config, **self._told}
        self._inside = {**header.side_files, **self._inside}
        for tensor in header.tensors:
            if tensor.name in tensors:
                message = f"{shown(tensor.name)} is also in {shown(tensors[tensor.name].shard)}"
                raise CheckpointError(
                    message,
                    code="duplicate-tensor",
                    where=file.where,
                    hint="keep the files of one model only, or name one file",
                )
            tensors[tensor.name] = tensor

    def _open_beside(self, name: str) -> ByteFile:
        """A file that holds data of a weight file, opened once."""
        if name not in self._files:
            self._files[name] = self.folder.open_beside(name)
            self._add_shard(self._files[name], 0)
        return self._files[name]

    def _add_shard(self, file: ByteFile, header_bytes: int) -> None:
        found = ShardRef(file.name, file.size, header_bytes, file.published_sha256 or "")
        self.shards = (*self.shards, found)

    def _check_index(self, tensors: dict[str, TensorRef]) -> None:
        mapping = self.folder.weight_map
        if mapping is None:
            return
        for name, shard in sorted(mapping.items()):
            if name in self.unread:
                continue
            if name not in tensors or shard not in _files_of(tensors[name]):
                raise IndexFileError(
                    f"the index says that {shown(name)} is in {shown(shard)}, and it is not",
                    code="index-wrong-shard",
                    where=self.folder.where,
                    hint="fetch the index and the shard again",
                )
        extra = sorted(set(tensors) - set(mapping))
        self._oddities += [f"{name}: in a shard, not in the index" for name in extra]

    def _config(self) -> dict[str, Any] | None:
        if "config.json" not in self.folder.side_files:
            return self._told or None
        try:
            raw = self.folder.read_side_file("config.json", MAX_CONFIG + 1)
            if len(raw) > MAX_CONFIG:
                self._oddities.append(f"config.json: more than {MAX_CONFIG:,} bytes")
                return None
            loaded = json.loads(raw)
        except ParentageError as error:
            self._oddities.append(f"config.json: {error.message}")
            return None
        except (ValueError, RecursionError):
            self._oddities.append("config.json: it is not JSON")
            return None
        return loaded if isinstance(loaded, dict) else None

    def _through_scales(self, tensors: dict[str, TensorRef]) -> Found:
        wanted = told_by(tensors)
        self.announce_all([Slices(t, np.zeros(1, np.int64), t.elements) for t in wanted])
        told = {t.name: self.read(t, 0, t.elements) for t in wanted}
        return apply_scales(dict(sorted(tensors.items())), self.config, told)

    def _ref(self, tensor: TensorRef | str) -> TensorRef:
        if not isinstance(tensor, str):
            return tensor
        return self.parts[tensor] if tensor in self.parts else self.tensors[tensor]

    def read(self, tensor: TensorRef | str, start: int, count: int) -> Bits:
        """Storage bits of elements [start, start + count) as a fresh 1-D array; the tensor, or its name."""
        tensor = self._ref(tensor)
        out = np.empty(count, dtype=tensor.dtype.storage)
        self.read_into(tensor, start, out)
        return out

    def read_into(self, tensor: TensorRef | str, start: int, out: Bits) -> None:
        """Fill a contiguous 1-D array of the tensor's storage dtype from element ``start``."""
        tensor = self._ref(tensor)
        if start < 0 or start + out.size > tensor.elements:
            message = f"elements {start:,} to {start + out.size:,} of {tensor.elements:,}"
            raise ReadError(
                f"a slice outside the tensor: {message}",
                code="read-range",
                where=shown(tensor.name),
                hint="this is our mistake: please report it",
            )
        read = 0
        for run in runs_of(tensor, start, out.size):
            if run.source.order is not None:
                out[run.at : run.at + run.count] = read_ordered(run.source, run.start, run.count, self.read)
                continue
            if run.source.shifted is not None:
                out[run.at : run.at + run.count] = read_shifted(run.source, run.start, run.count, self.read)
                continue
            if run.source.packed is not None:
                out[run.at : run.at + run.count] = read_packed(run.source, run.start, run.count, self.read)
                continue
            if run.source.dequantised is not None:
                found = decode(run.source, run.start, run.count, self.read)
                out[run.at : run.at + run.count] = found.view(out.dtype)
                continue
            if run.source.adapted is not None:
                made = read_adapted(run.source, run.start, run.count, self.read)
                out[run.at : run.at + run.count] = made
                continue
            read += run.read_into(self._files[run.source.shard], out)
        with self._lock:
            self.bytes_read += read

    def descriptor(self, tensor: TensorRef, start: int, count: int) -> tuple[int, int] | None:
        """The descriptor of a local file and the offset in it, where these elements lie as they are read
        and in one piece; None elsewhere."""
        run = next(runs_of(tensor, start, count), None)
        if run is None or run.count != count or start + count > tensor.elements:
            return None
        source = run.source
        file = self._files.get(source.shard)
        changed = any(how is not None for how in (source.adapted, source.packed, source.shifted))
        made = source.dequantised is not None or changed
        plain = not (source.transposed or source.encoding or made)
        return (file.descriptor, run.span[0]) if plain and isinstance(file, LocalFile) else None

    def announce(self, tensor: TensorRef | str, start: int, count: int) -> None:
        """Elements [start, start + count) will be read soon."""
        self.announce_blocks(tensor, np.array([start], np.int64), count)

    def announce_blocks(self, tensor: TensorRef | str, starts: NDArray[np.int64], length: int) -> None:
        """Runs of ``length`` elements at ``starts`` will be read soon: they may be fetched together."""
        tensor = self._ref(tensor)
        self.announce_all([Slices(tensor, starts, length)])

    def announce_all(self, slices: Sequence[Slices]) -> None:
        """All of these will be read soon; a remote place fetches them together, over all files."""
        there = [(self._files[shard], spans) for shard, spans in spans_of(slices).items()]
        self.folder.announce_all([(f, spans) for f, spans in there if not isinstance(f, HeldFile)])

    def read_blocks(self, tensor: TensorRef | str, starts: NDArray[np.int64], length: int) -> Bits:
        """Runs of ``length`` elements at ``starts`` as [len(starts), length]."""
        tensor = self._ref(tensor)
        out = np.empty((len(starts), length), dtype=tensor.dtype.storage)
        if self.remote:
            self.announce_blocks(tensor, starts, length)
        tiles = tiles_of(tensor, starts, length)
        if tiles is not None:
            file = self._files[tensor.shard]
            read = sum(read_tile(tensor, file, int(starts[a]), out[a:b]) for a, b in tiles)
            with self._lock:
                self.bytes_read += read
            return out
        ordered = ordered_tiles(tensor, starts, length)
        if ordered is not None:
            ends = np.cumsum([tile.rows.size for tile in ordered])
            for tile, end in zip(ordered, ends, strict=True):
                tile.read_into(out[end - tile.rows.size : end], self.read)
            return out
        for row, start in zip(out, starts, strict=True):
            self.read_into(tensor, int(start), row)
        return out

    def blocks(self, shard: ShardRef) -> Iterator[tuple[int, bytes | memoryview]]:
        """A weight file from its first byte to its last, as (offset, bytes), each good until the next is
        asked for; raises ``read-changed`` when it was modified since it was opened."""
        return self._files[shard.name].blocks()

    def head(self, shard: ShardRef) -> bytes:
        """The header of a weight file, byte by byte."""
        found = bytearray(shard.header_bytes)
        self._files[shard.name].read_into(0, memoryview(found))
        return bytes(found)

    def close(self) -> None:
        """Close all files; safe to call twice."""
        for file in self._files.values():
            file.close()
        self._files = {}
        self.folder.close()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _files_of(tensor: TensorRef) -> set[str]:
    return {piece.source.shard for piece in tensor.pieces} or {tensor.shard}


def _header_of(file: ByteFile, open_beside: OpenBeside) -> Header:
    """A file whose very header cannot be read is no input."""
    try:
        return read_header(file, open_beside)
    except ReadError as error:
        if error.code != "read-failed":
            raise at_opening(error) from None
        raise InputMissingError(
            error.message, code="input-unreadable", where=error.where, hint=error.hint
        ) from None
