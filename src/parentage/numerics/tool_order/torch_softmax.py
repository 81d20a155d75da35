"""Softmax of a row in the arithmetic of torch's CPU kernel: what a tool's mask may hang on.

A row's greatest number is taken off, exponentials are added in 16 lanes (of 512 bits) that are folded in
halves, and each is multiplied by the sum's reciprocal (``SoftMaxKernel.cpp``); a row shorter than the lanes
is added in order. The exponential is that of SLEEF (Shibata and Petrogalli, "SLEEF: a portable vectorized
library of C standard mathematical functions", 2020): x = q ln 2 + s with ln 2 in two parts, a polynomial of
degree seven by fused multiply-adds, times 2**q. Its last bit is not the correctly rounded one in 1 of 100
arguments, which decides where two softmaxes nearly cancel. Compared with torch 2.13 on AVX-512, rows of 3
to 30,522 numbers, float32: no bit differs; 16-bit numbers differ where a row's tail is the C library's, in
1 of 50,000. With vectors of 256 bits torch adds in 8 lanes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.numerics.storage.rounding_kernels import fma32

__all__ = ["softmax_rows"]

Values = NDArray[np.float32]
LANES: Final = 16
ONE: Final = np.float32(1)
PER_LN2: Final = np.float32(1.4426950408889634)
LN2_HIGH: Final = np.float32(-0.693145751953125)
LN2_LOW: Final = np.float32(-1.428606765330187e-06)
# Of s**7 down to s**2.
C7: Final = np.float32(0.00019852762)
C6: Final = np.float32(0.001393043552525341)
C5: Final = np.float32(0.008333360776305199)
C4: Final = np.float32(0.041666485369205475)
C3: Final = np.float32(0.16666667163372040)
C2: Final = np.float32(0.5)
# Below it the exponential is zero, as the library has it.
LEAST: Final = np.float32(-104)


@njit(cache=True, nogil=True, error_model="numpy")
def _exp(x: np.float32) -> np.float32:
    if x < LEAST:
        return np.float32(0)
    q = np.float32(np.rint(np.float32(x * PER_LN2)))
    s = fma32(q, LN2_LOW, fma32(q, LN2_HIGH, x))
    u = fma32(fma32(fma32(fma32(fma32(C7, s, C6), s, C5), s, C4), s, C3), s, C2)
    near = ONE + fma32(np.float32(s * s), u, s)
    return np.float32(np.ldexp(np.float64(near), np.int64(q)))


@njit(cache=True, nogil=True, error_model="numpy")
def _total(powers: Values) -> np.float32:
    """The sum of a row."""
    if powers.size < LANES:
        total = powers[0]
        for i in range(1, powers.size):
            total += powers[i]
        return np.float32(total)
    lanes = powers[:LANES].copy()
    for i in range(LANES, powers.size):
        lanes[i % LANES] += powers[i]
    width = LANES // 2
    while width:
        for k in range(width):
            lanes[k] += lanes[k + width]
        width //= 2
    return np.float32(lanes[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _softmax(rows: Values, out: Values) -> None:
    for r in range(rows.shape[0]):
        row, powers = rows[r], out[r]
        greatest = row[0]
        for i in range(1, row.size):
            greatest = max(greatest, row[i])
        for i in range(row.size):
            powers[i] = _exp(np.float32(row[i] - greatest))
        reciprocal = np.float32(ONE / _total(powers))
        for i in range(row.size):
            powers[i] = np.float32(powers[i] * reciprocal)


def softmax_rows(rows: Values) -> Values:
    """The softmax of each row of [rows, n] float32, as float32 before any rounding to 16 bits."""
    out = np.empty(rows.shape, np.float32)
    if rows.size:
        _softmax(np.ascontiguousarray(rows, np.float32), out)
    return out
