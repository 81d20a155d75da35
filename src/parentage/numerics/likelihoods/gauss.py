"""Gaussian mass of a cell and its scores from one exponential an edge.

``erfc`` twice, ``exp`` twice and a logarithm an element took 86 ns; with the tail written as density times
Mills ratio, and the ratio as a polynomial, 30 ns.
"""

from __future__ import annotations

import math
from typing import Final

from numba import njit

from parentage.numerics.likelihoods.tails import gauss_log_mass, gauss_scores

__all__ = ["CERTAIN", "gauss_cell", "gauss_cell_of", "mills_ratio"]

# A cell that reaches this far on both sides holds all but 1e-17 of the mass, as in ``tails``.
CERTAIN: Final = 8.6

_INV_SQRT_2PI: Final = 1.0 / math.sqrt(2.0 * math.pi)
# Below this many scales a cell's mass is density times width, as in ``tails``.
_NARROW: Final = 0.02
_HAIR: Final = 1e-6
# Beyond this the masses are left to the logarithmic formulae.
_FAR: Final = 30.0
# (1 + x) M(x) as a polynomial in y = (x - 4.5) / (x + 4.5): interpolated at Chebyshev nodes; relative error
# 2e-12 on [0, 1e4]. The form is that of Shepherd & Laframboise (1981).
_K: Final = 4.5


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def mills_ratio(x: float) -> float:
    """Upper tail over density of a standard Gaussian at ``x`` >= 0."""
    y = (x - _K) / (x + _K)
    total = -5.477416861488198e-07
    total = total * y + 6.248325182360988e-07
    total = total * y + 5.585813812913238e-06
    total = total * y - 7.988499790961427e-06
    total = total * y - 3.663519959743379e-05
    total = total * y + 8.396897697322574e-05
    total = total * y + 0.0001774919816857082
    total = total * y - 0.0008844223688188479
    total = total * y + 0.00029903483011856086
    total = total * y + 0.006795963752614159
    total = total * y - 0.02654793045401251
    total = total * y + 0.05669070230548615
    total = total * y - 0.07614357262201255
    total = total * y + 0.04743206487582944
    total = total * y + 0.05976544961704697
    total = total * y - 0.23676798253122605
    total = total * y + 1.1691381924311746
    return total / (1.0 + x)


@njit(cache=True, nogil=True)
def gauss_cell(lo: float, hi: float) -> tuple[float, float, float]:
    """Mass of ``[lo, hi]`` (0 where only its logarithm can be held), its scores in location and scale."""
    near, far = abs(lo), abs(hi)
    if near > far:
        near, far = far, near
    return gauss_cell_of(lo, hi, near, far, mills_ratio(near), mills_ratio(far))


@njit(cache=True, nogil=True, error_model="numpy")
def gauss_cell_of(
    lo: float, hi: float, near: float, far: float, mills_near: float, mills_far: float
) -> tuple[float, float, float]:
    """The same, given its edges by size and their Mills ratios."""
    width = hi - lo
    if near > _FAR or width < _HAIR:
        location, log_scale = gauss_scores(lo, hi, width, gauss_log_mass(lo, hi, width))
        return 0.0, location, log_scale
    at_near = _INV_SQRT_2PI * math.exp(-0.5 * near * near)
    at_far = _INV_SQRT_2PI * math.exp(-0.5 * far * far)
    middle = abs(0.5 * (lo + hi))
    if width * max(1.0, middle) < _NARROW:
        bend = width * width * (middle * middle - 1.0) / 24.0
        mass = width * _INV_SQRT_2PI * math.exp(-0.5 * middle * middle) * (1.0 + bend)
    elif lo * hi <= 0.0:
        mass = 1.0 - at_near * mills_near - at_far * mills_far
    else:
        mass = at_near * mills_near - at_far * mills_far
    if abs(lo) == near:
        at_lo, at_hi = at_near / mass, at_far / mass
    else:
        at_lo, at_hi = at_far / mass, at_near / mass
    return mass, at_lo - at_hi, lo * at_lo - hi * at_hi
