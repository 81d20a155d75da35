"""A PyTorch file as a checkpoint: the tensors of its state dict, where their bytes lie in the archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from parentage.checkpoints.byte_files import ByteFile
from parentage.checkpoints.formats.safetensors_header import shown
from parentage.checkpoints.formats.torch_globals import Storage, Tensor
from parentage.checkpoints.formats.torch_pickle import MOST_PICKLE, read_pickle
from parentage.checkpoints.formats.torch_zip import TORCH_HINT, Member, read_members
from parentage.errors import HeaderError
from parentage.records.dtypes import DType
from parentage.records.tensors import Piece, TensorRef

__all__ = ["TorchHeader", "is_bare_pickle", "read_torch"]

# Where trainers put the model among other things, likeliest first.
STATE_DICTS = ("state_dict", "model_state_dict", "model", "module")
MOST_TENSORS = 50_000
# A dictionary may be remembered and used a thousand times: what is walked through is bounded, not the file.
MOST_ENTRIES, MOST_LETTERS = 500_000, 32 * 2**20
DEEPEST = 16
# A view that is no run of its storage is read as so many runs at most.
MOST_PIECES = 4096


@dataclass(frozen=True, slots=True)
class TorchHeader:
    """Tensors in the order of their data; ``unread``: a reason by name."""

    tensors: tuple[TensorRef, ...]
    metadata: dict[str, str]
    nbytes: int
    oddities: tuple[str, ...]
    unread: dict[str, str]


def _lie(code: str, message: str, where: str) -> HeaderError:
    return HeaderError(message, code=code, where=where, hint=TORCH_HINT)


def is_bare_pickle(first: bytes) -> bool:
    """Whether the file begins as a pickle outside an archive."""
    return len(first) > 1 and first[0] == 0x80 and 2 <= first[1] <= 5


def read_torch(file: ByteFile) -> TorchHeader:
    """Read and check archive and pickle; raises ``HeaderError`` (``torch-…``), ``ReadError``."""
    members = read_members(file)
    prefix, pickled = _pickled(members, file.where)
    _check_order(file, members.get(f"{prefix}byteorder"))
    found = read_pickle(_bytes(file, pickled, MOST_PICKLE), file.where)
    state, oddities = _state_dict(found)
    tensors: dict[str, TensorRef] = {}
    unread: dict[str, str] = {}
    for name, tensor in _named(state, file.where):
        if len(tensors) + len(unread) == MOST_TENSORS:
            raise _lie("torch-too-large", f"more than {MOST_TENSORS:,} tensors", file.where)
        if name in tensors or name in unread:
            raise _lie("torch-duplicate-name", f"{shown(name)} is there twice", file.where)
        place = f"{file.where}: {shown(name)}"
        begin = _storage(tensor, members, prefix, place)
        ref = _ref(name, tensor, begin, file.name)
        if isinstance(ref, TensorRef):
            tensors[name] = ref
        else:
            unread[name] = ref
    data = sum(m.end - m.begin for m in members.values() if m.name.startswith(f"{prefix}data/"))
    ordered = sorted(tensors.values(), key=lambda t: (t.begin, t.end, t.name))
    return TorchHeader(tuple(ordered), {}, file.size - data, oddities, unread)


def _pickled(members: Mapping[str, Member], where: str) -> tuple[str, Member]:
    """The archive's folder, with its slash, and the pickle in it."""
    found = [n for n in members if n == "data.pkl" or (n.endswith("/data.pkl") and n.count("/") == 1)]
    if len(found) != 1:
        message = f"{len(found)} files data.pkl in the archive in place of one"
        raise _lie("torch-no-pickle", message, where)
    return found[0].removesuffix("data.pkl"), members[found[0]]


def _check_order(file: ByteFile, order: Member | None) -> None:
    if order is not None and _bytes(file, order, 16).strip() not in (b"little", b""):
        raise _lie("torch-byte-order", "its numbers are not little-endian", file.where)


def _bytes(file: ByteFile, member: Member, limit: int) -> bytes:
    if member.end - member.begin > limit:
        message = (
            f"{shown(member.name)} has {member.end - member.begin:,} bytes; {limit:,} are read at most"
        )
        raise _lie("torch-too-large", message, file.where)
    raw = bytearray(member.end - member.begin)
    file.read_into(member.begin, memoryview(raw))
    return bytes(raw)


def _state_dict(found: Any) -> tuple[Any, tuple[str, ...]]:
    """The model among what a trainer saved with it; what is left beside it is told."""
    if not isinstance(found, dict):
        return found, ()
    for key in STATE_DICTS:
        inner = found.get(key)
        if isinstance(inner, dict) and any(isinstance(v, Tensor) for v in inner.values()):
            beside = [str(k) for k, v in found.items() if k != key and isinstance(v, dict | list | Tensor)]
            told = f"{key}: the model's state dict; not read beside it: {', '.join(map(shown, beside[:8]))}"
            return inner, (told,) if beside else ()
    return found, ()


def _named(state: Any, where: str) -> Iterator[tuple[str, Tensor]]:
    """All tensors, named by the keys that lead to them."""
    waiting: list[tuple[str, Any, int]] = [("", state, 0)] if _holds(state) else []
    seen = letters = 0
    while waiting:
        name, value, depth = waiting.pop()
        seen += 1 if isinstance(value, Tensor) else 1 + len(value)
        letters += len(name)
        if depth > DEEPEST or seen > MOST_ENTRIES or letters > MOST_LETTERS:
            raise _lie("torch-too-large", "a state dict that is too deep or too large", where)
        if isinstance(value, Tensor):
            yield name or "tensor", value
        else:
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            inner = [(k, v) for k, v in pairs if _holds(v)]
            letters += len(name) * len(inner)
            if letters > MOST_LETTERS:
                raise _lie("torch-too-large", "names of a state dict that are too long", where)
            waiting += reversed([(f"{name}.{k}" if name else str(k), v, depth + 1) for k, v in inner])
            if len(waiting) > MOST_TENSORS:
                raise _lie("torch-too-large", f"more than {MOST_TENSORS:,} tensors", where)


def _holds(value: Any) -> bool:
    return isinstance(value, Tensor | dict | list | tuple)


def _storage(tensor: Tensor, members: Mapping[str, Member], prefix: str, place: str) -> int:
    """The first byte of the view's storage; checks that the view lies within."""
    storage = tensor.storage
    member = members.get(f"{prefix}data/{storage.key}")
    if member is None:
        raise _lie("torch-storage", f"its storage {shown(storage.key)} is not in the archive", place)
    size = 1 if storage.dtype is None else storage.dtype.itemsize
    if storage.elements * size != member.end - member.begin:
        there = member.end - member.begin
        message = f"its storage of {storage.elements:,} numbers has {there:,} bytes in the archive"
        raise _lie("torch-storage", message, place)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    inside = (last + 1) * (tensor.dtype.itemsize if tensor.dtype else 1) <= member.end - member.begin
    if prod(tensor.shape) and not inside:
        raise _lie("torch-storage", f"it reaches to element {last:,}, past its storage", place)
    return member.begin


def _ref(name: str, tensor: Tensor, begin: int, shard: str) -> TensorRef | str:
    """Where the elements lie: in one run, turned, or in pieces; else why they are not read."""
    if tensor.dtype is None or tensor.marks:
        told = ", ".join(map(shown, tensor.marks[:4]))
        return f"torch changes its numbers after reading them: {told}" if told else "its dtype is not read"
    size, shape = tensor.dtype.itemsize, tensor.shape
    first = begin + tensor.offset * size
    elements = prod(shape)
    run, outer = _run(tensor)
    if elements == 0:
        return TensorRef(name, tensor.dtype, shape, shard, begin, begin)
    if run == elements:
        return TensorRef(name, tensor.dtype, shape, shard, first, first + elements * size)
    if len(shape) == 2 and tensor.strides == (1, shape[0]):
        end = first + elements * size
        return TensorRef(name, tensor.dtype, shape, shard, first, end, transposed=True)
    if elements // run > MOST_PIECES:
        strides = "x".join(str(s) for s in tensor.strides)
        return f"its numbers lie {strides} apart, in {elements // run:,} runs"
    whole = _whole_storage(tensor.storage, tensor.dtype, begin, shard)
    starts = [tensor.offset]
    for extent, stride in outer:
        starts = [s + k * stride for s in starts for k in range(extent)]
    pieces = tuple(Piece(k * run, run, whole, start) for k, start in enumerate(starts))
    return TensorRef(name, tensor.dtype, shape, "", 0, 0, pieces=pieces)


def _run(tensor: Tensor) -> tuple[int, list[tuple[int, int]]]:
    """Elements that lie one after the other, and the outer extents with strides that lead to each run."""
    run = 1
    pairs = list(zip(tensor.shape, tensor.strides, strict=True))
    while pairs and (pairs[-1][0] == 1 or pairs[-1][1] == run):
        run *= pairs.pop()[0]
    return run, pairs


def _whole_storage(storage: Storage, dtype: DType, begin: int, shard: str) -> TensorRef:
    size = 1 if storage.dtype is None else storage.dtype.itemsize
    count = storage.elements * size // dtype.itemsize
    return TensorRef(storage.key, dtype, (count,), shard, begin, begin + count * dtype.itemsize)
