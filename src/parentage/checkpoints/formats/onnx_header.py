"""An ONNX file as a checkpoint: its initialisers and constants as tensors, under their modules' names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from parentage.checkpoints.byte_files import ByteFile
from parentage.checkpoints.formats.onnx_graph import Model, Stored, read_model
from parentage.checkpoints.formats.onnx_names import Shown, aliases, own_name, presented
from parentage.checkpoints.formats.onnx_wire import ONNX_HINT, Wire
from parentage.checkpoints.formats.safetensors_header import shown
from parentage.errors import HeaderError
from parentage.records.dtypes import DType
from parentage.records.tensors import Scaled, TensorRef

__all__ = ["DECODED", "OnnxHeader", "is_onnx", "read_onnx"]

# Element types by ONNX's numbers; what is missing here is listed with its reason.
DTYPES: Mapping[int, DType] = {
    1: DType.F32,
    2: DType.U8,
    3: DType.I8,
    4: DType.U16,
    5: DType.I16,
    6: DType.I32,
    7: DType.I64,
    9: DType.BOOL,
    10: DType.F16,
    11: DType.F64,
    12: DType.U32,
    13: DType.U64,
    16: DType.BF16,
    17: DType.F8_E4M3,
    19: DType.F8_E5M2,
}
OTHERS: Mapping[int, str] = {
    8: "strings",
    14: "complex numbers",
    15: "complex numbers",
    18: "float8 e4m3fnuz",
    20: "float8 e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4 e2m1",
    24: "float8 e8m0",
    25: "uint2",
    26: "int2",
}
# uint16, int16, int32, int64, bool, uint32, uint64: shapes and axes, unless a module named them.
WHOLE_NUMBERS = (4, 5, 6, 7, 9, 12, 13)
# The part of a file's name after which the numbers follow that were decoded into memory.
DECODED = "#decoded"
# What may follow ir_version in the file: tags of a ModelProto's fields, as bytes.
_FIRST, _SECOND = 0x08, (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72)


@dataclass(frozen=True, slots=True)
class OnnxHeader:
    """Tensors in the order of the file; ``decoded``: numbers that the file writes one by one; ``unread``: a
    reason by name."""

    tensors: tuple[TensorRef, ...]
    metadata: dict[str, str]
    nbytes: int
    oddities: tuple[str, ...]
    decoded: bytes
    unread: dict[str, str]


def is_onnx(first: bytes) -> bool:
    """Whether these first bytes are a small ir_version and another field of an ONNX model."""
    return len(first) > 2 and first[0] == _FIRST and 0 < first[1] < 64 and first[2] in _SECOND


def read_onnx(file: ByteFile, open_beside: Callable[[str], ByteFile]) -> OnnxHeader:
    """Read and check; ``open_beside`` opens a file with external data, of the same folder.

    Raises ``HeaderError`` (``onnx-…``), ``ReadError``.
    """
    wire = Wire(file)
    model = read_model(wire)
    _check_names(model, file.where)
    names = presented(model)
    builder = _Builder(file, open_beside)
    arithmetic = _arithmetic(model, names)
    for tensor in model.tensors:
        if tensor.name not in arithmetic:
            builder.add(tensor, names[tensor.name])
    tensors = builder.scaled(names)
    tensors += builder.aliases(aliases(model), tensors)
    oddities = [*_renamed(names), *_left(model, len(arithmetic)), *builder.oddities]
    data = sum(e - b for b, e in {(t.begin, t.end) for t in tensors if t.shard == file.name})
    return OnnxHeader(
        tuple(tensors),
        model.metadata,
        file.size - data,
        tuple(oddities),
        bytes(builder.decoded),
        builder.unread,
    )


def _lie(code: str, message: str, where: str) -> HeaderError:
    return HeaderError(message, code=code, where=where, hint=ONNX_HINT)


def _check_names(model: Model, where: str) -> None:
    seen: set[str] = set()
    for tensor in model.tensors:
        if not tensor.name or tensor.name in seen:
            told = f"{shown(tensor.name)} is there twice" if tensor.name else "a tensor has no name"
            raise _lie("onnx-duplicate-name", told, where)
        seen.add(tensor.name)


def _renamed(names: Mapping[str, Shown]) -> list[str]:
    turned = sum(s.transposed for s in names.values())
    changed = sum(s.name != name for name, s in names.items())
    told = f"{changed} tensors are named after the parts of the graph that use them, {turned} turned"
    return [told] if changed else []


def _arithmetic(model: Model, names: Mapping[str, Shown]) -> set[str]:
    """Shapes, axes and single numbers that the graph computes with, which no module named."""
    parts = {p for s in names.values() if s.codes is not None for p in (s.codes.scale, s.codes.zero_point)}
    return {
        t.name
        for t in model.tensors
        if (t.elements == 1 or t.kind in WHOLE_NUMBERS)
        and t.name not in parts
        and not own_name(t.name)
        and names[t.name].codes is None
    }


def _left(model: Model, arithmetic: int) -> list[str]:
    found = []
    if count := model.constants_left + arithmetic:
        found.append(f"{count} constants of the graph's arithmetic are not listed")
    if model.sparse:
        found.append(f"{model.sparse} sparse tensors are not read")
    return found


def _turned(ref: TensorRef, stored: TensorRef) -> TensorRef:
    """Scales of a turned matrix, in the order of its blocks."""
    if len(stored.shape) != 2 or min(stored.shape) < 2:
        return ref
    return replace(ref, shape=stored.shape[::-1], transposed=True)


class _Builder:
    """Collects tensors, what was decoded, and what cannot be read."""

    def __init__(self, file: ByteFile, open_beside: Callable[[str], ByteFile]) -> None:
        self._file, self._open_beside = file, open_beside
        self._refs: dict[str, TensorRef] = {}
        self.decoded = bytearray()
        self.unread: dict[str, str] = {}
        self.oddities: list[str] = []

    def add(self, tensor: Stored, how: Shown) -> None:
        """One stored tensor; raises ``HeaderError`` where it contradicts itself."""
        dtype = DTYPES.get(tensor.kind)
        if dtype is None:
            self.unread[how.name] = f"its numbers are {OTHERS.get(tensor.kind, f'of type {tensor.kind}')}"
        elif tensor.absent:
            self.unread[how.name] = tensor.absent
        else:
            shard, begin, end = self._data(tensor, dtype)
            self._check_size(tensor, dtype, end - begin)
            shape = tensor.shape[::-1] if how.transposed else tensor.shape
            turned = how.transposed and min(shape) > 1
            self._refs[tensor.name] = TensorRef(
                how.name, dtype, shape, shard, begin, end, transposed=turned
            )

    def scaled(self, names: Mapping[str, Shown]) -> list[TensorRef]:
        """All tensors; codes with the names of their scales."""
        found = {name: self._with_scales(name, ref, names) for name, ref in self._refs.items()}
        for name, ref in self._refs.items():
            codes = names[name].codes
            if ref.transposed and codes is not None and found[name].scaled is not None:
                for part in filter(None, (codes.scale, codes.zero_point)):
                    found[part] = _turned(found[part], self._refs[part])
        return list(found.values())

    def aliases(self, found: Mapping[str, str], tensors: list[TensorRef]) -> list[TensorRef]:
        """The same tensors under further names; a name that is taken stays with its tensor."""
        taken = {t.name for t in tensors}
        named = [(n, self._refs[source]) for n, source in found.items() if source in self._refs]
        return [replace(ref, name=name) for name, ref in named if name not in taken]

    def _with_scales(self, name: str, ref: TensorRef, names: Mapping[str, Shown]) -> TensorRef:
        codes = names[name].codes
        if codes is None:
            return ref
        missing = [part for part in (codes.scale, codes.zero_point) if part and part not in self._refs]
        if missing:
            self.oddities.append(f"{ref.name}: its scales cannot be read")
            return ref
        zero = self._refs[codes.zero_point].name if codes.zero_point else ""
        return replace(
            ref, scaled=Scaled(self._refs[codes.scale].name, zero, codes.blocks, codes.bits, codes.shape)
        )

    def _data(self, tensor: Stored, dtype: DType) -> tuple[str, int, int]:
        if tensor.external is not None:
            return self._external(tensor, dtype)
        if tensor.numbers is None:
            return self._file.name, tensor.begin, tensor.end
        mask = 2 ** (8 * dtype.itemsize) - 1
        raw = np.array([value & mask for value in tensor.numbers], dtype=dtype.storage).tobytes()
        begin = len(self.decoded)
        self.decoded += raw
        return self._file.name + DECODED, begin, begin + len(raw)

    def _check_size(self, tensor: Stored, dtype: DType, found: int) -> None:
        needed = tensor.elements * dtype.itemsize
        if needed != found:
            message = f"{dtype.value} {list(tensor.shape)} needs {needed:,} bytes, not {found:,}"
            raise _lie("onnx-size", message, f"{self._file.where}: {shown(tensor.name)}")

    def _external(self, tensor: Stored, dtype: DType) -> tuple[str, int, int]:
        entries = tensor.external or {}
        location = entries.get("location", "")
        if location in ("", ".", "..", self._file.name) or set(location) & set("/\\\0"):
            message = f"{shown(tensor.name)}: its data are in {shown(location)}, not in a file beside it"
            raise _lie("onnx-external-escapes", message, self._file.where)
        begin = self._number(entries.get("offset", "0"), tensor)
        other = self._open_beside(location)
        length = entries.get("length")
        count = tensor.elements * dtype.itemsize if length is None else self._number(length, tensor)
        if begin + count > other.size:
            message = f"{shown(tensor.name)}: its data end at {begin + count:,}, the file at {other.size:,}"
            raise _lie("onnx-truncated", message, other.where)
        return location, begin, begin + count

    def _number(self, text: str, tensor: Stored) -> int:
        if not text.isascii() or not text.isdecimal() or len(text) > 19:
            message = f"{shown(tensor.name)}: {shown(text)} is no place in a file"
            raise _lie("onnx-external", message, self._file.where)
        return int(text)
