"""The seed of a tool's random masks, found by going through all of them.

torch's CPU generator is the Mersenne Twister, filled from 32 bits of its seed whatever the seed is, so that
there are 2**32 streams. A merge without a seed of its own has a random one: it is one of these too. An
element that stayed says that its uniform number lay below a bound, one that was dropped that it did not;
some 60 elements leave one stream of all.

The first 623 words of a stream need the filled state alone (word i: states i and i + 1, and state i + 397
or word i - 227), which is why few elements at the very beginning are cheap: 2**22 seeds take 0.12 s of one
core (AVX-512), all of them two minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.methods.draws import Draws, TorchDraws

__all__ = ["ALL_SEEDS", "FIRST_WORDS", "Draw", "seed_of", "seeds_within"]

Words = NDArray[np.uint32]
Bounds = NDArray[np.float64] | float
ALL_SEEDS: Final = 1 << 32
FIRST_WORDS: Final = 623
STATES: Final = 624
APART: Final = 227
# Bits of a stream that its first words have to tell, or too many seeds would be made as a whole.
ENOUGH: Final = 10.0
# Elements of a stream that are made first of those seeds that are left.
NEAR: Final = 120
# Streams that are filled side by side: eight vector registers of 16 hide a multiplication's latency.
LANES: Final = 128
# Elements that a stream is held against before it is made as a whole: 40 leave one in 2**40.
SOME: Final = 40
# Seeds between two reports of progress.
STRIDE: Final = 1 << 24


class Draw:
    """What is known of draws: word ``places`` [m] of the stream, and bounds ``low``..``high`` [m] of their
    uniform numbers (low <= u < high)."""

    def __init__(
        self, places: NDArray[np.int64], low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> None:
        order = np.argsort(places, kind="stable")
        self.places = np.ascontiguousarray(places[order], np.int64)
        self.low = np.ceil(np.clip(low[order], 0, 1) * 2**24).astype(np.uint32)
        self.high = np.ceil(np.clip(high[order], 0, 1) * 2**24).astype(np.uint32)

    @classmethod
    def of(
        cls,
        places: NDArray[np.int64],
        kept: NDArray[np.bool_],
        least: NDArray[np.float64] | float,
        most: NDArray[np.float64] | float,
    ) -> Draw:
        """Elements that stayed (``kept`` [m]) or not under probabilities from ``least`` to ``most``."""
        size = places.size
        lower, upper = np.broadcast_to(least, size), np.broadcast_to(most, size)
        return cls(places, np.where(kept, 0.0, lower), np.where(kept, upper, 1.0))

    def head(self, count: int) -> Draw:
        """The first few places alone."""
        found = object.__new__(Draw)
        found.places, found.low, found.high = self.places[:count], self.low[:count], self.high[:count]
        return found

    @property
    def bits(self) -> float:
        """How many bits of a stream this settles: 32 leave one by chance."""
        share = np.maximum((self.high.astype(float) - self.low) / 2**24, 2.0**-24)
        return float(-np.log2(share).sum())

    def fits(self, draws: Draws, operand: int = 0) -> bool:
        """Do these draws of one operand fit?"""
        if not self.places.size:
            return True
        first, last = int(self.places[0]), int(self.places[-1])
        numbers = draws.uniform(operand, first, last - first + 1)[self.places - first]
        found = (numbers.astype(np.float64) * 2**24).astype(np.uint32)
        return bool(((found >= self.low) & (found < self.high)).all())

    def holds(self, seed: int) -> bool:
        """Does a seed's stream fit?"""
        return self.fits(TorchDraws(seed, 0, 0))


@njit(cache=True, nogil=True, error_model="numpy")
def _fill(before: Words, state: Words, i: np.uint32) -> None:
    """State ``i`` of all lanes from that before it (``init_genrand`` of the reference code)."""
    for lane in range(LANES):
        x = before[lane]
        state[lane] = np.uint32(np.uint32(1812433253) * np.uint32(x ^ (x >> np.uint32(30))) + i)


@njit(cache=True, nogil=True, error_model="numpy")
def _twist(first: Words, second: Words, word: Words) -> None:
    """Add what two neighbouring states contribute to a word of all lanes."""
    for lane in range(LANES):
        y = (first[lane] & np.uint32(0x80000000)) | (second[lane] & np.uint32(0x7FFFFFFF))
        word[lane] ^= np.uint32((y >> np.uint32(1)) ^ np.uint32((y & np.uint32(1)) * np.uint32(0x9908B0DF)))


@njit(cache=True, nogil=True, error_model="numpy")
def _check(word: Words, low: np.uint32, high: np.uint32, fits: NDArray[np.uint8]) -> int:
    """Temper, and leave those lanes whose lower 24 bits lie in the bounds; returns how many are left."""
    left = 0
    for lane in range(LANES):
        y = word[lane]
        y = np.uint32(y ^ (y >> np.uint32(11)))
        y = np.uint32(y ^ (np.uint32(y << np.uint32(7)) & np.uint32(0x9D2C5680)))
        y = np.uint32(y ^ (np.uint32(y << np.uint32(15)) & np.uint32(0xEFC60000)))
        y = np.uint32((y ^ (y >> np.uint32(18))) & np.uint32(0xFFFFFF))
        fits[lane] &= np.uint8((y >= low) & (y < high))
        left += fits[lane]
    return left


@njit(cache=True, nogil=True, error_model="numpy")
def _survivors(
    first: int, count: int, places: NDArray[np.int64], low: Words, high: Words
) -> NDArray[np.int64]:
    """Seeds ``first`` to ``first + count`` whose words at ``places`` (ascending, below 623) lie in the
    bounds; 1,024 at most."""
    found, hits = np.empty(1024, np.int64), 0
    state, word = np.empty((STATES, LANES), np.uint32), np.empty(LANES, np.uint32)
    fits = np.empty(LANES, np.uint8)
    for begin in range(first, first + count, LANES):
        for lane in range(LANES):
            state[0, lane] = np.uint32(begin + lane)
            fits[lane] = begin + lane < first + count
        done = 1
        for k in range(places.size):
            at, start = places[k], places[k] % APART
            while done <= max(start + 397, at + 1):
                _fill(state[done - 1], state[done], np.uint32(done))
                done += 1
            word[:] = state[start + 397]
            for i in range(start, at + 1, APART):
                _twist(state[i], state[i + 1], word)
            if not _check(word, low[k], high[k], fits):
                break
        for lane in range(LANES):
            if fits[lane] and hits < found.size:
                found[hits] = begin + lane
                hits += 1
    return found[:hits]


def seeds_within(
    known: Draw, first: int, count: int, progress: Callable[[int], None] | None = None
) -> list[int]:
    """Seeds ``first`` to ``first + count`` that fit all that is known, in order.

    Empty where too little is known of words below 623 to go through so many.
    """
    early = known.head(int(np.count_nonzero(known.places[:SOME] < FIRST_WORDS)))
    if early.bits < ENOUGH:
        return []
    near = known.head(NEAR)
    # Of 1,024 that one call returns at most, a quarter is expected.
    stride = int(min(STRIDE, 256 * 2.0**early.bits))
    found: list[int] = []
    for begin in range(first, first + count, stride):
        number = min(stride, first + count - begin)
        some = _survivors(begin, number, early.places, early.low, early.high)
        found += [int(seed) for seed in some if near.holds(int(seed)) and known.holds(int(seed))]
        if progress is not None:
            progress(begin + number - first)
    return found


def seed_of(known: Draw, seeds: int, progress: Callable[[int], None] | None = None) -> int | None:
    """The one seed below ``seeds`` that fits; None where none does, or more than one."""
    found = seeds_within(known, 0, seeds, progress)
    return found[0] if len(found) == 1 else None
