"""Operands of one tensor from arrays, handed out in chunks of a chosen size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.formats.safetensors_header import parse_header, parse_length
from parentage.methods.method import Bits, Method, Parameters, Profile, Reader, Rule, Values
from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType

__all__ = ["ArrayReader", "merged", "reader_of", "replay", "tensors_of"]


@dataclass(frozen=True)
class ArrayReader:
    """Operands [K, *shape] as float32; chunks of ``size`` elements, or of the rows that fit."""

    operands: NDArray[np.float32]
    stored: DType = DType.F32
    base: int | None = None
    size: int = 1 << 16

    @property
    def models(self) -> int:
        return int(self.operands.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        return self.operands.shape[1:]

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def dtypes(self) -> tuple[DType, ...]:
        return (self.stored,) * self.models

    def chunks(self, rows: bool = False) -> Iterator[tuple[int, Values]]:
        step, flat = self.size, self.operands.reshape(self.models, -1)
        if rows and self.shape:
            step = max(1, self.size // self.shape[-1]) * self.shape[-1]
        for start in range(0, self.elements, step):
            yield start, flat[:, start : start + step]

    def read(self, start: int, count: int) -> Values:
        return self.operands.reshape(self.models, -1)[:, start : start + count]


def reader_of(bits: Sequence[NDArray[np.unsignedinteger]], stored: DType, base: int | None) -> ArrayReader:
    """A reader of storage bits, one array an operand."""
    return ArrayReader(
        np.stack([to_float32(b.reshape(-1), stored).reshape(b.shape) for b in bits]), stored, base
    )


def replay(rule: Rule, reader: Reader) -> Bits:
    """The rule's bits [n] over the reader's chunks."""
    parts = [rule.apply(start, values) for start, values in reader.chunks(rule.granularity > 1)]
    return np.concatenate(parts)


def merged(
    method: Method, reader: Reader, parameters: Parameters, profile: Profile, name: str = "t"
) -> Bits:
    """Prepare and apply."""
    return replay(method.prepare(reader, parameters, profile, name), reader)


def tensors_of(path: Path) -> dict[str, tuple[DType, NDArray[np.unsignedinteger]]]:
    """Dtype and storage bits [*shape] of every tensor of a safetensors file."""
    raw = path.read_bytes()
    length = parse_length(raw[:8], len(raw), str(path))
    found, _ = parse_header(raw[8 : 8 + length], file_size=len(raw), where=str(path))
    return {
        t.name: (t.dtype, np.frombuffer(raw[t.begin : t.end], t.dtype.storage).reshape(t.shape))
        for t in found
    }
