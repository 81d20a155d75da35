"""Probability mass of a rounding cell under a Gaussian or a Student t₂, without cancellation.

A cell is ``[lo, hi]`` relative to its predicted value. Masses are differences of a distribution
function, taken in one tail; scores are derivatives with respect to the location and to log scale.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.numerics.likelihoods.t2_kernels import BLOCK, log_product, t2_of_scale

__all__ = [
    "FAMILIES",
    "GAUSSIAN",
    "STUDENT_T2",
    "cell_scores",
    "gauss_log_mass",
    "gauss_scores",
    "log_mass",
    "scale_sums",
    "t2_mass",
]

GAUSSIAN: Final = 0
STUDENT_T2: Final = 1
FAMILIES: Final[dict[int, str]] = {GAUSSIAN: "gaussian", STUDENT_T2: "student-t2"}

_SQRT_HALF: Final = math.sqrt(0.5)
_INV_SQRT_2PI: Final = 1.0 / math.sqrt(2.0 * math.pi)
_LOG_SQRT_2PI: Final = 0.5 * math.log(2.0 * math.pi)
# Below this many scales a cell's mass is density × width with a second-order term: relative error
# under (width·x)⁴/1920 ≈ 1e-10, where the difference of two erfc would have lost digits already.
_NARROW: Final = 0.02
# Below this the differences f(hi)-f(lo) lose half their digits; the log-density's slope does not.
_HAIR: Final = 1e-6
# Beyond this many scales the Mills series (terms to x⁻⁶) is exact to 2e-7 of the mass.
_FAR: Final = 12.0
# A cell that reaches this far on both sides holds all but 1e-17 of the mass: its logarithm is 0.
_CERTAIN: Final = 8.6


@njit(cache=True, nogil=True, inline="always")
def t2_mass(lo: float, hi: float, width: float, qlo: float, qhi: float) -> float:
    """F(hi) - F(lo) with F(x) = (1 + x/q)/2; one tail's difference is rewritten as a product."""
    if lo * hi > 0.0:
        return width * abs(lo + hi) / (qlo * qhi * (abs(lo) * qhi + abs(hi) * qlo))
    return 0.5 * (hi / qhi - lo / qlo)


@njit(cache=True, nogil=True)
def gauss_log_mass(lo: float, hi: float, width: float) -> float:
    near, far = abs(lo), abs(hi)
    if near > far:
        near, far = far, near
    if lo * hi <= 0.0:
        other = math.erfc(far * _SQRT_HALF) if far < _CERTAIN else 0.0
        return math.log1p(-0.5 * (math.erfc(near * _SQRT_HALF) + other))
    middle = 0.5 * (near + far)
    if width * max(1.0, middle) < _NARROW:
        bend = width * width * (middle * middle - 1.0) / 24.0
        return math.log(width) - 0.5 * middle * middle - _LOG_SQRT_2PI + math.log1p(bend)
    if near > _FAR:
        drop = math.exp(-width * middle) * _mills(far) / _mills(near)
        return -0.5 * near * near - _LOG_SQRT_2PI + math.log(_mills(near)) + math.log1p(-drop)
    return math.log(0.5 * (math.erfc(near * _SQRT_HALF) - math.erfc(far * _SQRT_HALF)))


@njit(cache=True, nogil=True, inline="always")
def _mills(x: float) -> float:
    """Upper tail over density, for large x."""
    y = 1.0 / (x * x)
    return (1.0 - y * (1.0 - y * (3.0 - 15.0 * y))) / x


@njit(cache=True, nogil=True)
def gauss_scores(lo: float, hi: float, width: float, log_mass: float) -> tuple[float, float]:
    """d log P / d location and / d log scale, in units of the scale."""
    if width < _HAIR:
        middle = 0.5 * (lo + hi)
        return middle, middle * middle - 1.0
    at_lo = math.exp(-0.5 * lo * lo - _LOG_SQRT_2PI - log_mass)
    at_hi = math.exp(-0.5 * hi * hi - _LOG_SQRT_2PI - log_mass)
    upper = hi * at_hi if at_hi > 0.0 else 0.0
    lower = lo * at_lo if at_lo > 0.0 else 0.0
    return at_lo - at_hi, lower - upper


@njit(cache=True, nogil=True)
def _t2_scores(
    lo: float, hi: float, width: float, qlo: float, qhi: float, mass: float
) -> tuple[float, float]:
    if width < _HAIR:
        middle = 0.5 * (lo + hi)
        slope = 3.0 * middle / (2.0 + middle * middle)
        return slope, middle * slope - 1.0
    at_lo = 1.0 / (qlo * qlo * qlo * mass)
    at_hi = 1.0 / (qhi * qhi * qhi * mass)
    return at_lo - at_hi, lo * at_lo - hi * at_hi


@njit(cache=True, nogil=True)
def log_mass(lo: float, hi: float, family: int) -> float:
    """Log of the probability that a standard variate of ``family`` falls in ``[lo, hi]``."""
    width = hi - lo
    if family == STUDENT_T2:
        qlo, qhi = math.sqrt(2.0 + lo * lo), math.sqrt(2.0 + hi * hi)
        return math.log(max(t2_mass(lo, hi, width, qlo, qhi), 1e-300))
    return gauss_log_mass(lo, hi, width)


@njit(cache=True, nogil=True)
def scale_sums(
    lo: NDArray[np.float64], hi: NDArray[np.float64], scale: float, family: int
) -> tuple[float, float, float]:
    """Log-likelihood of the cells at ``scale``, its score in log scale, the sum of squared scores.

    ``lo`` and ``hi``: float64 ``[n]``, the cells' edges minus their predictions.
    """
    total, score, information = 0.0, 0.0, 0.0
    inverse = 1.0 / scale
    if family == STUDENT_T2:
        product = 1.0
        mass, scores = np.empty(BLOCK), np.empty(BLOCK)
        for begin in range(0, lo.size, BLOCK):
            n = min(BLOCK, lo.size - begin)
            t2_of_scale(lo[begin : begin + n], hi[begin : begin + n], inverse, n, mass, scores)
            total, product = log_product(mass, n, total, product)
            for i in range(n):
                score += scores[i]
                information += scores[i] * scores[i]
        return total + math.log(product), score, information
    for i in range(lo.size):
        u, v = hi[i] * inverse, lo[i] * inverse
        if v < -_CERTAIN and u > _CERTAIN:
            continue
        width = u - v
        element = gauss_log_mass(v, u, width)
        g = gauss_scores(v, u, width, element)[1]
        total += element
        score += g
        information += g * g
    return total, score, information


@njit(cache=True, nogil=True)
def cell_scores(
    lo: NDArray[np.float64], hi: NDArray[np.float64], scale: float, family: int
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Log-likelihood, and each element's score in its location (per unit) and in log scale."""
    location = np.empty(lo.size)
    log_scale = np.empty(lo.size)
    total = 0.0
    inverse = 1.0 / scale
    for i in range(lo.size):
        u, v = hi[i] * inverse, lo[i] * inverse
        width = u - v
        if family == STUDENT_T2:
            qu, qv = math.sqrt(2.0 + u * u), math.sqrt(2.0 + v * v)
            mass = t2_mass(v, u, width, qv, qu)
            mass = max(mass, 1e-300)
            total += math.log(mass)
            g, k = _t2_scores(v, u, width, qv, qu, mass)
        else:
            element = gauss_log_mass(v, u, width)
            total += element
            g, k = gauss_scores(v, u, width, element)
        location[i] = g * inverse
        log_scale[i] = k
    return total, location, log_scale
