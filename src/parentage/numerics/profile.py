"""Profile of a cell likelihood over merge weights: predictions, scales, grids, row scales.

The observation of an element is its rounding cell ``[low, high]``; the prediction is either the
replay ``round_m(Σ wⱼ aⱼ)`` or the unrounded sum. The scale of the change is maximised out at every
weight vector, so a profile is a function of the weights alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.numerics.tails import scale_sums
from parentage.records.dtypes import DType

__all__ = [
    "Cells",
    "Mode",
    "best_scale",
    "predict",
    "profile_at",
    "residual_cells",
    "rounding_code",
    "row_scales",
]

Floats = NDArray[np.float64]
Mode = Literal["replay", "free"]

_FREE: Final = 0
_ROUNDING: Final[dict[DType, int]] = {DType.BF16: 1, DType.F16: 2, DType.F32: 3, DType.F64: 0}
# A scale is settled once another Newton step would gain less than this in log-likelihood: far
# under the 1.92 of a 95 % interval and the 10 of the merge test.
_GAIN: Final = 1e-4
_MAX_SCALE_STEPS: Final = 80


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


@dataclass(frozen=True, slots=True)
class Cells:
    """What is fitted: parents float64 ``[K, n]``, cells ``[n]``, relative scales ``[n]``."""

    parents: Floats
    low: Floats
    high: Floats
    relative: Floats
    code: int
    single: bool
    """The replay's sum is taken in float32, as nearly all mergers do."""

    @property
    def n(self) -> int:
        return int(self.low.size)

    def every(self, stride: int) -> Cells:
        """Each ``stride``-th element: a deterministic sample for the coarse search."""
        return Cells(
            np.ascontiguousarray(self.parents[:, ::stride]),
            self.low[::stride].copy(),
            self.high[::stride].copy(),
            self.relative[::stride].copy(),
            self.code,
            self.single,
        )

    def without(self, parent: int) -> Cells:
        """The same elements with one parent fewer."""
        parents = np.ascontiguousarray(np.delete(self.parents, parent, axis=0))
        return Cells(parents, self.low, self.high, self.relative, self.code, self.single)

    def free(self) -> Cells:
        """The same elements with an unrounded prediction."""
        return Cells(self.parents, self.low, self.high, self.relative, _FREE, False)

    def scaled(self, relative: Floats) -> Cells:
        """The same elements with other relative scales."""
        return Cells(self.parents, self.low, self.high, relative, self.code, self.single)


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
def _first_scale(lo: NDArray[np.float64], hi: NDArray[np.float64]) -> float:
    """Mean distance of the cells' middles plus a little of their width: a scale to start from."""
    distance, width = 0.0, 0.0
    for i in range(lo.size):
        distance += abs(0.5 * (lo[i] + hi[i]))
        width += hi[i] - lo[i]
    return max((distance + 0.05 * width) / max(lo.size, 1), 1e-300)


@njit(cache=True, nogil=True)
def best_scale(  # noqa: PLR0912 (one loop; numba inlines poorly across more functions)
    lo: NDArray[np.float64],
    hi: NDArray[np.float64],
    family: int,
    guess: float,
    pull: float,
    centre: float,
) -> tuple[float, float, int]:
    """Maximise the likelihood over the scale: log-likelihood, scale, evaluations.

    Where every cell holds its prediction the maximum is the boundary: log-likelihood 0, scale 0.
    ``pull`` > 0 adds a quadratic prior on log scale around ``log centre`` with that precision (its
    value is left out of the returned log-likelihood).
    """
    if pull == 0.0:
        inside = True
        for i in range(lo.size):
            if lo[i] > 0.0 or hi[i] < 0.0:
                inside = False
                break
        if inside:
            return 0.0, 0.0, 0
    x = math.log(guess if guess > 0.0 else _first_scale(lo, hi))
    anchor = math.log(centre) if pull > 0.0 else 0.0
    left, right, at_left, at_right = -1e9, 1e9, 0.0, 0.0
    best, best_x, last_side = -np.inf, x, 0
    steps = 0
    for steps in range(1, _MAX_SCALE_STEPS):  # noqa: B007 (the count is returned)
        value, g, information = scale_sums(lo, hi, math.exp(x), family)
        penalised = value - 0.5 * pull * (x - anchor) ** 2
        g -= pull * (x - anchor)
        information += pull
        if penalised >= best:
            best, best_x = penalised, x
        if information <= 0.0 or g * g <= 2.0 * _GAIN * information or right - left < 1e-7:
            break
        side = 1 if g > 0.0 else -1
        if side > 0:
            left, at_left = x, g
            if last_side == side:
                at_right *= 0.5
        else:
            right, at_right = x, g
            if last_side == side:
                at_left *= 0.5
        last_side = side
        if left > -1e8 and right < 1e8:
            x = left + (right - left) * at_left / (at_left - at_right)
            margin = 1e-3 * (right - left)
            x = min(max(x, left + margin), right - margin)
        else:
            mean = max(g / lo.size, -0.9)
            step = 0.5 * math.log1p(mean)
            newton = g / information
            step = max(step, newton) if side > 0 else min(step, newton)
            # A hair too far is a bracket, after which the secant takes over.
            x += min(max(1.1 * step, -3.0), 3.0)
    scale = math.exp(best_x)
    if pull > 0.0:
        best += 0.5 * pull * (best_x - anchor) ** 2
    return best, scale, steps


@njit(cache=True, nogil=True)
def _profile_grid(
    parents: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    relative: NDArray[np.float64],
    weights: NDArray[np.float64],
    code: int,
    single: bool,
    family: int,
    guess: float,
    values: NDArray[np.float64],
    scales: NDArray[np.float64],
) -> int:
    n = low.size
    prediction, lo, hi = np.empty(n), np.empty(n), np.empty(n)
    evaluations = 0
    scale = guess
    for k in range(weights.shape[0]):
        predict(parents, weights[k], code, single, prediction)
        residual_cells(low, high, relative, prediction, lo, hi)
        values[k], scales[k], steps = best_scale(lo, hi, family, scale, 0.0, 0.0)
        if scales[k] > 0.0:
            scale = scales[k]
        evaluations += steps
    return evaluations


def profile_at(
    cells: Cells, weights: Floats, family: int, *, guess: float = 0.0
) -> tuple[Floats, Floats, int]:
    """Profile log-likelihoods and scales at ``weights`` ``[G, K]``, and evaluations spent."""
    values, scales = np.empty(len(weights)), np.empty(len(weights))
    spent = _profile_grid(
        cells.parents,
        cells.low,
        cells.high,
        cells.relative,
        np.ascontiguousarray(weights),
        cells.code,
        cells.single,
        family,
        guess,
        values,
        scales,
    )
    return values, scales, int(spent)


@njit(cache=True, nogil=True)
def _scales_by_row(
    lo: NDArray[np.float64],
    hi: NDArray[np.float64],
    starts: NDArray[np.int64],
    family: int,
    scale: float,
    pull: float,
    out: NDArray[np.float64],
) -> None:
    for r in range(starts.size - 1):
        a, b = starts[r], starts[r + 1]
        out[r] = best_scale(lo[a:b], hi[a:b], family, scale, pull, scale)[1]


def row_scales(
    lo: Floats,
    hi: Floats,
    rows: NDArray[np.int32],
    *,
    family: int,
    scale: float,
    pseudo_observations: float,
) -> tuple[Floats, Floats]:
    """Relative scale of each element's row, and of each row: shrunken to the common ``scale``.

    ``lo``, ``hi``: cells less their predictions, float64 ``[n]``; ``rows``: group ids ``[n]``.
    """
    order = np.argsort(rows, kind="stable")
    ids, starts = np.unique(rows[order], return_index=True)
    edges = np.append(starts, rows.size).astype(np.int64)
    by_row = np.empty(ids.size)
    # A Gaussian observation carries 2 units of information on log scale.
    pull = 2.0 * pseudo_observations
    _scales_by_row(lo[order], hi[order], edges, family, scale, pull, by_row)
    by_row /= scale
    each = np.empty(rows.size)
    each[order] = np.repeat(by_row, np.diff(edges))
    return each, by_row
