"""Cells taken many at a time have the masses and scores of each by itself, bit for bit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from parentage.numerics.likelihoods.t2_kernels import (
    BLOCK,
    log_product,
    t2_of_places,
    t2_of_scale,
    t2_of_states,
)
from parentage.numerics.likelihoods.tails import STUDENT_T2, cell_scores, scale_sums, t2_mass

COUNTS = (1, 7, BLOCK, BLOCK + 1, 3 * BLOCK + 5)


def _cells(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells from a hair's width to many scales, on both sides of zero and across it."""
    rng = np.random.default_rng(n)
    middle, half = rng.standard_t(2, n) * 3, 10.0 ** rng.uniform(-9, 1, n)
    return middle - half, middle + half


def _mass(lo: float, hi: float) -> float:
    q = [math.sqrt(2.0 + x * x) for x in (lo, hi)]
    return float(t2_mass(lo, hi, hi - lo, q[0], q[1]))


@pytest.mark.parametrize("n", [n for n in COUNTS if n <= BLOCK])
def test_a_block_has_each_cells_mass_and_scores(n: int) -> None:
    lo, hi = _cells(n)
    _, location, log_scale = cell_scores(lo, hi, 2.0, STUDENT_T2)
    masses = [max(_mass(a, b), 1e-300) for a, b in zip(lo * 0.5, hi * 0.5, strict=True)]
    mass, place, scale = np.empty(n), np.empty(n), np.empty(n)
    t2_of_states(lo, hi, np.zeros(n), 0.5, n, mass, place, scale)
    assert mass.tolist() == masses
    assert (place * 0.5).tolist() == location.tolist()
    assert scale.tolist() == log_scale.tolist()
    t2_of_places(lo, hi, np.zeros(n), np.full(n, 0.5), n, mass, place)
    assert mass.tolist() == masses


@pytest.mark.parametrize("n", COUNTS)
def test_sums_over_blocks_are_those_element_by_element(n: int) -> None:
    lo, hi = _cells(n)
    total, score, information, product = 0.0, 0.0, 0.0, 1.0
    for v, u in zip((lo * 2.0).tolist(), (hi * 2.0).tolist(), strict=True):
        mass = _mass(v, u)
        product *= mass
        if product < 1e-150:
            total, product = total + math.log(product), 1.0
        middle = 0.5 * (u + v)
        g = 3.0 * middle * middle / (2.0 + middle * middle) - 1.0
        if u - v >= 1e-6:
            qu, qv = math.sqrt(2.0 + u * u), math.sqrt(2.0 + v * v)
            g = (v / (qv * qv * qv) - u / (qu * qu * qu)) / mass
        score, information = score + g, information + g * g
    assert scale_sums(lo, hi, 0.5, STUDENT_T2) == (total + math.log(product), score, information)


def test_a_mass_that_underflows_has_a_logarithm_and_a_score() -> None:
    lo, hi = np.array([1e110]), np.array([1.0000001e110])
    mass, score = np.empty(1), np.empty(1)
    t2_of_scale(lo, hi, 1.0, 1, mass, score)
    total, product = log_product(mass, 1, 0.0, 1.0)
    assert math.isfinite(total)
    assert (mass[0], product, score[0]) == (0.0, 1.0, 0.0)
