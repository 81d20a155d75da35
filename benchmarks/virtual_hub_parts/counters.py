"""Numbers that depend on a key and a place alone, so any range of a file can be computed by itself.

The generator is SplitMix64's output function at key + place · γ (Steele, Lea and Flood 2014). Normal
variates come from a table of 65,537 quantiles with straight lines between them: sums and products only,
which give the same bits for an element whatever stands beside it.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["bfloat16_bits", "from_bfloat16", "key_of", "normal", "uniform"]

Floats = NDArray[np.float64]
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_STEPS = 65_536


def key_of(*names: str) -> int:
    """64 bits of a stream's names."""
    return int.from_bytes(hashlib.sha256("\0".join(names).encode()).digest()[:8], "little")


def _words(key: int, start: int, count: int) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        places = np.arange(start, start + count, dtype=np.uint64)
        x = places * _GAMMA + np.uint64(key)
        x = (x ^ (x >> np.uint64(30))) * _FIRST
        x = (x ^ (x >> np.uint64(27))) * _SECOND
        return x ^ (x >> np.uint64(31))


def uniform(key: int, start: int, count: int) -> Floats:
    """In [-1, 1), at places ``start`` to ``start + count``: float64 [count]."""
    return (_words(key, start, count) >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


@cache
def _quantiles() -> Floats:
    from scipy.special import ndtri

    inner = ndtri(np.arange(1, _STEPS) / _STEPS)
    # The outermost steps end where a normal variate lies one time in a million.
    return np.concatenate([[ndtri(1e-6)], inner, [-ndtri(1e-6)]])


def normal(key: int, start: int, count: int) -> Floats:
    """Standard normal, cut at 4.75: float64 [count]."""
    words = _words(key, start, count)
    step = (words >> np.uint64(48)).astype(np.int64)
    part = ((words >> np.uint64(16)) & np.uint64(0xFFFFFFFF)).astype(np.float64) * 2.0**-32
    table = _quantiles()
    low = table[step]
    return low + (table[step + 1] - low) * part


def bfloat16_bits(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round to nearest, ties to even; finite values: uint16 [n]."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype(np.uint16)


def from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The numbers that bits stand for: float32 [n]."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
