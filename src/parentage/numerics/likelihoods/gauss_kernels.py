"""Masses and scores of many cells under a Gaussian at once, as ``t2_kernels`` has them of a Student t₂.

Each element's operations are those of ``gauss.gauss_cell``, in the same order, so that no bit differs.
Mills ratios are polynomials, of which processors take several at a time; exponentials come one by one. Of
9,000 cells value and scores took .50 ms, .19 so.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.numerics.likelihoods.gauss import CERTAIN, gauss_cell_of, mills_ratio
from parentage.numerics.likelihoods.tails import gauss_log_mass

__all__ = ["ROOM", "gauss_log_product", "gauss_of_cells"]

Floats = NDArray[np.float64]
# Rows of ``room``: the cells' edges, near and far, their Mills ratios.
ROOM = 6


@njit(cache=True, nogil=True, error_model="numpy")
def gauss_of_cells(n: int, room: Floats, mass: Floats, location: Floats, log_scale: Floats) -> None:
    """Of standardised cells, whose edges are the first ``n`` of ``room`` [ROOM, BLOCK]'s first two rows:
    masses (0 where only a logarithm can be held), scores in location and in log scale. A cell that holds
    all of the mass has no scores."""
    low, high, near, far, at_near, at_far = room[0], room[1], room[2], room[3], room[4], room[5]
    for i in range(n):
        a, b = abs(low[i]), abs(high[i])
        near[i] = b if a > b else a
        far[i] = a if a > b else b
    for i in range(n):
        at_near[i] = mills_ratio(near[i])
    for i in range(n):
        at_far[i] = mills_ratio(far[i])
    for i in range(n):
        if low[i] < -CERTAIN and high[i] > CERTAIN:
            mass[i], location[i], log_scale[i] = 1.0, 0.0, 0.0
        else:
            found = gauss_cell_of(low[i], high[i], near[i], far[i], at_near[i], at_far[i])
            mass[i], location[i], log_scale[i] = found


@njit(cache=True, nogil=True, error_model="numpy")
def gauss_log_product(
    mass: Floats, room: Floats, n: int, total: float, product: float
) -> tuple[float, float]:
    """As ``t2_kernels.log_product``; where a mass is too small the logarithm is the cell's own."""
    for i in range(n):
        found = mass[i]
        if found < 1e-100:
            low, high = room[0, i], room[1, i]
            total += gauss_log_mass(low, high, high - low)
        else:
            product *= found
            if product < 1e-150:
                total += math.log(product)
                product = 1.0
    return total, product
