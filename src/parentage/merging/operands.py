"""One tensor's operands, read by slice from wherever they lie, as a merge method reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.methods.method import Values
from parentage.numerics.storage.formats import to_float32
from parentage.numerics.streaming.replay_kernels import FORMATS, decode
from parentage.records.dtypes import DType
from parentage.records.tensors import TensorRef

__all__ = ["CHUNK", "Operand", "Operands", "decode_into", "pieces"]

# Elements of a chunk: of two bfloat16 models, 1 MiB each, with 4 MiB of numbers and 1 MiB of output. From
# 2**18 to 2**20 the speed of a linear merge did not differ by more than runs of one size did.
CHUNK = 2**19
LEAST_CHUNK = 2**16


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor, the opened model that it is in, and (for rows that are mapped) where each row lies."""

    checkpoint: Checkpoint
    tensor: TensorRef

    def bits(self, start: int, count: int) -> NDArray[np.unsignedinteger]:
        """Storage bits [count] from element ``start`` of the output on."""
        return self.checkpoint.read(self.tensor, start, count)

    def bits_into(self, start: int, out: NDArray[np.uint16]) -> None:
        """The same of 16 bits each, to ``out`` [n]."""
        self.checkpoint.read_into(self.tensor, start, out)

    def announce(self, start: int, count: int) -> None:
        """These elements will be read soon."""
        self.checkpoint.announce(self.tensor, start, count)

    def values_into(self, start: int, out: NDArray[np.float32]) -> None:
        """Exact values [n] from element ``start`` of the output on."""
        decode_into(self.bits(start, out.size), self.tensor.dtype, out)


def decode_into(bits: NDArray[np.unsignedinteger], dtype: DType, out: NDArray[np.float32]) -> None:
    """Storage bits [n] as float32 [n], exactly."""
    if dtype in FORMATS and bits.flags.c_contiguous:
        decode(bits.view(np.uint8), FORMATS[dtype], -1, out.size, out)
    else:
        out[:] = to_float32(bits, dtype)


def pieces(elements: int, granularity: int, size: int = CHUNK) -> Iterator[tuple[int, int]]:
    """(start, count) in order, each a multiple of ``granularity``, of about ``size`` elements."""
    step = max(size // granularity, 1) * granularity
    for start in range(0, elements, step):
        yield start, min(step, elements - start)


@dataclass(frozen=True, slots=True)
class Operands:
    """A ``methods.method.Reader`` over operands of one shape; ``base``: the base's place, or None."""

    parts: Sequence[Operand]
    shape: tuple[int, ...]
    base: int | None = None

    @property
    def models(self) -> int:
        """How many there are."""
        return len(self.parts)

    @property
    def remote(self) -> bool:
        """Is one of them read over a network?"""
        return any(p.checkpoint.remote for p in self.parts)

    @property
    def chunk(self) -> int:
        """Elements read at a time: of many models fewer, so that memory does not grow with their number."""
        return max(2 * CHUNK // max(self.models, 2) // LEAST_CHUNK, 1) * LEAST_CHUNK

    @property
    def elements(self) -> int:
        """Of one operand."""
        return math.prod(self.shape)

    @property
    def dtypes(self) -> tuple[DType, ...]:
        """How each is stored."""
        return tuple(p.tensor.dtype for p in self.parts)

    def read(self, start: int, count: int) -> Values:
        """Exact values [models, count] from element ``start`` on."""
        values = np.empty((self.models, count), np.float32)
        for part, out in zip(self.parts, values, strict=True):
            part.values_into(start, out)
        return values

    def read_bits(
        self, start: int, count: int, room: NDArray[np.uint16] | None = None
    ) -> NDArray[np.uint16]:
        """Storage bits [models, count] from element ``start`` on, of operands in bfloat16; in ``room``
        [models * count] where one is given."""
        shape = (self.models, count)
        bits = np.empty(shape, np.uint16) if room is None else room.reshape(shape)
        for part, out in zip(self.parts, bits, strict=True):
            part.bits_into(start, out)
        return bits

    def announce(self, start: int, count: int) -> None:
        """These elements of every operand will be read soon."""
        for part in self.parts:
            part.announce(start, count)

    def chunks(self, rows: bool = False) -> Iterator[tuple[int, Values]]:
        """(first element, values [models, n]), in order; ``rows``: whole rows of the last dimension."""
        granularity = self.shape[-1] if rows and self.shape else 1
        for start, count in pieces(self.elements, max(granularity, 1), self.chunk):
            yield start, self.read(start, count)
