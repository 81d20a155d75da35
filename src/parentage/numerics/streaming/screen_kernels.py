"""A first look at a block of bfloat16 numbers on the integers that they are stored as.

Two numbers to a 32-bit word: the upper one is a float32 once the lower half is cleared, the lower one once
it is shifted up. So a word is decoded by two instructions, without widening, and what a whole vector of
words says is one ``or``. The results are exact where everything is finite, which the look itself tells.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.numerics.storage.rounding_kernels import bits_of

__all__ = ["HALF", "MISS", "UPPER", "flagged", "nearest_upper", "survey"]

Words = NDArray[np.uint32]

UPPER: Final = np.uint32(0xFFFF0000)
HALF: Final = np.uint32(16)
# A word of differences at or above this has one in an upper half.
MISS: Final = np.uint32(0x10000)
# Words that are looked at together; where one number in a hundred differs, most groups have none.
GROUP: Final = 16
SIZE: Final = np.uint16(0x7FFF)
INFINITE: Final = np.uint16(0x7F80)


@njit(cache=True, nogil=True, error_model="numpy")
def survey(own: NDArray[np.uint16], first: NDArray[np.uint16], second: NDArray[np.uint16], n: int) -> int:
    """How many of ``n`` elements differ between the parents; -1 when a number is NaN or infinite.

    ``n`` is below 65,536: lanes of 16 bits count. Zeros of both signs are equal.
    """
    largest, moved = np.uint16(0), np.uint16(0)
    for i in range(n):
        a, b = first[i], second[i]
        largest = max(largest, np.uint16(own[i] & SIZE), np.uint16(a & SIZE), np.uint16(b & SIZE))
        other = np.uint16(a != b) & np.uint16(np.uint16((a | b) & SIZE) != np.uint16(0))
        moved = np.uint16(moved + other)
    return -1 if largest >= INFINITE else int(moved)


@njit(cache=True, nogil=True, error_model="numpy")
def nearest_upper(x: np.float32) -> np.uint32:
    """The nearest bfloat16, ties to even, in the upper half; the lower half is undefined.

    Infinity stays, and so does the NaN that arithmetic on finite numbers gives.
    """
    bits = bits_of(x)
    odd = np.uint32(np.uint32(bits >> HALF) & np.uint32(1))
    return np.uint32(bits + np.uint32(np.uint32(0x7FFF) + odd))


@njit(cache=True, nogil=True, error_model="numpy")
def flagged(differences: Words, n: int, places: NDArray[np.int32]) -> int:
    """How many of ``n`` words of differences have one in an upper half; where, to ``places``."""
    found = 0
    for begin in range(0, n, GROUP):
        end = min(begin + GROUP, n)
        some = np.uint32(0)
        for i in range(begin, end):
            some |= differences[i]
        if some >= MISS:
            for i in range(begin, end):
                places[found] = i
                found += differences[i] >= MISS
    return found
