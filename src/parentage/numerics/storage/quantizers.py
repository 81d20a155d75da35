"""Quantisers, bit for bit from their public definitions: which codes would these numbers have been given?

Block formats of GGUF: llama.cpp's ``ggml-quants.c``, the functions ``quantize_row_*_ref`` (float32
throughout, scales stored in binary16, codes computed with the scale before it was rounded). Integers and
8-bit floats with stored scales: code = round(x / scale), as ONNX's QuantizeLinear, compressed-tensors and
DeepSeek's fp8 do it; which rule made the scale is asked apart (``scale_rules``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.storage.formats import magnitude_values, round_to, to_float32
from parentage.records.dtypes import DType

__all__ = [
    "BLOCK",
    "GGUF_QUANTIZERS",
    "ROUNDINGS",
    "SCALE_RULES",
    "WITH_ZERO",
    "Blocks",
    "CodeCells",
    "code_float8",
    "code_integers",
    "pack",
    "quantize_blocks",
    "unpack",
]

Values = NDArray[np.float32]
Codes = NDArray[np.int16]
BLOCK = 32


@dataclass(frozen=True, slots=True)
class Blocks:
    """``codes`` [b, 32]; ``scales`` [b, 1 or 2] in binary16 as stored: step, then the least value where
    the format has one."""

    codes: Codes
    scales: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class CodeCells:
    """What each code [n] allows: numbers in [low, high]; ``inner``: not an end of the range, whose cell is
    open; ``step``: to the next code's number."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    inner: NDArray[np.bool_]
    step: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Rule:
    """``offset``: a code stands for (code - offset) · step; None: for least + code · step."""

    levels: int
    offset: int | None


GGUF_QUANTIZERS: Mapping[str, _Rule] = {
    "Q8_0": _Rule(255, 0),
    "Q4_0": _Rule(16, 8),
    "Q4_1": _Rule(16, None),
    "Q5_0": _Rule(32, 16),
    "Q5_1": _Rule(32, None),
}


def quantize_blocks(values: Values, format_: str) -> Blocks:
    """Codes and scales of ``values`` [b, 32] float32 in one of ``GGUF_QUANTIZERS``.

    What is not finite, or too large for binary16, makes codes of its block that mean nothing.
    """
    rule = GGUF_QUANTIZERS[format_]
    with np.errstate(all="ignore"):
        if format_ == "Q8_0":
            return _q8_0(values)
        return _from_largest(values, rule.levels) if rule.offset is not None else _from_least(values, rule)


def _q8_0(values: Values) -> Blocks:
    step = np.abs(values).max(axis=1, keepdims=True) / np.float32(127)
    size = np.abs(values * _reciprocal(step))
    # roundf: halves away from zero.
    whole = np.floor(size)
    whole = whole + np.floor(np.float32(2) * (size - whole))
    return Blocks(_as_codes(np.copysign(whole, values * _reciprocal(step))), step.astype(np.float16))


def _from_largest(values: Values, levels: int) -> Blocks:
    """The value of largest size, with its sign, becomes the lowest level."""
    at = np.abs(values).argmax(axis=1)[:, None]
    step = np.take_along_axis(values, at, axis=1) / np.float32(-(levels // 2))
    moved = values * _reciprocal(step) + np.float32(levels // 2 + 0.5)
    return Blocks(_clipped(moved, levels), step.astype(np.float16))


def _from_least(values: Values, rule: _Rule) -> Blocks:
    least = values.min(axis=1, keepdims=True)
    step = (values.max(axis=1, keepdims=True) - least) / np.float32(rule.levels - 1)
    moved = (values - least) * _reciprocal(step) + np.float32(0.5)
    scales = np.concatenate([step, least], axis=1).astype(np.float16)
    return Blocks(_clipped(moved, rule.levels), scales)


def _reciprocal(step: Values) -> Values:
    return np.where(step == 0, np.float32(0), np.float32(1) / step)


def _clipped(moved: Values, levels: int) -> Codes:
    return _as_codes(np.clip(np.trunc(moved), 0, levels - 1))


def _as_codes(whole: Values) -> Codes:
    return np.nan_to_num(whole, nan=0.0, posinf=0.0, neginf=0.0).clip(-128, 255).astype(np.int16)


def unpack(raw: NDArray[np.uint8], format_: str) -> Blocks:
    """Codes and scales of whole stored blocks [b, bytes of a block]."""
    count = 2 if GGUF_QUANTIZERS[format_].offset is None else 1
    scales = np.ascontiguousarray(raw[:, : 2 * count]).view(np.float16)
    rest = raw[:, 2 * count :]
    if format_ == "Q8_0":
        return Blocks(rest.view(np.int8).astype(np.int16), scales)
    low = rest[:, -BLOCK // 2 :]
    codes = np.concatenate([low & 15, low >> 4], axis=1).astype(np.int16)
    if GGUF_QUANTIZERS[format_].levels == 32:
        high = np.unpackbits(np.ascontiguousarray(rest[:, :4]), axis=1, bitorder="little")
        codes = codes | (high.astype(np.int16) << 4)
    return Blocks(codes, scales)


def pack(blocks: Blocks, format_: str) -> NDArray[np.uint8]:
    """The stored bytes [b, bytes of a block]: the inverse of :func:`unpack`."""
    parts = [np.ascontiguousarray(blocks.scales).view(np.uint8)]
    codes = blocks.codes
    if format_ == "Q8_0":
        return np.concatenate([*parts, codes.astype(np.int8).view(np.uint8)], axis=1)
    if GGUF_QUANTIZERS[format_].levels == 32:
        parts.append(np.packbits((codes >> 4).astype(np.uint8), axis=1, bitorder="little"))
    nibbles = (codes & 15).astype(np.uint8)
    parts.append(nibbles[:, : BLOCK // 2] | (nibbles[:, BLOCK // 2 :] << np.uint8(4)))
    return np.concatenate(parts, axis=1)


def _even(x: Values) -> Values:
    return np.rint(x)


def _away(x: Values) -> Values:
    size = np.abs(x)
    whole = np.floor(size)
    return np.asarray(np.copysign(whole + (size - whole >= np.float32(0.5)), x), dtype=np.float32)


def _divided(x: Values, scale: Values) -> Values:
    return x / scale


def _multiplied(x: Values, scale: Values) -> Values:
    return x * (np.float32(1) / scale)


def _in_bf16(x: Values, scale: Values) -> Values:
    """The quotient rounded to bfloat16, as where weights and scales are held in it."""
    quotient = (x / scale).astype(np.float64)
    return to_float32(round_to(quotient.reshape(-1), DType.BF16), DType.BF16).reshape(quotient.shape)


def _from_half(x: Values, scale: Values) -> Values:
    """Of numbers in binary16, as bitsandbytes takes them."""
    with np.errstate(over="ignore"):
        return _multiplied(x.astype(np.float16).astype(np.float32), scale)


Ratio = Callable[[Values, Values], Values]
ZERO_ADDED = "divided with the zero point added, halves to even"
ZERO_AFTER = "times the reciprocal plus the zero point, halves away from zero"
# How x / scale is computed, and to which side a half goes.
ROUNDINGS: Mapping[str, tuple[Ratio, Callable[[Values], Values]]] = {
    "divided, halves to even": (_divided, _even),
    "divided, halves away from zero": (_divided, _away),
    "times the reciprocal, halves to even": (_multiplied, _even),
    "times the reciprocal, halves away from zero": (_multiplied, _away),
    "divided in bfloat16, halves to even": (_in_bf16, _even),
    "from float16, times the reciprocal, halves to even": (_from_half, _even),
    # Of x and the scaled zero point together, as GPTQ's and AWQ's packing does it: see ``code_integers``.
    ZERO_ADDED: (_divided, _even),
    # onnxruntime's: one rounding of the sum, which is no more the quotient to its last bit.
    ZERO_AFTER: (_multiplied, _away),
}


def code_integers(
    values: Values, scales: Values, zeros: NDArray[np.int16], lowest: int, highest: int, rounding: str
) -> Codes:
    """Codes of ``values`` under stored scales and zero points (both of its shape, or that broadcasts):
    round(x / scale) + zero point, clipped."""
    ratio, rounded = ROUNDINGS[rounding]
    zero = zeros.astype(np.float32)
    with np.errstate(all="ignore"):
        if rounding == ZERO_ADDED:
            whole = rounded(ratio(values + zero * scales, scales))
        elif rounding == ZERO_AFTER:
            whole = rounded(ratio(values, scales) + zero)
        else:
            whole = rounded(ratio(values, scales)) + zero
    whole = np.nan_to_num(whole, nan=0.0, posinf=highest, neginf=lowest)
    return np.asarray(np.clip(whole, lowest, highest), dtype=np.int16)


def code_float8(values: Values, scales: Values, dtype: DType, rounding: str) -> NDArray[np.uint8]:
    """Storage bits in an 8-bit float under stored scales: x / scale, clipped to the largest finite value,
    to nearest with ties to even. Of ``rounding`` the way of dividing alone counts."""
    ratio = ROUNDINGS[rounding][0]
    top = magnitude_values(dtype)[-1]
    with np.errstate(all="ignore"):
        quotient = np.clip(ratio(values, scales).astype(np.float64), -top, top)
    return round_to(quotient.reshape(-1), dtype).astype(np.uint8).reshape(quotient.shape)


# Those that differ from the others by a zero point alone.
WITH_ZERO = (ZERO_ADDED, ZERO_AFTER)
# What the largest size in a block is divided by to give its scale, by the codes' format.
SCALE_RULES: Mapping[str, Mapping[str, float]] = {
    "int8": {"absmax / 127": 127.0, "absmax / 127.5": 127.5, "absmax / 128": 128.0},
    "int4": {"absmax / 7": 7.0, "absmax / 7.5": 7.5, "absmax / 8": 8.0},
    DType.F8_E4M3.value: {"absmax / 448": 448.0},
    DType.F8_E5M2.value: {"absmax / 57344": 57344.0},
    # Where the largest size itself is stored, of numbers in binary16.
    "largest": {"absmax in float16": 1.0},
}
