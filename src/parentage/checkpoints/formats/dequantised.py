"""Weights read through their scales: (code - zero point) · scale, in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType
from parentage.records.tensors import Dequantised, TensorRef

__all__ = ["CodedRun", "block_numbers", "decode", "read_codes", "stored_parts"]

Bits = NDArray[np.unsignedinteger]
Read = Callable[[TensorRef, int, int], Bits]
_SIGNED = {DType.I8: np.int8, DType.I16: np.int16, DType.I32: np.int32}


@dataclass(frozen=True, slots=True)
class CodedRun:
    """A run of codes [n] as numbers, and zero point and scale of each; ``bits`` as they are read."""

    stored: NDArray[np.float32]
    zeros: NDArray[np.float32]
    scales: NDArray[np.float32]
    bits: Bits


def stored_parts(tensor: TensorRef, start: int, count: int) -> Iterator[tuple[TensorRef, int, int]]:
    """The (tensor, start, count) that are read for elements [start, start + count)."""
    how = tensor.dequantised
    if how is None or not count:
        return
    yield how.codes, start, count
    low, high = _extent_of_blocks(tensor, how, start, count)
    for part in (how.scale, how.zero_point):
        if part is not None:
            yield part, low, high - low


def decode(tensor: TensorRef, start: int, count: int, read: Read) -> NDArray[np.float32]:
    """Elements [start, start + count) of a tensor that is ``dequantised``; ``read`` reads stored bits."""
    if not count:
        return np.empty(0, np.float32)
    how = tensor.dequantised
    assert how is not None
    run = read_codes(tensor, start, count, read)
    stored = run.stored
    if how.table:
        table = np.array(how.table, np.float32)
        stored = table[np.minimum(run.bits, table.size - 1)]
    with np.errstate(all="ignore"):
        found = (stored - run.zeros) * run.scales
        if how.factor != 1:
            found = found * np.float32(how.factor)
        return found + np.float32(how.added) if how.added else found


def read_codes(tensor: TensorRef, start: int, count: int, read: Read) -> CodedRun:
    """Codes, zero points and scales of elements [start, start + count), each [count]."""
    how = tensor.dequantised
    assert how is not None
    bits = read(how.codes, start, count)
    low, high = _extent_of_blocks(tensor, how, start, count)
    which = _blocks_of(tensor, how, start, count) - low
    scales = _numbers(read(how.scale, low, high - low), how.scale.dtype)[which]
    zeros = np.zeros(1, np.float32).repeat(count)
    stored = _numbers(bits, how.codes.dtype)
    if how.zero_point is None:
        return CodedRun(stored - np.float32(how.zero), zeros, scales, bits)
    zeros = _numbers(read(how.zero_point, low, high - low), how.zero_point.dtype)[which]
    return CodedRun(stored, zeros + np.float32(how.zero), scales, bits)


def _blocks_of(tensor: TensorRef, how: Dequantised, start: int, count: int) -> NDArray[np.int64]:
    if how.groups is None:
        return block_numbers(tensor.shape, how.blocks, start, count)
    row, column = np.divmod(np.arange(start, start + count, dtype=np.int64), tensor.shape[-1])
    return np.asarray(row * how.groups.count + how.groups.numbers[column], np.int64)


def block_numbers(
    shape: tuple[int, ...], blocks: tuple[int, ...], start: int, count: int
) -> NDArray[np.int64]:
    """Which block each of ``count`` elements from ``start`` on lies in, in the blocks' order."""
    at = np.unravel_index(np.arange(start, start + count, dtype=np.int64), shape) if shape else ()
    found = np.zeros(count, np.int64)
    for extent, block, where in zip(shape, blocks, at, strict=True):
        found = found * -(-extent // block) + where // block
    return found


def _extent_of_blocks(tensor: TensorRef, how: Dequantised, start: int, count: int) -> tuple[int, int]:
    """First and one past the last block that a run touches; it need not touch all between."""
    shape, blocks = tensor.shape, how.blocks
    inner = prod(shape[1:]) if shape else 1
    if start // inner == (start + count - 1) // inner:
        found = _blocks_of(tensor, how, start, count)
        return int(found.min()), int(found.max()) + 1
    row = prod(-(-n // b) for n, b in zip(shape[1:], blocks[1:], strict=True))
    row = row if how.groups is None else how.groups.count
    first, last = start // inner // blocks[0], (start + count - 1) // inner // blocks[0]
    return first * row, (last + 1) * row


def _numbers(bits: Bits, dtype: DType) -> NDArray[np.float32]:
    if dtype is DType.F64:
        return bits.view(np.float64).astype(np.float32)
    if dtype.is_float:
        return to_float32(bits, dtype)
    if dtype in _SIGNED:
        return bits.view(_SIGNED[dtype]).astype(np.float32)
    return bits.astype(np.float32)
