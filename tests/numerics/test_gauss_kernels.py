"""Cells under a Gaussian taken many at a time have the masses and scores of each by itself, bit for bit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from parentage.numerics.likelihoods.gauss import gauss_cell
from parentage.numerics.likelihoods.gauss_kernels import ROOM, gauss_log_product, gauss_of_cells
from parentage.numerics.likelihoods.t2_kernels import BLOCK
from parentage.numerics.likelihoods.tails import gauss_log_mass


def _edges(n: int) -> np.ndarray:
    """[ROOM, BLOCK]: cells from a hair's width to many scales, some far out, some that hold everything."""
    rng = np.random.default_rng(n)
    middle, half = rng.standard_t(1, n) * 3, 10.0 ** rng.uniform(-9, 1.5, n)
    room = np.full((ROOM, BLOCK), np.nan)
    room[0, :n], room[1, :n] = middle - half, middle + half
    return room


@pytest.mark.parametrize("n", [1, 500, BLOCK])
def test_a_block_has_each_cells_mass_and_scores(n: int) -> None:
    room = _edges(n)
    mass, location, log_scale = np.empty(n), np.empty(n), np.empty(n)
    gauss_of_cells(n, room, mass, location, log_scale)
    for i in range(n):
        low, high = float(room[0, i]), float(room[1, i])
        certain = low < -8.6 and high > 8.6
        wanted = (1.0, 0.0, 0.0) if certain else gauss_cell(low, high)
        assert (mass[i], location[i], log_scale[i]) == wanted


def test_sums_of_logarithms_are_those_element_by_element() -> None:
    room, n = _edges(BLOCK), BLOCK
    mass, location, log_scale = np.empty(n), np.empty(n), np.empty(n)
    gauss_of_cells(n, room, mass, location, log_scale)
    assert (mass == 0).any()
    total, product = 0.0, 1.0
    for i in range(n):
        low, high = float(room[0, i]), float(room[1, i])
        if mass[i] < 1e-100:
            total += gauss_log_mass(low, high, high - low)
            continue
        product *= mass[i]
        if product < 1e-150:
            total, product = total + math.log(product), 1.0
    assert gauss_log_product(mass, room, n, 0.0, 1.0) == (total, product)
