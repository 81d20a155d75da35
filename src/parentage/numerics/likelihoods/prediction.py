"""Predictions of a blend and the cells around them: the innermost loops of the likelihoods."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.records.dtypes import DType

__all__ = [
    "FREE",
    "first_scale",
    "predict",
    "predict_off_grid",
    "residual_cells",
    "rounding_code",
]

FREE: Final = 0
_ROUNDING: Final[dict[DType, int]] = {DType.BF16: 1, DType.F16: 2, DType.F32: 3, DType.F64: FREE}


def rounding_code(dtype: DType) -> int:
    """The kernels' code for storing in ``dtype``; raises :class:`UsageError` for other dtypes."""
    code = _ROUNDING.get(dtype)
    if code is None:
        raise UsageError(
            f"no replay likelihood for {dtype.value}",
            code="dtype-without-replay",
            hint="give the merge's dtype: BF16, F16, F32 or F64",
        )
    return code


@njit(cache=True, nogil=True)
def _round_in_place(values: NDArray[np.float64], code: int) -> None:
    """Round float64 to bf16 (1), fp16 (2) or fp32 (3), to nearest, ties to even.

    Past the largest bf16 or fp16 the next power of two stands for infinity: sums stay finite.
    """
    if code == 0:
        return
    if code == 3:
        for i in range(values.size):
            values[i] = np.float64(np.float32(values[i]))
        return
    drop = 45 if code == 1 else 42
    least = 2.0**-126 if code == 1 else 2.0**-14
    # Adding 1.5·2^(52+k) leaves a multiple of 2^k: the subnormals' fixed step.
    magic = 1.5 * 2.0 ** (52 - 133) if code == 1 else 1.5 * 2.0 ** (52 - 24)
    half = np.int64((1 << (drop - 1)) - 1)
    mask = ~np.int64((1 << drop) - 1)
    bits = values.view(np.int64)
    for i in range(values.size):
        value = values[i]
        if abs(value) < least:
            values[i] = (value + magic) - magic
        else:
            word = bits[i]
            bits[i] = (word + half + ((word >> drop) & 1)) & mask


@njit(cache=True, nogil=True)
def predict(
    parents: NDArray[np.float64],
    weights: NDArray[np.float64],
    code: int,
    single: bool,
    out: NDArray[np.float64],
) -> None:
    """Write ``round_m(Σ wⱼ aⱼ)`` to ``out`` ``[n]``; ``code`` 0 leaves the sum unrounded."""
    count, n = parents.shape
    if single and code != 0:
        for i in range(n):
            total = np.float32(weights[0]) * np.float32(parents[0, i])
            for j in range(1, count):
                total = np.float32(total + np.float32(np.float32(weights[j]) * np.float32(parents[j, i])))
            out[i] = np.float64(total)
    else:
        for i in range(n):
            out[i] = weights[0] * parents[0, i]
        for j in range(1, count):
            for i in range(n):
                out[i] += weights[j] * parents[j, i]
    _round_in_place(out, code)


@njit(cache=True, nogil=True)
def residual_cells(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    relative: NDArray[np.float64],
    prediction: NDArray[np.float64],
    lo: NDArray[np.float64],
    hi: NDArray[np.float64],
) -> int:
    """Cells relative to their predictions, in relative scales; returns how many miss."""
    missed = 0
    for i in range(low.size):
        below, above = low[i] - prediction[i], high[i] - prediction[i]
        if below > 0.0 or above < 0.0:
            missed += 1
        inverse = 1.0 / relative[i]
        lo[i] = below * inverse
        hi[i] = above * inverse
    return missed


@njit(cache=True, nogil=True)
def first_scale(lo: NDArray[np.float64], hi: NDArray[np.float64]) -> float:
    """Mean distance of the cells' middles plus a little of their width: a scale to start from."""
    distance, width = 0.0, 0.0
    for i in range(lo.size):
        distance += abs(0.5 * (lo[i] + hi[i]))
        width += hi[i] - lo[i]
    return max((distance + 0.05 * width) / max(lo.size, 1), 1e-300)


@njit(cache=True, nogil=True)
def predict_off_grid(
    parents: NDArray[np.float64],
    weights: NDArray[np.float64],
    code: int,
    offsets: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """As :func:`predict`, but every sum is moved by ``offsets`` ``[n]`` grid steps before it is rounded.

    The values stay on the grid; which of them is taken is no longer the nearest.
    """
    predict(parents, weights, FREE, False, out)
    digits = 7 if code == 1 else (10 if code == 2 else 23)
    least = -126 if code != 2 else -14
    for i in range(out.size):
        value = abs(out[i])
        exponent = least
        if value > 0.0:
            exponent = max(int(np.floor(np.log2(value))), least)
        out[i] += offsets[i] * 2.0 ** (exponent - digits)
    _round_in_place(out, code)
