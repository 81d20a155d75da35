"""Loops of merges of task vectors: differences, weighted sums, elections of signs, block by block.

The arithmetic is stated in ``task_vectors``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from parentage.methods.method import Values
from parentage.numerics.storage.rounding_kernels import on_bf16_grid, on_f16_grid
from parentage.numerics.tool_order.torch_sums import outer_at
from parentage.records.dtypes import DType

__all__ = ["GRIDS", "combine", "differences", "in_order", "on_grid_of"]

# Elements of a block: its sums stay in the first-level cache.
BLOCK: Final = 2048
# A tool's sum of fewer than FEW task vectors is one after the other; so is that of fewer than SEVERAL, but
# for a tensor's last elements (``torch_sums``).
FEW: Final = 5
SEVERAL: Final = 16
GRIDS: Final = {DType.BF16: 0, DType.F16: 1, DType.F32: 2}


@njit(cache=True, nogil=True, error_model="numpy")
def on_grid_of(x: np.float32, grid: int) -> np.float32:
    """The number after storage in one of ``GRIDS``."""
    if grid == 0:
        return on_bf16_grid(x)
    return on_f16_grid(x) if grid == 1 else np.float32(x)


@njit(cache=True, nogil=True, error_model="numpy")
def _apart(x: Values, base: Values, out: Values, grid: int) -> None:
    for i in range(base.size):
        out[i] = on_grid_of(np.float32(on_grid_of(x[i], grid) - on_grid_of(base[i], grid)), grid)


@njit(cache=True, nogil=True, error_model="numpy")
def differences(x: Values, base: Values, out: Values, grid: int) -> None:
    """r(r(x) - r(base)) [n] to ``out``."""
    # A constant for each grid, so that every loop is compiled for its own.
    if grid == 0:
        _apart(x, base, out, 0)
    elif grid == 1:
        _apart(x, base, out, 1)
    else:
        _apart(x, base, out, 2)


@njit(cache=True, nogil=True, error_model="numpy")
def in_order(models: int, odd: int, n: int) -> int:
    """Of ``n`` elements, how many at the beginning have sums that are one after the other; ``odd``: the
    element from which on a tool adds several abreast."""
    if models < FEW:
        return n
    return min(max(odd, 0), n) if models < SEVERAL else 0


@njit(cache=True, nogil=True, error_model="numpy")
def _mixed(
    p: Values, weights: Values, i: int, power: int, abreast: bool, elect: bool, grid: int
) -> tuple[np.float32, np.float32]:
    """The sum of what took part at element ``i``, and of its weights."""
    models = p.shape[0]
    if not elect:
        return on_grid_of(outer_at(p, i, power, abreast), grid), np.float32(1)
    positive = on_grid_of(outer_at(p, i, power, abreast), grid) >= 0
    part, share = np.zeros((models, 1), np.float32), np.zeros((models, 1), np.float32)
    for k in range(models):
        if (p[k, i] > 0) if positive else (p[k, i] < 0):
            part[k, 0], share[k, 0] = p[k, i], weights[k]
    mixed = on_grid_of(outer_at(part, 0, power, abreast), grid)
    return mixed, on_grid_of(outer_at(share, 0, power, abreast), grid)


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(deltas: Values, weights: Values, begin: int, n: int, total: Values, grid: int) -> None:
    """Weight a block in place, and add it up."""
    for i in range(n):
        total[i] = np.float32(0)
    for k in range(deltas.shape[0]):
        # A view of the row: indices into a matrix are not vectorised (a third of the speed).
        row, w = deltas[k, begin : begin + n], weights[k]
        for i in range(n):
            p = on_grid_of(np.float32(row[i] * w), grid)
            row[i] = p
            total[i] += p
    for i in range(n):
        total[i] = on_grid_of(total[i], grid)


@njit(cache=True, nogil=True, error_model="numpy")
def _elect(
    p: Values, weights: Values, begin: int, n: int, total: Values, share: Values, mixed: Values, grid: int
) -> None:
    """``total`` becomes the sum of those that have its sign, ``share`` that of their weights."""
    for i in range(n):
        mixed[i] = np.float32(0)
        share[i] = np.float32(0)
    zero = np.float32(0)
    for k in range(p.shape[0]):
        row, w = p[k, begin : begin + n], weights[k]
        for i in range(n):
            x, positive = row[i], total[i] >= zero
            agrees = ((x > zero) & positive) | ((x < zero) & (not positive))
            mixed[i] = mixed[i] + (x if agrees else zero)
            share[i] = share[i] + (w if agrees else zero)
    for i in range(n):
        total[i] = on_grid_of(mixed[i], grid)
        share[i] = on_grid_of(share[i], grid)


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(
    total: Values,
    share: Values,
    base: Values,
    begin: int,
    n: int,
    normalize: bool,
    factor: np.float32,
    grid: int,
    out: Values,
) -> None:
    """Divide, scale, add to the base."""
    if normalize:
        for i in range(n):
            by = np.float32(1) if share[i] == np.float32(0) else share[i]
            total[i] = on_grid_of(np.float32(total[i] / by), grid)
    if factor != np.float32(1):
        for i in range(n):
            total[i] = on_grid_of(np.float32(total[i] * factor), grid)
    ours, made = base[begin : begin + n], out[begin : begin + n]
    for i in range(n):
        made[i] = on_grid_of(np.float32(on_grid_of(ours[i], grid) + total[i]), grid)


@njit(cache=True, nogil=True, error_model="numpy")
def _combine_on(
    deltas: Values,
    base: Values,
    weights: Values,
    scale: Values,
    elect: bool,
    normalize: bool,
    grid: int,
    power: int,
    odd: int,
    out: Values,
) -> None:
    plain = in_order(deltas.shape[0], odd, out.size)
    total, share = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    mixed = np.empty(BLOCK, np.float32)
    for begin in range(0, out.size, BLOCK):
        n = min(BLOCK, out.size - begin)
        first = min(max(plain - begin, 0), n)
        _weigh(deltas, weights, begin, n, total, grid)
        for i in range(n):
            share[i] = scale[0]
        if elect:
            _elect(deltas, weights, begin, first, total, share, mixed, grid)
        for i in range(first, n):
            at = begin + i
            total[i], found = _mixed(deltas, weights, at, power, at >= odd, elect, grid)
            share[i] = found if elect else scale[0]
        _settle(total, share, base, begin, n, normalize, scale[1], grid, out)


@njit(cache=True, nogil=True, error_model="numpy")
def combine(
    deltas: Values,
    base: Values,
    weights: Values,
    scale: Values,
    elect: bool,
    normalize: bool,
    grid: int,
    power: int,
    odd: int,
    out: Values,
) -> None:
    """Merge ``out.size`` elements of ``deltas`` [others, at least as many], which are overwritten.

    ``scale`` [2]: the divisor where no signs are elected, and lambda. ``power``: of the sums' order
    (``torch_sums``), and ``odd``: the element from which on sums of few stand in another.
    """
    if grid == 0:
        _combine_on(deltas, base, weights, scale, elect, normalize, 0, power, odd, out)
    elif grid == 1:
        _combine_on(deltas, base, weights, scale, elect, normalize, 1, power, odd, out)
    else:
        _combine_on(deltas, base, weights, scale, elect, normalize, 2, power, odd, out)
