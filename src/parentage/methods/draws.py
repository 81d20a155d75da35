"""Random numbers of merges: a tool's stream, word for word, and our own that needs no stream.

torch's CPU generator is the Mersenne Twister (``mt19937``, seeded with the recipe's seed); a Bernoulli draw
in 16 or 32 bits takes one word, and its lower 24 bits over 2**24 are the uniform number
(``aten/src/ATen/core/DistributionsHelper.h``). Compared with torch 2.13 on 100,001 draws a dtype: equal.
Ours is splitmix64 (Steele, Lea & Flood 2014) of a counter: any element's draw without those before it.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["CounterDraws", "Draws", "TorchDraws", "words_below"]

UNIT: Final = np.float32(2.0**-24)
# Words drawn at once on the way to a later place of the stream.
STRIDE: Final = 1 << 20
# States kept; a tensor's operands each go through the stream at their own place.
KEPT: Final = 4096
# From here on ``torch.randint`` takes two words a number.
WIDE: Final = 1 << 28


class Draws(Protocol):
    """Uniform numbers in [0, 1) by place: ``uniform(operand, start, n)`` float32 [n]."""

    def uniform(self, operand: int, start: int, n: int) -> NDArray[np.float32]:
        """The numbers of elements ``start`` to ``start + n`` of one operand."""
        ...


class TorchDraws(Draws):
    """The stream of ``torch.manual_seed(seed)``, from word ``drawn`` on, one operand after the other.

    Going forwards costs nothing; going back begins at the nearest state that was kept.
    """

    def __init__(self, seed: int, drawn: int, elements: int) -> None:
        self._seed, self._drawn, self._elements = seed & 0xFFFFFFFF, drawn, elements

    def uniform(self, operand: int, start: int, n: int) -> NDArray[np.float32]:
        """The numbers of elements ``start`` to ``start + n`` of one operand."""
        words = _words(self._seed, self._drawn + operand * self._elements + start, n)
        return (words & np.uint32(0xFFFFFF)).astype(np.float32) * UNIT

    def below(self, n: int, count: int) -> NDArray[np.int64]:
        """``torch.randint(n, (count,))``: a word each modulo ``n``, two words from n = 2**28 on."""
        words = _words(self._seed, self._drawn, count * words_below(n)).astype(np.uint64)
        if n >= WIDE:
            words = (words[0::2] << np.uint64(32)) | words[1::2]
        return (words % np.uint64(n)).astype(np.int64)


def words_below(n: int) -> int:
    """Words that one draw below ``n`` takes."""
    return 2 if n >= WIDE else 1


# States of streams by seed and place: a cache that changes no result, only how far back one must begin.
_states: dict[int, dict[int, Any]] = {}


def _words(seed: int, place: int, n: int) -> NDArray[np.uint32]:
    """Words ``place`` to ``place + n`` of the stream of one seed."""
    kept = _states.setdefault(seed, {})
    before = max((p for p in kept if p <= place), default=-1)
    twister = np.random.MT19937()
    if before < 0:
        twister._legacy_seeding(seed)
        before = 0
    else:
        twister.state = kept[before]
    while before < place:
        step = min(STRIDE, place - before)
        twister.random_raw(step, output=False)
        before += step
    words = twister.random_raw(n)
    if len(kept) >= KEPT:
        kept.clear()
    kept[place + n] = twister.state
    return np.asarray(words).astype(np.uint32)


@njit(cache=True, nogil=True, error_model="numpy")
def _splitmix(key: np.uint64, start: int, out: NDArray[np.float32]) -> None:
    for i in range(out.size):
        z = np.uint64(key + np.uint64(start + i + 1) * np.uint64(0x9E3779B97F4A7C15))
        z = np.uint64((z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
        z = np.uint64((z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB))
        z = np.uint64(z ^ (z >> np.uint64(31)))
        out[i] = np.float32(z >> np.uint64(40)) * UNIT


class CounterDraws(Draws):
    """Our draws: a number depends on the seed, the tensor's name, the operand and the element alone."""

    def __init__(self, seed: int, tensor_name: str) -> None:
        self._seed, self._name = seed, tensor_name

    def uniform(self, operand: int, start: int, n: int) -> NDArray[np.float32]:
        """The numbers of elements ``start`` to ``start + n`` of one operand."""
        text = f"{self._seed}\n{operand}\n{self._name}".encode()
        key = np.uint64(int.from_bytes(hashlib.sha256(text).digest()[:8], "little"))
        out = np.empty(n, np.float32)
        _splitmix(key, start, out)
        return out
