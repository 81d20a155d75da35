"""Sums and norms in the order of torch's CPU kernels on one thread: what a tool's scalar depends on.

A sum of float32 is not its mathematical value; which one comes out is decided by the order. torch adds
contiguous numbers in 8 lanes, four vectors abreast, in a cascade of four levels whose step grows with the
length (``aten/src/ATen/native/cpu/SumKernel.cpp``); 16-bit numbers are widened and two halves of 16 lanes
added first. Norms add squares in 8 lanes without a cascade (``ReduceOpsKernel.cpp``), those of binary16
one after the other. All were compared with torch 2.13 on lengths from 1 to 3,000,001: no bit differs. More
threads split a long sum otherwise.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["TorchNorm", "TorchSum", "level_power", "outer_at", "outer_sum", "sum_of"]

Values = NDArray[np.float32]
LEVELS: Final = 4
ABREAST: Final = 4
LANES: Final = 8
ZERO: Final = np.float32(0)


def level_power(steps: int) -> int:
    """log2 of how many steps a level takes before it passes its sum on."""
    rounded_up = 1 if steps <= 2 else (steps - 1).bit_length()
    return max(4, rounded_up // LEVELS)


@njit(cache=True, nogil=True, error_model="numpy")
def _pass_on(levels: NDArray[np.float32], i: int, power: int) -> None:
    """Move full levels upwards after step ``i``."""
    mask = (1 << power) - 1
    for j in range(1, LEVELS):
        for a in range(levels.shape[1]):
            for k in range(levels.shape[2]):
                levels[j, a, k] += levels[j - 1, a, k]
                levels[j - 1, a, k] = ZERO
        if i & (mask << (j * power)):
            break


@njit(cache=True, nogil=True, error_model="numpy")
def _add_steps(levels: NDArray[np.float32], x: Values, i: int, steps: int, power: int, pairs: bool) -> int:
    """Add ``steps`` groups of four vectors; returns the number of steps so far."""
    width = 2 * LANES if pairs else LANES
    step = 1 << power
    for s in range(steps):
        begin = s * ABREAST * width
        for a in range(ABREAST):
            row = begin + a * width
            for k in range(LANES):
                y = x[row + k] + x[row + LANES + k] if pairs else x[row + k]
                levels[0, a, k] += y
        i += 1
        if i % step == 0:
            _pass_on(levels, i, power)
    return i


@njit(cache=True, nogil=True, error_model="numpy")
def _finish(levels: NDArray[np.float32], rest: Values, pairs: bool) -> np.float32:
    """What is left over joins the first lane group; then groups, then the tail and the lanes."""
    width = 2 * LANES if pairs else LANES
    for j in range(1, LEVELS):
        for a in range(ABREAST):
            for k in range(LANES):
                levels[0, a, k] += levels[j, a, k]
    vectors = rest.size // width
    for v in range(vectors):
        for k in range(LANES):
            row = v * width
            y = rest[row + k] + rest[row + LANES + k] if pairs else rest[row + k]
            levels[0, 0, k] += y
    for a in range(1, ABREAST):
        for k in range(LANES):
            levels[0, 0, k] += levels[0, a, k]
    total = ZERO
    for i in range(vectors * width, rest.size):
        total += rest[i]
    for k in range(LANES):
        total += levels[0, 0, k]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _short(x: Values) -> np.float32:
    """Fewer numbers than a vector holds: four sums abreast, one number each."""
    part, groups = np.zeros(ABREAST, np.float32), x.size // ABREAST
    for g in range(groups):
        for a in range(ABREAST):
            part[a] += x[g * ABREAST + a]
    for i in range(groups * ABREAST, x.size):
        part[0] += x[i]
    for a in range(1, ABREAST):
        part[0] += part[a]
    return np.float32(part[0])


class TorchSum:
    """The sum of ``n`` contiguous numbers, fed in blocks of any size.

    ``narrow``: the numbers are stored in 16 bits. The result is float32, before any rounding to 16 bits.
    """

    def __init__(self, n: int, *, narrow: bool) -> None:
        width = 2 * LANES if narrow else LANES
        self._narrow, self._short, self._group = narrow, n < width, width * ABREAST
        self._power = level_power(n // self._group)
        self._levels = np.zeros((LEVELS, ABREAST, LANES), np.float32)
        self._i = 0
        self._rest = np.empty(0, np.float32)

    def add(self, x: Values) -> None:
        """Feed the next numbers [m] float32."""
        if self._rest.size:
            x = np.concatenate([self._rest, x])
        steps = x.size // self._group
        self._i = _add_steps(self._levels, x, self._i, steps, self._power, self._narrow)
        self._rest = x[steps * self._group :].copy()

    def result(self) -> np.float32:
        """The sum."""
        if self._short:
            return np.float32(_short(self._rest))
        return np.float32(_finish(self._levels.copy(), self._rest, self._narrow))


def sum_of(x: Values, *, narrow: bool = False) -> np.float32:
    """The sum of a contiguous row [n] that is in memory."""
    if x.size < (2 * LANES if narrow else LANES):
        return np.float32(_short(np.ascontiguousarray(x, np.float32)))
    total = TorchSum(x.size, narrow=narrow)
    total.add(np.ascontiguousarray(x, np.float32))
    return total.result()


@njit(cache=True, nogil=True, error_model="numpy")
def _add_squares(lanes: Values, x: Values, vectors: int) -> None:
    if lanes.size == 1:
        for i in range(vectors):
            lanes[0] += x[i] * x[i]
        return
    for v in range(vectors):
        for k in range(LANES):
            y = x[v * LANES + k]
            lanes[k] += y * y


@njit(cache=True, nogil=True, error_model="numpy")
def _squares(lanes: Values, rest: Values) -> np.float32:
    total = ZERO
    for k in range(lanes.size):
        total += lanes[k]
    for i in range(rest.size):
        total += rest[i] * rest[i]
    return total


class TorchNorm:
    """The Euclidean norm of contiguous numbers, fed in blocks of any size.

    ``in_order``: squares are added one after the other, as those of binary16 are.
    """

    def __init__(self, *, in_order: bool = False) -> None:
        self._width = 1 if in_order else LANES
        self._lanes = np.zeros(self._width, np.float32)
        self._rest = np.empty(0, np.float32)

    def add(self, x: Values) -> None:
        """Feed the next numbers [m] float32."""
        if self._rest.size:
            x = np.concatenate([self._rest, x])
        vectors = x.size // self._width
        _add_squares(self._lanes, x, vectors)
        self._rest = x[vectors * self._width :].copy()

    def result(self) -> np.float32:
        """The norm, float32."""
        return np.float32(np.sqrt(_squares(self._lanes, self._rest)))


def outer_sum(rows: Values, start: int = 0, n: int | None = None) -> Values:
    """The sum over the first axis of [k, m], elements ``start`` on of ``n``: in order, in groups of 16
    where there are more; the columns after the last 32 abreast, four sums abreast."""
    out = np.empty(rows.shape[1], np.float32)
    columns = start + rows.shape[1] if n is None else n
    _outer(np.ascontiguousarray(rows), level_power(rows.shape[0]), columns - columns % 32 - start, out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def outer_at(rows: Values, i: int, power: int, abreast: bool) -> np.float32:
    """The sum of column ``i`` of [k, m]; ``abreast``: four sums, then their sum."""
    if abreast:
        return _short(rows[:, i])
    level = np.zeros(LEVELS, np.float32)
    for k in range(rows.shape[0]):
        level[0] += rows[k, i]
        if (k + 1) % (1 << power) == 0:
            for j in range(1, LEVELS):
                level[j] += level[j - 1]
                level[j - 1] = ZERO
                if (k + 1) & (((1 << power) - 1) << (j * power)):
                    break
    for j in range(1, LEVELS):
        level[0] += level[j]
    return np.float32(level[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _outer(rows: Values, power: int, odd: int, out: Values) -> None:
    if rows.shape[0] < ABREAST + 1:
        for i in range(out.size):
            out[i] = ZERO
        for k in range(rows.shape[0]):
            for i in range(out.size):
                out[i] += rows[k, i]
        return
    for i in range(out.size):
        out[i] = outer_at(rows, i, power, i >= odd)
