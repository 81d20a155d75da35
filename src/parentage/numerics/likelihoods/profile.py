"""Profile of a cell likelihood over merge weights: predictions, scales, grids, row scales.

The observation of an element is its rounding cell ``[low, high]``; the prediction is either the
replay ``round_m(Σ wⱼ aⱼ)`` or the unrounded sum. The scale of the change is maximised out at every
weight vector, so a profile is a function of the weights alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.numerics.likelihoods.drift import profile_with_drift
from parentage.numerics.likelihoods.prediction import (
    FREE,
    first_scale,
    predict,
    residual_cells,
    rounding_code,
)
from parentage.numerics.likelihoods.tails import scale_sums

__all__ = [
    "Cells",
    "Mode",
    "best_scale",
    "predict",
    "profile_at",
    "profile_drifting",
    "residual_cells",
    "rounding_code",
    "row_scales",
]

Floats = NDArray[np.float64]
Mode = Literal["replay", "free"]

# A scale is settled once another Newton step would gain less than this in log-likelihood: far
# under the 1.92 of a 95 % interval and the 10 of the merge test.
_GAIN: Final = 1e-4
_MAX_SCALE_STEPS: Final = 80


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
    drift: Floats | None = None
    """Directions ``[J, n]`` along which a later change may have moved all elements: differences to the
    last parent, J = K - 1, and the last parent itself where the weights' sum is free, J = K."""
    offsets: Floats | None = None
    """Grid steps ``[n]`` by which every sum is moved before it is rounded: a grid that no merger uses."""
    centre: Floats | None = None
    """Where along ``drift`` the suspect lies, as far as is known: a start for the search ``[J]``."""
    order: tuple[int, ...] | None = None
    """The order in which the replay sums its parents, where it is not theirs: it decides exact ties."""

    @property
    def n(self) -> int:
        return int(self.low.size)

    def every(self, stride: int) -> Cells:
        """Each ``stride``-th element: a deterministic sample for the coarse search."""
        drift = None if self.drift is None else np.ascontiguousarray(self.drift[:, ::stride])
        offsets = None if self.offsets is None else self.offsets[::stride].copy()
        return replace(
            self,
            parents=np.ascontiguousarray(self.parents[:, ::stride]),
            low=self.low[::stride].copy(),
            high=self.high[::stride].copy(),
            relative=self.relative[::stride].copy(),
            drift=drift,
            offsets=offsets,
        )

    def without(self, parent: int) -> Cells:
        """The same elements with one parent fewer, and without a drift."""
        parents = np.ascontiguousarray(np.delete(self.parents, parent, axis=0))
        return replace(self, parents=parents, drift=None, centre=None)

    def free(self) -> Cells:
        """The same elements with an unrounded prediction, in which a drift is weight."""
        return replace(self, code=FREE, single=False, drift=None, centre=None)

    def summed(self, weights: Floats) -> tuple[Floats, Floats]:
        """Parents and weights, ``[K]`` or ``[G, K]``, in the order in which the replay sums them."""
        if self.order is None:
            return self.parents, np.ascontiguousarray(weights)
        order = list(self.order)
        return np.ascontiguousarray(self.parents[order]), np.ascontiguousarray(weights[..., order])

    def scaled(self, relative: Floats) -> Cells:
        """The same elements with other relative scales."""
        return replace(self, relative=relative)

    def drifting(self, centre: Floats, *, sum_to_one: bool) -> Cells:
        """The same elements whose change may drift along the parents' differences."""
        moves = self.parents[:-1] - self.parents[-1]
        drift = moves if sum_to_one else np.vstack([moves, self.parents[-1:]])
        return replace(self, drift=np.ascontiguousarray(drift), centre=centre)

    def places(self, weights: Floats) -> Floats:
        """Coordinates ``[G, J]`` along ``drift`` of weights ``[G, K]``."""
        assert self.drift is not None
        first = weights[:, :-1]
        if len(self.drift) < len(self.parents):
            return np.ascontiguousarray(first)
        return np.column_stack([first, weights.sum(axis=1)])


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
    x = math.log(guess if guess > 0.0 else first_scale(lo, hi))
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
    if cells.drift is not None:
        values, scales, _, spent = profile_drifting(cells, weights, family, guess=guess)
        return values, scales, spent
    values, scales = np.empty(len(weights)), np.empty(len(weights))
    parents, weights = cells.summed(weights)
    spent = _profile_grid(
        parents,
        cells.low,
        cells.high,
        cells.relative,
        weights,
        cells.code,
        cells.single,
        family,
        guess,
        values,
        scales,
    )
    return values, scales, int(spent)


def profile_drifting(
    cells: Cells, weights: Floats, family: int, *, guess: float = 0.0
) -> tuple[Floats, Floats, Floats, int]:
    """As :func:`profile_at`, with the drift's shifts ``[G, J]`` third; needs cells with a drift."""
    assert cells.drift is not None
    assert cells.centre is not None
    places = cells.places(weights)
    values, scales, shifts = np.empty(len(weights)), np.empty(len(weights)), np.empty(places.shape)
    parents, weights = cells.summed(weights)
    spent = profile_with_drift(
        parents,
        cells.low,
        cells.high,
        cells.relative,
        cells.drift,
        weights,
        places,
        cells.centre,
        cells.code,
        cells.single,
        family,
        guess,
        values,
        scales,
        shifts,
        np.empty(0) if cells.offsets is None else cells.offsets,
    )
    return values, scales, shifts, int(spent)


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
