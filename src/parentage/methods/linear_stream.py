"""A linear recipe against a suspect's raw storage bits: counted in one pass, nothing materialised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.methods.linear import (
    FP64,
    FUSED,
    MERGEKIT_014,
    SUM,
    Arithmetic,
    blend,
    narrow_format,
    start,
    step,
)
from parentage.numerics.replay_kernels import (
    BLOCK,
    COUNTS,
    FORMATS,
    count,
    count_clean,
    decode,
    drop_not_finite,
    narrow,
)
from parentage.numerics.rounding_kernels import bits_of, from_bits, on_bf16_grid
from parentage.records.dtypes import DType

__all__ = ["LinearStream"]

Bytes = NDArray[np.uint8]


@njit(cache=True, nogil=True, error_model="numpy")
def _screen(rule: int, raw: Bytes, begin: int, n: int, first: np.float32, second: np.float32) -> int:
    """A quick look at a block of two bfloat16 parents whose weights sum to 1: the informative elements
    when all is finite and every stored bit is the blend's, -1 when a closer look is needed."""
    own = raw[0, 2 * begin : 2 * (begin + n)].view(np.uint16)
    left = raw[1, 2 * begin : 2 * (begin + n)].view(np.uint16)
    right = raw[2, 2 * begin : 2 * (begin + n)].view(np.uint16)
    wrong, largest, informative = np.uint32(0), np.uint32(0), np.int32(0)
    for i in range(n):
        a = from_bits(np.uint32(left[i]) << np.uint32(16))
        b = from_bits(np.uint32(right[i]) << np.uint32(16))
        total = step(rule, False, step(rule, False, start(rule), first, a), second, b)
        replay = bits_of(on_bf16_grid(total))
        wrong |= np.uint32(replay ^ np.uint32(np.uint32(own[i]) << np.uint32(16)))
        largest = max(largest, bits_of(abs(a)), bits_of(abs(b)))
        largest = max(largest, np.uint32(replay & np.uint32(0x7FFFFFFF)))
        informative = np.int32(informative + np.int32(a != b))
    return -1 if wrong != 0 or largest >= np.uint32(0x7F800000) else int(informative)


@njit(cache=True, nogil=True, error_model="numpy")
def _count_chunk(
    raw: Bytes,
    stored: NDArray[np.int64],
    n: int,
    cast: int,
    rule: int,
    params: NDArray[np.float64],
    binary16: bool,
    grid: int,
    weights: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> None:
    """``raw`` [1 + K, bytes] suspect first, then the parents, in the formats ``stored`` [1 + K]."""
    models = raw.shape[0] - 1
    own, values = np.empty(BLOCK, np.float32), np.empty((models, BLOCK), np.float32)
    total, wide, moved = np.empty(BLOCK, np.float32), np.empty(BLOCK), np.empty(BLOCK, np.int32)
    # BF16 is format 0.
    quick = models == 2 and grid == 0 and cast <= 0 and np.all(stored == 0) and params[2] == 1.0
    first, second = np.float32(params[0]), np.float32(params[1])
    skipped, wait = 0, 0
    for begin in range(0, n, BLOCK):
        here, clean = min(BLOCK, n - begin), -1
        if quick and wait == 0:
            if rule == SUM:
                clean = _screen(SUM, raw, begin, here, first, second)
            elif rule == FUSED:
                clean = _screen(FUSED, raw, begin, here, first, second)
            elif rule == MERGEKIT_014:
                clean = _screen(MERGEKIT_014, raw, begin, here, first, second)
            # Where block after block holds a miss, ever fewer get a quick look that fails.
            skipped = 0 if clean >= 0 else min(2 * skipped + 1, 63)
            wait = skipped
        elif wait > 0:
            wait -= 1
        if clean >= 0:
            count_clean(here, clean, counts)
            continue
        finite = True
        for k in range(models + 1):
            size = 4 if stored[k] == 2 else 2
            part = raw[k, begin * size : (begin + here) * size]
            finite &= decode(part, stored[k], cast if k else -1, here, values[k - 1] if k else own)
        if not finite:
            here = drop_not_finite(values, own, here)
        blend(rule, params, values, here, binary16, total, wide)
        if rule == FP64:
            narrow(wide, grid, here, total)
        count(total, own, values, here, grid, weights, counts, moved)


@dataclass(frozen=True, slots=True)
class LinearStream:
    """One recipe, ready to be counted chunk by chunk; see ``numerics.replay_kernels`` for what is counted.

    ``stored``: formats of the suspect's bits, then of each parent's. ``out``: the format that the blend is
    rounded to, which the suspect's numbers fit (a float32 file may hold bfloat16 numbers). ``cast``: the
    format that the parents are rounded to first. All of BF16, F16 and F32 (``supports``).
    """

    arithmetic: Arithmetic
    weights: tuple[float, ...]
    stored: tuple[DType, ...]
    out: DType
    cast: DType | None = None

    @staticmethod
    def supports(dtypes: Sequence[DType]) -> bool:
        """Are all of these formats compiled?"""
        return all(d in FORMATS for d in dtypes)

    def count(self, raw: NDArray[np.uint8], elements: int) -> NDArray[np.int64]:
        """Counts [COUNTS] over ``elements`` of ``raw`` [1 + K, bytes]; other threads run meanwhile.

        Rows begin at multiples of 4 bytes and hold the bits little-endian from their start.
        """
        counts = np.zeros(COUNTS, np.int64)
        _count_chunk(
            raw,
            np.array([FORMATS[d] for d in self.stored], np.int64),
            elements,
            -1 if self.cast is None else FORMATS[self.cast],
            self.arithmetic.rule,
            self.arithmetic.params(self.weights, self.out),
            narrow_format(self.out) is DType.F16,
            FORMATS[self.out],
            np.array(self.weights, np.float64),
            counts,
        )
        return counts
