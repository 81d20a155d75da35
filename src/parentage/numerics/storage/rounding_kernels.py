"""Rounding one number to a storage format, compiled: the scalar steps that streaming loops are made of.

``formats.round_to`` states the same rounding for arrays, once and plainly, and is what these are tested
against bit for bit. They exist beside it because a merge's arithmetic rounds in the midst of its sums:
a loop over arrays would write each step to memory, and these stay in registers and vectorise.

Numbers stay float32 (float64 where said) and land on the grid of the narrower format. NaN comes out as
NaN. Source: IEEE 754-2019; bfloat16 is binary32 cut to eight bits of significand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["bits_of", "fma32", "from_bits", "on_bf16_grid", "on_f16_grid", "to_odd"]


def _fma32(_typing: Any, _a: Any, _b: Any, _c: Any) -> Any:
    signature = types.float32(types.float32, types.float32, types.float32)

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return signature, generate


# round_float32(a * b + c), once, in compiled code: one instruction where the processor has it, else the
# C library's exact fmaf. numba has no spelling of it before Python 3.13.
fma32: Any = intrinsic(_fma32)


@njit(cache=True, nogil=True, error_model="numpy")
def bits_of(x: np.float32) -> np.uint32:
    """The pattern of a float32."""
    return np.float32(x).view(np.uint32)


@njit(cache=True, nogil=True, error_model="numpy")
def from_bits(bits: np.uint32) -> np.float32:
    """The float32 with this pattern."""
    return np.uint32(bits).view(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def on_bf16_grid(x: np.float32) -> np.float32:
    """The nearest bfloat16 value, ties to even, overflow to infinity."""
    bits = bits_of(x)
    odd = np.uint32((bits >> np.uint32(16)) & np.uint32(1))
    near = np.uint32(np.uint32(bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000))
    return np.float32(x) if np.isnan(x) else from_bits(near)


@njit(cache=True, nogil=True, error_model="numpy")
def on_f16_grid(x: np.float32) -> np.float32:
    """The nearest binary16 value, ties to even, overflow to infinity, subnormals kept."""
    bits = bits_of(x)
    sign = np.uint32(bits & np.uint32(0x80000000))
    size = np.uint32(bits & np.uint32(0x7FFFFFFF))
    odd = np.uint32((size >> np.uint32(13)) & np.uint32(1))
    near = np.uint32(np.uint32(size + np.uint32(0xFFF) + odd) & np.uint32(0xFFFFE000))
    # 65536 and above do not exist in binary16.
    near = np.uint32(0x7F800000) if near >= np.uint32(0x47800000) else near
    # Below 2**-14 the grid is even, 2**-24 apart, which is float32's own grid near 0.75.
    even = np.float32(np.float32(from_bits(size) + np.float32(0.75)) - np.float32(0.75))
    near = bits_of(even) if size < np.uint32(0x38800000) else near
    near = np.uint32(near | sign)
    return np.float32(x) if np.isnan(x) else from_bits(near)


@njit(cache=True, nogil=True, error_model="numpy")
def to_odd(x: np.float64) -> np.float32:
    """float64 to float32, to the neighbour whose last bit is odd where it is not exact.

    A later rounding to 16 bits is then as if it had been the only one: no tie comes into being.
    """
    near = np.float32(x)
    bits = bits_of(near)
    back = np.float64(near)
    beyond = abs(back) > abs(x)
    bits = np.uint32(bits - np.uint32(1)) if beyond else bits
    bits = np.uint32(bits | np.uint32(1)) if back != x else bits
    return near if np.isnan(x) else from_bits(bits)
