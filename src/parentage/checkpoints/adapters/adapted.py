"""A base and an adapter over it as one checkpoint, whose tensors are the merged ones."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from parentage.checkpoints.adapters.settings import CONFIG, AdapterSettings, read_settings
from parentage.checkpoints.adapters.targets import Factors, Targets, sort_parts
from parentage.checkpoints.byte_files import ByteFile, Folder, Span
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.formats.safetensors_header import shown
from parentage.errors import CheckpointError
from parentage.records.dtypes import DType
from parentage.records.tensors import Adapted, TensorRef

__all__ = ["ADAPTER_FOLDER", "AdaptedCheckpoint"]

# The adapter's files stand in the list of the model's as if they lay in a folder beside the base's.
ADAPTER_FOLDER: Final = "adapter/"
_MERGED_IN: Final = (DType.BF16, DType.F16, DType.F32)


class AdaptedCheckpoint(Checkpoint):
    """``base`` with ``adapter`` merged in; closing it closes both.

    Raises ``CheckpointError``: ``adapter-config``, ``adapter-kind``, ``adapter-factors``,
    ``adapter-other-model``.
    """

    def __init__(
        self, base: Checkpoint, adapter: Checkpoint, settings: AdapterSettings | None = None
    ) -> None:
        self.base, self.adapter = base, adapter
        self.settings = read_settings(adapter) if settings is None else settings
        self.folder = _Pair(base, adapter)
        self.locator = self.folder.locator
        self._lock = threading.Lock()
        self._files = {
            **base._files,
            **{f"{ADAPTER_FOLDER}{name}": file for name, file in adapter._files.items()},
        }
        self.bytes_read = 0
        self.as_remote = base.as_remote or adapter.as_remote
        self.shards = (
            *base.shards,
            *(replace(s, name=f"{ADAPTER_FOLDER}{s.name}") for s in adapter.shards),
        )
        self.metadata, self.unread, self.config = base.metadata, base.unread, base.config
        self._inside = base._inside
        self._oddities = [*base.oddities, *(f"adapter: {o}" for o in adapter.oddities)]
        held = {name: _moved(ref) for name, ref in adapter.tensors.items()}
        self.tensors: Mapping[str, TensorRef] = MappingProxyType(
            {**base.tensors, **dict(_changed(base, held, self.settings, adapter.locator))}
        )
        self.parts: Mapping[str, TensorRef] = MappingProxyType({**base.parts, **held})

    @property
    def adapted(self) -> tuple[str, ...]:
        """The tensors that the adapter changes or replaces, in file order."""
        return tuple(name for name, ref in self.tensors.items() if ref.adapted is not None)


class _Pair:
    """Both folders as one; see :class:`Folder`. What lies beside the weights is the base's."""

    weight_map: Mapping[str, str] | None = None

    def __init__(self, model: Checkpoint, over: Checkpoint) -> None:
        base, adapter = model.folder, over.folder
        self._base, self._adapter = base, adapter
        self._files_of_adapter = tuple(over._files.values())
        self.locator = f"{base.locator}+{adapter.locator}"
        self.where = f"{base.where}+{adapter.where}"
        revisions = [r for r in (base.revision, adapter.revision) if r is not None]
        self.revision = "+".join(revisions) if revisions else None
        self.remote = base.remote or adapter.remote
        self.files = (*base.files, *(f"{ADAPTER_FOLDER}{name}" for name in adapter.files))
        self.side_files = base.side_files
        self.oddities = base.oddities

    @property
    def bytes_read(self) -> int:
        return self._base.bytes_read + self._adapter.bytes_read

    @property
    def requests(self) -> int:
        return self._base.requests + self._adapter.requests

    def open(self, name: str) -> ByteFile:
        folder, own = self._of(name)
        return folder.open(own)

    def open_beside(self, name: str) -> ByteFile:
        folder, own = self._of(name)
        return folder.open_beside(own)

    def _of(self, name: str) -> tuple[Folder, str]:
        if name.startswith(ADAPTER_FOLDER):
            return self._adapter, name.removeprefix(ADAPTER_FOLDER)
        return self._base, name

    def announce_all(self, spans: Sequence[tuple[ByteFile, Sequence[Span]]]) -> None:
        """Each folder fetches its own files."""
        for folder, mine in ((self._base, False), (self._adapter, True)):
            own = [(file, wanted) for file, wanted in spans if self._is_adapters(file) is mine]
            if own:
                folder.announce_all(own)

    def _is_adapters(self, file: ByteFile) -> bool:
        return any(file is one for one in self._files_of_adapter)

    def read_side_file(self, name: str, limit: int) -> bytes:
        return self._base.read_side_file(name, limit)

    def close(self) -> None:
        self._base.close()
        self._adapter.close()


def _moved(ref: TensorRef) -> TensorRef:
    """The adapter's tensor under the name that its file has here."""
    if ref.shard == "" or ref.dequantised is not None or ref.dtype not in _MERGED_IN:
        raise CheckpointError(
            f"{shown(ref.name)} is kept as {ref.stored_as}; factors are floats of 16 or 32 bits",
            code="adapter-factors",
            where=ref.shard,
            hint="have the tool that wrote the adapter write it as floats",
        )
    return replace(ref, shard=f"{ADAPTER_FOLDER}{ref.shard}")


def _changed(
    base: Checkpoint, held: Mapping[str, TensorRef], settings: AdapterSettings, where: str
) -> Iterator[tuple[str, TensorRef]]:
    parts, targets = sort_parts(held, where), Targets(base.tensors)
    seen: set[str] = set()
    for module, factors in parts.factors.items():
        name = targets.find(f"{module}.weight", where)
        yield name, _with_factors(base.tensors[name], factors, module, settings, where)
        seen.add(name)
    for wanted, saved in parts.saved.items():
        name = targets.find(wanted, where)
        if name in seen:
            raise _other(f"{shown(wanted)} is both changed and replaced by it", where)
        own = _mergeable(base.tensors[name], where)
        if saved.shape != own.shape:
            raise _other(
                f"{shown(wanted)} is {list(saved.shape)} in it, and {list(own.shape)} in the base",
                where,
            )
        yield name, _made(own, Adapted(own, saved=saved))


def _with_factors(
    own: TensorRef, factors: Factors, module: str, settings: AdapterSettings, where: str
) -> TensorRef:
    _mergeable(own, where)
    a, b = factors.a, factors.b
    assert a is not None
    assert b is not None
    if not (len(a.shape) == len(b.shape) == len(own.shape) == 2):
        raise _kind(f"{shown(own.name)} is no matrix: only those of linear layers are merged", where)
    rank, ways = a.shape[0], _ways(own, a, b)
    if not rank or b.shape[1] != rank or rank != settings.rank_of(module):
        raise CheckpointError(
            f"the factors of {shown(module)} have the ranks {a.shape[0]} and {b.shape[1]}; "
            f"{CONFIG} says {settings.rank_of(module):g}",
            code="adapter-factors",
            where=where,
            hint="fetch the adapter again: factors and config are of two adapters",
        )
    if not ways:
        raise _other(
            f"its factors for {shown(module)} make a matrix [{b.shape[0]}, {a.shape[1]}], and the base's "
            f"is {list(own.shape)}",
            where,
        )
    told = factors.embedding or settings.turned
    turned = told if len(ways) == 2 else ways[0]
    magnitude = _magnitude(own, factors, turned, where)
    scaling = settings.scaling_of(module, rank)
    return _made(own, Adapted(own, a, b, magnitude, scaling, turned, factors.embedding))


def _ways(own: TensorRef, a: TensorRef, b: TensorRef) -> list[bool]:
    """Turned or not: the ways in which the factors' product fits the base's matrix."""
    made = (b.shape[0], a.shape[1])
    return [turned for turned in (False, True) if (made[::-1] if turned else made) == own.shape]


def _magnitude(own: TensorRef, factors: Factors, turned: bool, where: str) -> TensorRef | None:
    """DoRA's lengths; of matrices kept the other way round peft adds the squares in another order."""
    found = factors.magnitude
    if found is None:
        return None
    if turned:
        raise _kind(f"DoRA on {shown(own.name)}, an embedding or kept as [in, out], is not merged", where)
    if found.elements != own.shape[0]:
        raise _other(
            f"it scales {found.elements} rows of {shown(own.name)}, which has {own.shape[0]}", where
        )
    return found


def _mergeable(own: TensorRef, where: str) -> TensorRef:
    if own.dtype not in _MERGED_IN or own.encoding or own.dequantised is not None:
        raise _kind(
            f"the base keeps {shown(own.name)} as {own.stored_as}: nothing is merged into that", where
        )
    return own


def _made(own: TensorRef, how: Adapted) -> TensorRef:
    """In the base's place; how that is presented is for the base's own reference to know."""
    return replace(own, transposed=False, pieces=(), order=None, adapted=how)


def _other(message: str, where: str) -> CheckpointError:
    hint = "name the base that the adapter was trained over"
    return CheckpointError(message, code="adapter-other-model", where=where, hint=hint)


def _kind(message: str, where: str) -> CheckpointError:
    hint = "merge it into its base with the tool that trained it, and name the result"
    return CheckpointError(message, code="adapter-kind", where=where, hint=hint)
