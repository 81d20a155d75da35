"""Number formats: exact decoding, correct rounding, and the order of stored values.

Sources: IEEE 754-2019 (binary16, 32, 64; round to nearest, ties to even); bfloat16 is binary32 cut to
eight bits of significand; OCP 8-bit floating point 1.0 (E4M3 without infinities, E5M2).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.records.dtypes import DType

__all__ = [
    "from_ordinal",
    "magnitude_values",
    "ordinal",
    "quantize",
    "round_to",
    "to_float32",
    "to_float64",
]

Bits = NDArray[np.unsignedinteger]
_SIGN = {
    DType.F64: 63,
    DType.F32: 31,
    DType.F16: 15,
    DType.BF16: 15,
    DType.F8_E4M3: 7,
    DType.F8_E5M2: 7,
}
_SIGNED = {DType.I64: "<i8", DType.I32: "<i4", DType.I16: "<i2", DType.I8: "i1"}


def to_float64(bits: Bits, dtype: DType) -> NDArray[np.float64]:
    """Decode storage bits [n] exactly (64-bit integers beyond 2**53 are rounded)."""
    if dtype is DType.F64:
        return bits.view(np.float64).copy()
    if dtype.is_float:
        return to_float32(bits, dtype).astype(np.float64)
    if dtype in _SIGNED:
        return bits.view(_SIGNED[dtype]).astype(np.float64)
    return bits.astype(np.float64)


def to_float32(bits: Bits, dtype: DType) -> NDArray[np.float32]:
    """Decode a floating format of at most 32 bits exactly."""
    if dtype is DType.F32:
        return bits.view(np.float32).copy()
    if dtype is DType.BF16:
        return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype is DType.F16:
        return bits.view(np.float16).astype(np.float32)
    if dtype is DType.F8_E5M2:
        return (bits.astype(np.uint16) << np.uint16(8)).view(np.float16).astype(np.float32)
    if dtype is DType.F8_E4M3:
        return _e4m3_table()[bits]
    raise UsageError(f"{dtype.value} does not decode to float32", code="dtype-not-float32")


@cache
def _e4m3_table() -> NDArray[np.float32]:
    codes = np.arange(256)
    exponent, fraction = (codes >> 3) & 15, codes & 7
    normal = (1 + fraction / 8) * 2.0 ** (exponent - 7)
    values = np.where(exponent == 0, fraction / 8 * 2.0**-6, normal)
    values = np.where((codes & 127) == 127, np.nan, values)
    return np.where(codes >= 128, -values, values).astype(np.float32)


def round_to(values: NDArray[np.floating], dtype: DType) -> Bits:
    """Round [n] to the nearest storable value, ties to even, once; returns storage bits.

    Overflow gives infinity, in E4M3 (which has none) NaN, as torch does.
    """
    wide = np.ascontiguousarray(values, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype is DType.F64:
            return wide.view(np.uint64).copy()
        if dtype is DType.F32:
            return wide.astype(np.float32).view(np.uint32)
        if dtype is DType.F16:
            return wide.astype(np.float16).view(np.uint16)
        if dtype is DType.BF16:
            return _to_bf16(wide)
        if dtype in (DType.F8_E4M3, DType.F8_E5M2):
            return _to_fp8(wide, dtype)
    raise UsageError(f"{dtype.value} is not a format to round to", code="dtype-not-float")


def _to_bf16(wide: NDArray[np.float64]) -> Bits:
    near = wide.astype(np.float32)
    bits = near.view(np.uint32)
    back = near.astype(np.float64)
    # Round to odd in float32 first: what lies between two float32 values must not become a tie.
    inexact = back != wide
    if inexact.any():
        beyond = np.abs(back) > np.abs(wide)
        bits = np.where(beyond & inexact, bits - np.uint32(1), bits)
        bits = np.where(inexact, bits | np.uint32(1), bits)
    even = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + even) >> np.uint32(16)
    unknown = np.isnan(wide)
    if not unknown.any():
        return rounded.astype(np.uint16)
    quiet = ((near.view(np.uint32) >> np.uint32(16)) & np.uint32(0x8000)) | np.uint32(0x7FC0)
    return np.where(unknown, quiet, rounded).astype(np.uint16)


@cache
def magnitude_values(dtype: DType) -> NDArray[np.float64]:
    """All finite non-negative values of an 8-bit format, ascending; the index is the bit pattern."""
    codes = np.arange(128, dtype=np.uint8)
    values = to_float64(codes, dtype)
    return values[np.isfinite(values)]


def _to_fp8(wide: NDArray[np.float64], dtype: DType) -> Bits:
    table = magnitude_values(dtype)
    step = table[-1] - table[-2]
    middles = np.append((table[1:] + table[:-1]) / 2, table[-1] + step / 2)
    size = np.abs(wide)
    code = np.searchsorted(middles, size, side="left")
    tie = (code < middles.size) & (size == middles[np.minimum(code, middles.size - 1)])
    code = np.where(tie & (code % 2 == 1), code + 1, code)
    overflow = 0x7F if dtype is DType.F8_E4M3 else 0x7C
    code = np.where(code >= table.size, overflow, code)
    code = np.where(np.isnan(wide), 0x7F, code)
    return (code | np.where(np.signbit(wide), 0x80, 0)).astype(np.uint8)


def quantize(values: NDArray[np.float64], dtype: DType) -> NDArray[np.float64]:
    """The values after storage in ``dtype``."""
    return to_float64(round_to(values, dtype), dtype)


def ordinal(bits: Bits, dtype: DType) -> NDArray[np.int64]:
    """A monotone integer for each stored value: differences count grid steps; both zeros are 0."""
    sign = np.uint64(1) << np.uint64(_SIGN[dtype])
    wide = bits.astype(np.uint64)
    size = (wide & (sign - np.uint64(1))).astype(np.int64)
    return np.where((wide & sign) != 0, -size, size)


def from_ordinal(ordinals: NDArray[np.int64], dtype: DType) -> Bits:
    """Storage bits of ordinals: the inverse of :func:`ordinal`, but for the negative zero."""
    sign = np.uint64(1) << np.uint64(_SIGN[dtype])
    size = np.abs(ordinals).astype(np.uint64)
    return np.where(ordinals < 0, size | sign, size).astype(dtype.storage)
