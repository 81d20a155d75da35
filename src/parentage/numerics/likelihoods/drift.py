"""A later change with a drift: best scale and best shift along the parents' differences, together.

Training after a merge seldom moves orthogonally to the difference of its parents. Left out of the model,
that drift is read as weight: a merge at .60 trained on text like the first parent's reads .62 to .70.
With the drift free, the weight is told by the storage grid alone.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.numerics.likelihoods.gauss_kernels import ROOM, gauss_log_product, gauss_of_cells
from parentage.numerics.likelihoods.prediction import first_scale, predict, predict_off_grid, residual_cells
from parentage.numerics.likelihoods.t2_kernels import BLOCK, log_product, t2_of_states
from parentage.numerics.likelihoods.tails import STUDENT_T2

__all__ = ["best_change", "profile_with_drift"]

Floats = NDArray[np.float64]
# Where a further step would gain less, its predicted gain is added and the search ends: measured on
# profiles of real merges, the sum is within .01 of the maximum, far under the 1.92 of an interval.
_GAIN: Final = 0.05
_MAX_STEPS: Final = 60


@njit(cache=True, nogil=True)
def _sums(
    lo: NDArray[np.float64],
    hi: NDArray[np.float64],
    drift: NDArray[np.float64],
    state: NDArray[np.float64],
    family: int,
    score: NDArray[np.float64],
    information: NDArray[np.float64],
) -> float:
    """Log-likelihood at ``state`` (shifts ``[J]``, log scale); its score and squared scores."""
    count = drift.shape[0]
    inverse = math.exp(-state[count])
    score[:] = 0.0
    information[:] = 0.0
    total, product = 0.0, 1.0
    shift, mass, room = np.empty(BLOCK), np.empty(BLOCK), np.empty((ROOM, BLOCK))
    location, log_scale = np.empty(BLOCK), np.empty(BLOCK)
    for begin in range(0, lo.size, BLOCK):
        n = min(BLOCK, lo.size - begin)
        below, above = lo[begin : begin + n], hi[begin : begin + n]
        shift[:] = 0.0
        for j in range(count):
            step, along = state[j], drift[j, begin : begin + n]
            for i in range(n):
                shift[i] += step * along[i]
        if family == STUDENT_T2:
            t2_of_states(below, above, shift, inverse, n, mass, location, log_scale)
            total, product = log_product(mass, n, total, product)
        else:
            for i in range(n):
                room[0, i], room[1, i] = (below[i] - shift[i]) * inverse, (above[i] - shift[i]) * inverse
            gauss_of_cells(n, room, mass, location, log_scale)
            total, product = gauss_log_product(mass, room, n, total, product)
        _add(drift, begin, n, location, log_scale, inverse, score, information)
    for j in range(count):
        information[count, j] = information[j, count]
        for k in range(j):
            information[k, j] = information[j, k]
    return total + math.log(product)


@njit(cache=True, nogil=True)
def _add(
    drift: NDArray[np.float64],
    begin: int,
    n: int,
    location: NDArray[np.float64],
    log_scale: NDArray[np.float64],
    inverse: float,
    score: NDArray[np.float64],
    information: NDArray[np.float64],
) -> None:
    """Add a block's scores and their squares, element after element."""
    count = drift.shape[0]
    for i in range(n):
        by_scale, by_place = log_scale[i], location[i] * inverse
        score[count] += by_scale
        information[count, count] += by_scale * by_scale
        for j in range(count):
            g = by_place * drift[j, begin + i]
            score[j] += g
            information[j, count] += g * by_scale
            for k in range(j + 1):
                information[j, k] += g * by_place * drift[k, begin + i]


@njit(cache=True, nogil=True)
def best_change(
    lo: NDArray[np.float64],
    hi: NDArray[np.float64],
    drift: NDArray[np.float64],
    family: int,
    guess: float,
    shifts: NDArray[np.float64],
) -> tuple[float, float, int]:
    """Maximise over scale and shifts: log-likelihood, scale, evaluations.

    ``lo``, ``hi``: cells less their predictions ``[n]``; ``drift`` ``[J, n]``; ``shifts`` ``[J]`` holds the
    start and receives the optimum. Damped Newton with squared scores (Levenberg-Marquardt). Where every
    cell holds its prediction without a shift: log-likelihood 0, scale 0.
    """
    count = drift.shape[0]
    inside = True
    for i in range(lo.size):
        if lo[i] > 0.0 or hi[i] < 0.0:
            inside = False
            break
    if inside:
        shifts[:] = 0.0
        return 0.0, 0.0, 0
    state, trial = np.empty(count + 1), np.empty(count + 1)
    state[:count] = shifts
    state[count] = math.log(guess if guess > 0.0 else first_scale(lo, hi))
    score, other = np.empty(count + 1), np.empty(count + 1)
    information, spare = np.empty((count + 1, count + 1)), np.empty((count + 1, count + 1))
    value = _sums(lo, hi, drift, state, family, score, information)
    damping, steps = 1e-3, 1
    while steps < _MAX_STEPS:
        system = information.copy()
        for j in range(count + 1):
            # A direction in which nothing moves carries no information: leave it where it is.
            own = system[j, j] * (1.0 + damping)
            system[j, j] = own if own > 1e-280 else 1.0
        move = np.linalg.solve(system, score)
        if abs(move[count]) > 1.5:
            move *= 1.5 / abs(move[count])
        gain = 0.0
        for j in range(count + 1):
            gain += 0.5 * move[j] * score[j]
            trial[j] = state[j] + move[j]
        if gain < _GAIN or damping > 1e8:
            if damping <= 1e-3:
                value += gain
                state[:] = trial
            break
        attempt = _sums(lo, hi, drift, trial, family, other, spare)
        steps += 1
        if attempt > value:
            value = attempt
            state[:] = trial
            score[:] = other
            information[:] = spare
            damping = max(damping * 0.1, 1e-6)
        else:
            damping = max(damping * 10.0, 1e-2)
    shifts[:] = state[:count]
    return value, math.exp(state[count]), steps


@njit(cache=True, nogil=True)
def profile_with_drift(
    parents: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    relative: NDArray[np.float64],
    drift: NDArray[np.float64],
    weights: NDArray[np.float64],
    places: NDArray[np.float64],
    centre: NDArray[np.float64],
    code: int,
    single: bool,
    family: int,
    guess: float,
    values: NDArray[np.float64],
    scales: NDArray[np.float64],
    shifts: NDArray[np.float64],
    offsets: NDArray[np.float64],
) -> int:
    """Profile at ``weights`` ``[G, K]``; ``places`` ``[G, J]`` are their coordinates along ``drift``.

    Weight and shift together say where the suspect lies, which hardly depends on the weight tried: each
    search starts from ``centre`` ``[J]`` less its place. Writes ``values``, ``scales`` ``[G]`` and
    ``shifts`` ``[G, J]``. ``offsets`` ``[n]`` (or empty): grid steps by which each sum is moved first.
    """
    n, count = low.size, drift.shape[0]
    prediction, lo, hi = np.empty(n), np.empty(n), np.empty(n)
    scaled = np.empty((count, n))
    for j in range(count):
        for i in range(n):
            scaled[j, i] = drift[j, i] / relative[i]
    where = centre.copy()
    scale, spent = guess, 0
    for k in range(weights.shape[0]):
        if offsets.size:
            predict_off_grid(parents, weights[k], code, offsets, prediction)
        else:
            predict(parents, weights[k], code, single, prediction)
        residual_cells(low, high, relative, prediction, lo, hi)
        shifts[k] = where - places[k]
        values[k], scales[k], steps = best_change(lo, hi, scaled, family, scale, shifts[k])
        spent += steps
        if scales[k] > 0.0:
            scale = scales[k]
            where = shifts[k] + places[k]
    return spent
