"""Arrays of float32 put on the grid of a format, and stored: the steps between a rule's operations.

Compiled twins of ``storage.formats`` for the three formats that merges are computed in; one pass each.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.numerics.storage.formats import round_to
from parentage.numerics.storage.rounding_kernels import (
    bits_of,
    from_bits,
    on_bf16_grid,
    on_f16_grid,
    to_odd,
)
from parentage.records.dtypes import DType

__all__ = [
    "decode_bf16",
    "on_grid",
    "one_stored_bf16",
    "scalar_on_grid",
    "store_bf16",
    "stored",
    "stored_wide",
]

Values = NDArray[np.float32]
Bits = NDArray[np.unsignedinteger]
QUIET: Final = np.uint32(0x7FC00000)


@njit(cache=True, nogil=True, error_model="numpy")
def _one_bf16(value: np.float32) -> np.float32:
    return np.float32(on_bf16_grid(value))


@njit(cache=True, nogil=True, error_model="numpy")
def _one_f16(value: np.float32) -> np.float32:
    return np.float32(on_f16_grid(value))


@njit(cache=True, nogil=True, error_model="numpy")
def _bf16(values: Values, out: Values) -> None:
    for i in range(values.size):
        out[i] = on_bf16_grid(values[i])


@njit(cache=True, nogil=True, error_model="numpy")
def _f16(values: Values, out: Values) -> None:
    for i in range(values.size):
        out[i] = on_f16_grid(values[i])


@njit(cache=True, nogil=True, error_model="numpy")
def decode_bf16(bits: NDArray[np.uint16], out: Values) -> None:
    """Numbers [n] of bfloat16's bits to the beginning of ``out``, exactly."""
    for i in range(bits.size):
        out[i] = from_bits(np.uint32(np.uint32(bits[i]) << np.uint32(16)))


@njit(cache=True, nogil=True, error_model="numpy")
def one_stored_bf16(value: np.float32) -> np.uint16:
    """One number in bfloat16's bits: to nearest, ties to even; what is not a number as the one NaN."""
    bits = bits_of(on_bf16_grid(value))
    return np.uint16((QUIET if np.isnan(value) else bits) >> np.uint32(16))


@njit(cache=True, nogil=True, error_model="numpy")
def store_bf16(values: Values, out: NDArray[np.uint16]) -> None:
    """Round [n] to bfloat16's bits, to nearest, ties to even; what is not a number to the one NaN."""
    for i in range(values.size):
        out[i] = one_stored_bf16(values[i])


@njit(cache=True, nogil=True, error_model="numpy")
def _store_wide_bf16(values: NDArray[np.float64], out: NDArray[np.uint16]) -> None:
    for i in range(values.size):
        bits = bits_of(on_bf16_grid(to_odd(values[i])))
        out[i] = np.uint16((QUIET if np.isnan(values[i]) else bits) >> np.uint32(16))


def on_grid(values: Values, dtype: DType) -> Values:
    """The values after storage in BF16, F16 or F32, as float32 of the same shape; F32 gives its input."""
    if dtype is DType.F32:
        return values
    flat = np.ascontiguousarray(values, np.float32).reshape(-1)
    out = np.empty_like(flat)
    (_bf16 if dtype is DType.BF16 else _f16)(flat, out)
    return out.reshape(values.shape)


def scalar_on_grid(value: float, dtype: DType) -> np.float32:
    """One number, rounded to float32 and then to ``dtype``, as tools make a scalar tensor."""
    with np.errstate(over="ignore"):
        near = np.float32(value)
    if dtype is DType.F32:
        return near
    return np.float32((_one_bf16 if dtype is DType.BF16 else _one_f16)(near))


def stored(values: Values, dtype: DType) -> Bits:
    """Storage bits [n] in BF16, F16 or F32; what is not a number becomes the one positive NaN."""
    flat = np.ascontiguousarray(values, np.float32).reshape(-1)
    if dtype is DType.BF16:
        bits = np.empty(flat.size, np.uint16)
        store_bf16(flat, bits)
        return bits
    clean = np.where(np.isnan(flat), np.float32(np.nan), flat)
    with np.errstate(over="ignore"):
        return clean.astype(np.float16).view(np.uint16) if dtype is DType.F16 else clean.view(np.uint32)


def stored_wide(values: NDArray[np.float64], dtype: DType) -> Bits:
    """The same of float64, rounded once."""
    flat = np.ascontiguousarray(values, np.float64).reshape(-1)
    if dtype is DType.BF16:
        bits = np.empty(flat.size, np.uint16)
        _store_wide_bf16(flat, bits)
        return bits
    return round_to(np.where(np.isnan(flat), np.nan, flat), dtype)
