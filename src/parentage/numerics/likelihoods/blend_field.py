"""Log-likelihood of weights around a fixed change: cheap enough to ask for thousands of weights.

A profile maximises the size and the drift of the later change anew at every weight. Near one weight they
hardly move: here the size is held, and the drift follows by one Newton step with the information measured
once. One pass over the elements gives a value, or two where the step promises much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.numerics.likelihoods.gauss_kernels import ROOM, gauss_log_product, gauss_of_cells
from parentage.numerics.likelihoods.prediction import predict, predict_off_grid, residual_cells
from parentage.numerics.likelihoods.profile import Cells, profile_at, profile_drifting
from parentage.numerics.likelihoods.t2_kernels import BLOCK, log_product, t2_of_places
from parentage.numerics.likelihoods.tails import STUDENT_T2, cell_scores

__all__ = ["Field"]

Floats = NDArray[np.float64]
# The longest Newton step of the drift, what one may promise unseen, and how far below the best nothing is
# looked at.
_LONGEST: Final = 1e3
_TRUSTED: Final = 0.3
_FAR: Final = 30.0


@dataclass(frozen=True, slots=True)
class Field:
    """The likelihood of ``cells`` at a fixed ``scale``, the suspect near ``centre`` along the drift.

    ``weights`` [K] are those it was measured at, ``log_likelihood`` the profile there; ``covariance``
    [J, J] is that of the place. J = 0 without a drift.
    """

    cells: Cells
    family: int
    weights: Floats
    log_likelihood: float
    scale: float
    centre: Floats
    covariance: Floats
    rest: _Rest | None = None
    """What elements that were left out add, where no weight asked for moves their prediction."""

    @staticmethod
    def around(cells: Cells, family: int, weights: Floats, *, guess: float = 0.0) -> Field:
        """Measure size and drift of the change at ``weights`` [K]."""
        if cells.drift is None:
            values, scales, _ = profile_at(cells, weights[None, :], family, guess=guess)
            return Field(
                cells, family, weights, float(values[0]), float(scales[0]), np.empty(0), np.empty((0, 0))
            )
        values, scales, shifts, _ = profile_drifting(cells, weights[None, :], family, guess=guess)
        scale = float(scales[0])
        centre = cells.places(weights[None, :])[0] + shifts[0]
        covariance = _covariance(cells, family, weights, shifts[0], scale)
        return Field(cells, family, weights, float(values[0]), scale, centre, covariance)

    def at(self, weights: Floats) -> Floats:
        """Log-likelihoods [G] at ``weights`` [G, K], at most ``_TRUSTED`` above the profile's."""
        weights = np.ascontiguousarray(weights)
        if self.cells.drift is None:
            return self._pass(weights, np.empty((len(weights), 0)))[0]
        shifts = self.centre - self.cells.places(weights)
        values, scores = self._pass(weights, shifts)
        with np.errstate(over="ignore", invalid="ignore"):
            steps = scores @ self.covariance
            gains = 0.5 * np.sum(steps * scores, axis=1)
        # A step of a thousand parents' differences, of a blend far from every cell, leads to no number.
        lost = ~(np.isfinite(gains) & (np.abs(steps) <= _LONGEST).all(axis=1))
        gains[lost], steps[lost] = 0.0, 0.0
        # A promise that the curvature elsewhere may not keep is looked at, where anything hangs on it.
        doubted = (gains > _TRUSTED) & (
            values + gains > (values + np.minimum(gains, _TRUSTED)).max() - _FAR
        )
        values += np.minimum(gains, _TRUSTED)
        if doubted.any():
            there = self._pass(np.ascontiguousarray(weights[doubted]), (shifts + steps)[doubted])[0]
            values[doubted] = np.maximum(values[doubted], there)
        return values

    def _pass(self, weights: Floats, shifts: Floats) -> tuple[Floats, Floats]:
        """Log-likelihoods [G] at shifts [G, J] along the drift, and their scores [G, J]."""
        cells = self.cells
        drift = np.empty((0, cells.n)) if cells.drift is None else cells.drift
        values, scores = np.empty(len(weights)), np.empty(shifts.shape)
        parents, weights = cells.summed(weights)
        _values(
            parents,
            cells.low,
            cells.high,
            1.0 / (self.scale * cells.relative),
            drift,
            np.ascontiguousarray(shifts),
            weights,
            cells.code,
            cells.single,
            self.family,
            np.empty(0) if cells.offsets is None else cells.offsets,
            values,
            scores,
        )
        if self.rest is not None:
            moved = shifts - self.rest.shifts
            bent = moved @ self.rest.information
            values += self.rest.value + moved @ self.rest.score - 0.5 * np.sum(moved * bent, axis=1)
            scores += self.rest.score - bent
        return values, scores

    def within(self, reach: Floats) -> Field:
        """The same field for weights whose blends stay within ``reach`` [n] of those at ``weights``.

        Elements whose replay is the same throughout are summed up once: their part of the likelihood
        depends on the drift alone, to second order.
        """
        cells = self.cells
        blend = self.weights @ cells.parents
        # A float32 sum in another order may take a break point with it.
        reach = reach + 2.0**-22 * (np.abs(self.weights) @ np.abs(cells.parents))
        ends = np.empty((2, cells.n))
        for end, sign in zip(ends, (-1.0, 1.0), strict=True):
            predict((blend + sign * reach)[None, :], np.ones(1), cells.code, False, end)
        live = ends[0] != ends[1]
        if cells.code == 0 or live.all():
            return self
        quiet = ~live
        return replace(self, cells=_only(cells, live), rest=self._rest(quiet))

    def _rest(self, quiet: NDArray[np.bool_]) -> _Rest:
        cells = _only(self.cells, quiet)
        drift = np.empty((0, cells.n)) if cells.drift is None else cells.drift
        place = np.empty(0) if cells.drift is None else cells.places(self.weights[None, :])[0]
        shifts = self.centre - place
        value, location = _scores(cells, self.family, self.weights, shifts @ drift, self.scale)
        scores = drift * location
        return _Rest(value, shifts, scores.sum(axis=1), scores @ scores.T)


@dataclass(frozen=True, slots=True)
class _Rest:
    """A sum over elements, to second order in the drift's shifts [J] around ``shifts``."""

    value: float
    shifts: Floats
    score: Floats
    information: Floats


def _only(cells: Cells, chosen: NDArray[np.bool_]) -> Cells:
    drift = None if cells.drift is None else np.ascontiguousarray(cells.drift[:, chosen])
    offsets = None if cells.offsets is None else cells.offsets[chosen]
    return replace(
        cells,
        parents=np.ascontiguousarray(cells.parents[:, chosen]),
        low=cells.low[chosen],
        high=cells.high[chosen],
        relative=cells.relative[chosen],
        drift=drift,
        offsets=offsets,
    )


def _scores(
    cells: Cells, family: int, weights: Floats, shift: Floats, scale: float
) -> tuple[float, Floats]:
    """Log-likelihood at ``weights`` and a ``shift`` [n], and each element's score in its location."""
    prediction, lo, hi = np.empty(cells.n), np.empty(cells.n), np.empty(cells.n)
    parents, weights = cells.summed(weights)
    if cells.offsets is None:
        predict(parents, weights, cells.code, cells.single, prediction)
    else:
        predict_off_grid(parents, weights, cells.code, cells.offsets, prediction)
    prediction += shift
    residual_cells(cells.low, cells.high, cells.relative, prediction, lo, hi)
    value, location, _ = cell_scores(lo, hi, scale, family)
    return float(value), location / cells.relative


def _covariance(cells: Cells, family: int, weights: Floats, shifts: Floats, scale: float) -> Floats:
    """Inverse of the place's squared scores; zero where the change has no size."""
    assert cells.drift is not None
    if scale <= 0.0:
        return np.zeros((len(shifts), len(shifts)))
    scores = cells.drift * _scores(cells, family, weights, shifts @ cells.drift, scale)[1]
    information = scores @ scores.T
    ridge = 1e-9 * float(np.trace(information)) / len(shifts) + 1e-300
    return np.asarray(np.linalg.inv(information + ridge * np.eye(len(shifts))), dtype=np.float64)


@njit(cache=True, nogil=True, error_model="numpy")
def _values(
    parents: Floats,
    low: Floats,
    high: Floats,
    inverse: Floats,
    drift: Floats,
    shifts: Floats,
    weights: Floats,
    code: int,
    single: bool,
    family: int,
    offsets: Floats,
    values: Floats,
    scores: Floats,
) -> None:
    """Fill ``values`` [G] and ``scores`` [G, J]; ``inverse`` [n]: one over the elements' scales;
    ``offsets`` [n] or empty: grid steps by which each sum is moved before it is rounded."""
    n, count = low.size, drift.shape[0]
    prediction = np.empty(n)
    for k in range(weights.shape[0]):
        if offsets.size:
            predict_off_grid(parents, weights[k], code, offsets, prediction)
        else:
            predict(parents, weights[k], code, single, prediction)
        for j in range(count):
            shift, along = shifts[k, j], drift[j]
            for i in range(n):
                prediction[i] += shift * along[i]
        values[k] = _value(prediction, low, high, inverse, drift, family, scores[k])


@njit(cache=True, nogil=True, error_model="numpy")
def _value(
    where: Floats, low: Floats, high: Floats, inverse: Floats, drift: Floats, family: int, score: Floats
) -> float:
    """Log-likelihood around ``where`` [n]; its score along ``drift`` [J, n] goes to ``score`` [J]."""
    total, product = 0.0, 1.0
    mass, location, log_scale = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    room = np.empty((ROOM, BLOCK))
    score[:] = 0.0
    for begin in range(0, low.size, BLOCK):
        n = min(BLOCK, low.size - begin)
        end = begin + n
        here, below, above, by = where[begin:end], low[begin:end], high[begin:end], inverse[begin:end]
        if family == STUDENT_T2:
            t2_of_places(below, above, here, by, n, mass, location)
            total, product = log_product(mass, n, total, product)
        else:
            for i in range(n):
                room[0, i], room[1, i] = (below[i] - here[i]) * by[i], (above[i] - here[i]) * by[i]
            gauss_of_cells(n, room, mass, location, log_scale)
            total, product = gauss_log_product(mass, room, n, total, product)
        for i in range(n):
            location[i] *= by[i]
        for j in range(drift.shape[0]):
            sofar, along = score[j], drift[j, begin:end]
            for i in range(n):
                sofar += location[i] * along[i]
            score[j] = sofar
    return total + math.log(product)
