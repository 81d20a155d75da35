"""Merges of task vectors of bfloat16 operands straight from their storage bits.

Steps and their order are those of ``task_kernels``; the same bits come out. Where sums are one after the
other, loops go from bits to sums in registers; elsewhere blocks are decoded and merged there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.methods.grids import decode_bf16, one_stored_bf16, store_bf16
from parentage.methods.method import Values
from parentage.methods.selection import Cut
from parentage.methods.task_kernels import GRIDS, combine, differences, in_order, on_grid_of
from parentage.methods.task_vectors import Deltas
from parentage.numerics.storage.rounding_kernels import bits_of, from_bits

__all__ = ["Trims", "merge_stored"]

# Elements of a block, as in ``task_kernels``.
BLOCK: Final = 2048
SIZE: Final = np.uint32(0x7FFFFFFF)
HALF: Final = np.uint32(16)
# Behind every element, and a magnitude above every one.
END: Final = 1 << 62
ABOVE: Final = 1 << 31
Stored = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Trims:
    """What of each task vector stays, as arrays [others]: elements above ``magnitudes``, and of those that
    have it the ones before ``indices``."""

    magnitudes: NDArray[np.int64]
    indices: NDArray[np.int64]

    @classmethod
    def of(cls, keeps: Sequence[Cut | bool]) -> Trims | None:
        """From a cut, True (whole) or False (nothing) for each; None where a cut goes by a tool's order."""
        if any(isinstance(k, Cut) and k.first.size for k in keeps):
            return None
        pairs = [
            (k.magnitude, k.index) if isinstance(k, Cut) else (0, END) if k else (ABOVE, 0) for k in keeps
        ]
        return cls(np.array([m for m, _ in pairs], np.int64), np.array([i for _, i in pairs], np.int64))


@njit(cache=True, nogil=True, error_model="numpy")
def _value(bits: np.uint16) -> np.float32:
    return from_bits(np.uint32(np.uint32(bits) << HALF))


@njit(cache=True, nogil=True, error_model="numpy")
def _trimmed(d: np.float32, i: np.int32, magnitude: np.uint32, last: np.int32) -> np.float32:
    """Zero where it lies behind the cut. A product, as masks are applied elsewhere: what is not a number
    stays none."""
    size = np.uint32(bits_of(d) & SIZE)
    stays = (size > magnitude) | ((size == magnitude) & (i < last))
    return np.float32(d * (np.float32(1) if stays else np.float32(0)))


@njit(cache=True, nogil=True, error_model="numpy")
def _last(index: int, begin: int) -> np.int32:
    """An index into a tensor, counted from a block's first element."""
    return np.int32(min(max(index - begin, -1), BLOCK))


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(
    own: Stored,
    base: Stored,
    magnitude: np.uint32,
    last: np.int32,
    w: np.float32,
    first: bool,
    grid: int,
    p: Values,
    total: Values,
) -> None:
    """A block's task vector, trimmed and weighted, to ``p``, and onto ``total``, which the ``first`` one
    begins."""
    for i in range(own.size):
        d = np.float32(on_grid_of(_value(own[i]), grid) - on_grid_of(_value(base[i]), grid))
        stays = _trimmed(on_grid_of(d, grid), np.int32(i), magnitude, last)
        p[i] = on_grid_of(np.float32(stays * w), grid)
        total[i] = (np.float32(0) if first else total[i]) + p[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _elect(
    p: Values, total: Values, w: np.float32, first: bool, grid: int, mixed: Values, share: Values
) -> None:
    """Those of a weighted task vector that have the total's sign, onto ``mixed``, and their weight onto
    ``share``; the ``first`` one begins them."""
    zero = np.float32(0)
    for i in range(p.size):
        positive = on_grid_of(total[i], grid) >= zero
        agrees = ((p[i] > zero) & positive) | ((p[i] < zero) & (not positive))
        mixed[i] = (zero if first else mixed[i]) + (p[i] if agrees else zero)
        share[i] = (zero if first else share[i]) + (w if agrees else zero)


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(
    mixed: Values, share: Values, base: Stored, normalize: bool, factor: np.float32, grid: int, out: Stored
) -> None:
    """Divide, scale, add to the base, store."""
    for i in range(out.size):
        x = on_grid_of(mixed[i], grid)
        if normalize:
            s = on_grid_of(share[i], grid)
            x = on_grid_of(np.float32(x / (np.float32(1) if s == np.float32(0) else s)), grid)
        if factor != np.float32(1):
            x = on_grid_of(np.float32(x * factor), grid)
        made = on_grid_of(np.float32(on_grid_of(_value(base[i]), grid) + x), grid)
        out[i] = one_stored_bf16(made)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _merge_plain_on(
    bits: Stored,
    base: int,
    others: NDArray[np.int64],
    magnitudes: NDArray[np.int64],
    indices: NDArray[np.int64],
    weights: Values,
    scale: Values,
    elect: bool,
    normalize: bool,
    grid: int,
    start: int,
    out: Stored,
) -> None:
    rows, total = np.empty((others.size, BLOCK), np.float32), np.empty(BLOCK, np.float32)
    mixed, share = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for begin in range(0, out.size, BLOCK):
        n = min(BLOCK, out.size - begin)
        ours, made, sums = bits[base, begin : begin + n], out[begin : begin + n], total[:n]
        for j in range(others.size):
            own, last = bits[others[j], begin : begin + n], _last(indices[j], start + begin)
            size = np.uint32(magnitudes[j])
            _weigh(own, ours, size, last, weights[j], j == 0, grid, rows[j, :n], sums)
        if not elect:
            share[:n] = scale[0]
            _settle(sums, share[:n], ours, normalize, scale[1], grid, made)
            continue
        for j in range(others.size):
            _elect(rows[j, :n], sums, weights[j], j == 0, grid, mixed[:n], share[:n])
        _settle(mixed[:n], share[:n], ours, normalize, scale[1], grid, made)


@njit(cache=True, nogil=True, error_model="numpy")
def _merge_plain(
    bits: Stored,
    base: int,
    others: NDArray[np.int64],
    magnitudes: NDArray[np.int64],
    indices: NDArray[np.int64],
    weights: Values,
    scale: Values,
    elect: bool,
    normalize: bool,
    grid: int,
    start: int,
    out: Stored,
) -> None:
    # A constant for each grid, so that every loop is compiled for its own.
    if grid == 0:
        _merge_plain_on(
            bits, base, others, magnitudes, indices, weights, scale, elect, normalize, 0, start, out
        )
    elif grid == 1:
        _merge_plain_on(
            bits, base, others, magnitudes, indices, weights, scale, elect, normalize, 1, start, out
        )
    else:
        _merge_plain_on(
            bits, base, others, magnitudes, indices, weights, scale, elect, normalize, 2, start, out
        )


@njit(cache=True, nogil=True, error_model="numpy")
def _trim(x: Values, magnitude: np.uint32, last: np.int32) -> None:
    for i in range(x.size):
        x[i] = _trimmed(x[i], np.int32(i), magnitude, last)


@njit(cache=True, nogil=True, error_model="numpy")
def _merge_rest(
    bits: Stored,
    base: int,
    others: NDArray[np.int64],
    magnitudes: NDArray[np.int64],
    indices: NDArray[np.int64],
    weights: Values,
    scale: Values,
    elect: bool,
    normalize: bool,
    grid: int,
    power: int,
    odd: int,
    start: int,
    first: int,
    out: Stored,
) -> None:
    """Elements ``first`` on."""
    x, ours, made = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    deltas = np.empty((others.size, BLOCK), np.float32)
    for begin in range(first, out.size, BLOCK):
        n = min(BLOCK, out.size - begin)
        decode_bf16(bits[base, begin : begin + n], ours)
        for j in range(others.size):
            decode_bf16(bits[others[j], begin : begin + n], x)
            differences(x[:n], ours[:n], deltas[j, :n], grid)
            _trim(deltas[j, :n], np.uint32(magnitudes[j]), _last(indices[j], start + begin))
        combine(deltas, ours[:n], weights, scale, elect, normalize, grid, power, odd - begin, made[:n])
        store_bf16(made[:n], out[begin : begin + n])


def merge_stored(
    bits: Stored,
    deltas: Deltas,
    trims: Trims,
    weights: Values,
    scale: Values,
    *,
    elect: bool,
    normalize: bool,
    power: int,
    odd: int,
    start: int,
    out: Stored,
) -> Stored:
    """Storage bits of a merge of task vectors in bfloat16, of elements ``start`` on, in ``out`` [n];
    ``power`` and ``odd`` as ``task_kernels.combine`` takes them."""
    others = np.array(deltas.others, np.int64)
    what = bits, deltas.base, others, trims.magnitudes, trims.indices, weights, scale, elect, normalize
    grid, plain = GRIDS[deltas.dtype], int(in_order(others.size, odd, out.size))
    _merge_plain(*what, grid, start, out[:plain])
    _merge_rest(*what, grid, power, odd, start, plain, out)
    return out
