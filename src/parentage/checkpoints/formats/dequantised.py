"""Weights read through their scales: (code - zero point) · scale, in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.formats import to_float32
from parentage.records.dtypes import DType
from parentage.records.tensors import Dequantised, TensorRef

__all__ = ["CodedRun", "block_numbers", "decode", "read_codes", "stored_parts"]

Bits = NDArray[np.unsignedinteger]
Read = Callable[[TensorRef, int, int], Bits]
_SIGNED = {DType.I8: np.int8, DType.I16: np.int16, DType.I32: np.int32}
WORD = 32


@dataclass(frozen=True, slots=True)
class CodedRun:
    """A run of codes [n]: numbers that the scales multiply (zero point taken off), and scale of each."""

    stored: NDArray[np.float32]
    zeros: NDArray[np.float32]
    scales: NDArray[np.float32]
    bits: Bits


def stored_parts(tensor: TensorRef, start: int, count: int) -> Iterator[tuple[TensorRef, int, int]]:
    """The (tensor, start, count) that are read for elements [start, start + count)."""
    how = tensor.dequantised
    if how is None or not count:
        return
    first, last = _extent_of_codes(tensor, how, start, count)
    yield how.codes, first, last - first
    low, high = _extent_of_blocks(tensor.shape, how.blocks, start, count)
    for part in (how.scale, how.zero_point):
        if part is not None:
            yield part, low, high - low


def decode(tensor: TensorRef, start: int, count: int, read: Read) -> NDArray[np.float32]:
    """Elements [start, start + count) of a tensor that is ``dequantised``; ``read`` reads stored bits."""
    if not count:
        return np.empty(0, np.float32)
    run = read_codes(tensor, start, count, read)
    with np.errstate(all="ignore"):
        return (run.stored - run.zeros) * run.scales


def read_codes(tensor: TensorRef, start: int, count: int, read: Read) -> CodedRun:
    """Codes, zero points and scales of elements [start, start + count), each [count]."""
    how = tensor.dequantised
    assert how is not None
    bits = _unpacked(tensor, how, start, count, read) if how.packed_bits else read(how.codes, start, count)
    low, high = _extent_of_blocks(tensor.shape, how.blocks, start, count)
    which = block_numbers(tensor.shape, how.blocks, start, count) - low
    scales = _numbers(read(how.scale, low, high - low), how.scale.dtype)[which]
    zeros = np.zeros(1, np.float32).repeat(count)
    if how.zero_point is not None:
        zeros = _numbers(read(how.zero_point, low, high - low), how.zero_point.dtype)[which]
    stored = bits.view(np.int8).astype(np.float32) if how.packed_bits else _numbers(bits, how.codes.dtype)
    return CodedRun(stored, zeros, scales, bits)


def block_numbers(
    shape: tuple[int, ...], blocks: tuple[int, ...], start: int, count: int
) -> NDArray[np.int64]:
    """Which block each of ``count`` elements from ``start`` on lies in, in the blocks' order."""
    at = np.unravel_index(np.arange(start, start + count, dtype=np.int64), shape) if shape else ()
    found = np.zeros(count, np.int64)
    for extent, block, where in zip(shape, blocks, at, strict=True):
        found = found * -(-extent // block) + where // block
    return found


def _extent_of_blocks(
    shape: tuple[int, ...], blocks: tuple[int, ...], start: int, count: int
) -> tuple[int, int]:
    """First and one past the last block that a run touches; it need not touch all between."""
    inner = prod(shape[1:]) if shape else 1
    if start // inner == (start + count - 1) // inner:
        found = block_numbers(shape, blocks, start, count)
        return int(found.min()), int(found.max()) + 1
    row = prod(-(-n // b) for n, b in zip(shape[1:], blocks[1:], strict=True))
    first, last = start // inner // blocks[0], (start + count - 1) // inner // blocks[0]
    return first * row, (last + 1) * row


def _extent_of_codes(tensor: TensorRef, how: Dequantised, start: int, count: int) -> tuple[int, int]:
    if not how.packed_bits:
        return start, start + count
    columns, words = tensor.shape[-1], how.codes.shape[-1]
    each, end = WORD // how.packed_bits, start + count - 1
    first = start // columns * words + start % columns // each
    return first, end // columns * words + end % columns // each + 1


def _unpacked(tensor: TensorRef, how: Dequantised, start: int, count: int, read: Read) -> Bits:
    """Codes of the run as int8 bits [count]; stored unsigned, they are moved back by half their range."""
    first, last = _extent_of_codes(tensor, how, start, count)
    columns, words = tensor.shape[-1], how.codes.shape[-1]
    bits, each = how.packed_bits, WORD // how.packed_bits
    raw = read(how.codes, first, last - first).astype(np.uint32)
    shifts = np.arange(0, WORD, bits, dtype=np.uint32)
    codes = (raw[:, None] >> shifts) & np.uint32(2**bits - 1)
    place = np.arange(first, last, dtype=np.int64)
    column = (place % words * each)[:, None] + np.arange(each)
    element = (place // words * columns)[:, None] + column
    wanted = (column < columns) & (element >= start) & (element < start + count)
    signed = codes[wanted].astype(np.int16) - np.int16(2 ** (bits - 1))
    found: Bits = signed.astype(np.int8).view(np.uint8)
    return found


def _numbers(bits: Bits, dtype: DType) -> NDArray[np.float32]:
    if dtype is DType.F64:
        return bits.view(np.float64).astype(np.float32)
    if dtype.is_float:
        return to_float32(bits, dtype)
    if dtype in _SIGNED:
        return bits.view(_SIGNED[dtype]).astype(np.float32)
    return bits.astype(np.float32)
