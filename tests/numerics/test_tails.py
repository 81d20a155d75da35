"""Masses and scores of cells against high-precision references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from parentage.numerics.likelihoods.tails import GAUSSIAN, STUDENT_T2, cell_scores, log_mass, scale_sums

CENTRES = [0.0, 0.3, -1.7, 5.0, -11.0, 11.9, 12.1, 30.0]
WIDTHS = [1e-9, 1e-4, 0.019, 0.021, 0.5, 3.0]


def reference(lo: float, hi: float, family: int) -> float:
    """Log of the integrated density, relative to its largest value in the cell."""
    law = stats.norm() if family == GAUSSIAN else stats.t(2)
    peak = float(law.logpdf(min(max(lo, 0.0), hi) if lo * hi <= 0 else min(abs(lo), abs(hi))))
    whole, _ = integrate.quad(
        lambda x: math.exp(float(law.logpdf(x)) - peak), lo, hi, epsabs=0.0, epsrel=1e-11
    )
    return peak + math.log(whole)


@pytest.mark.parametrize("family", [GAUSSIAN, STUDENT_T2])
@pytest.mark.parametrize("centre", CENTRES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_cells_mass_is_the_integral_of_the_density(family: int, centre: float, width: float) -> None:
    lo, hi = centre - width / 2, centre + width / 2
    assert log_mass(lo, hi, family) == pytest.approx(reference(lo, hi, family), abs=2e-6)


@pytest.mark.parametrize("family", [GAUSSIAN, STUDENT_T2])
def test_far_tails_keep_finite_distinct_masses(family: int) -> None:
    near, far = log_mass(1e3, 1e3 + 1, family), log_mass(1e4, 1e4 + 1, family)
    assert math.isfinite(near)
    assert math.isfinite(far)
    assert far < near < 0.0


def test_the_t2_tail_is_one_over_q_times_q_plus_x() -> None:
    for x in (0.0, 1.0, 50.0):
        q = math.sqrt(2.0 + x * x)
        assert log_mass(x, 1e9, STUDENT_T2) == pytest.approx(-math.log(q * (q + x)), abs=1e-9)


@given(
    middle=st.floats(-20, 20),
    log_width=st.floats(-9, 1),
    family=st.sampled_from([GAUSSIAN, STUDENT_T2]),
)
@settings(max_examples=100, deadline=None)
def test_mirrored_cells_have_the_same_mass(middle: float, log_width: float, family: int) -> None:
    half = 10.0**log_width / 2
    lo, hi = middle - half, middle + half
    assert log_mass(lo, hi, family) == pytest.approx(log_mass(-hi, -lo, family), rel=1e-12)


@given(
    lo=st.floats(-30, 30),
    width=st.floats(1e-3, 10),
    share=st.floats(0.05, 0.95),
    family=st.sampled_from([GAUSSIAN, STUDENT_T2]),
)
@settings(max_examples=200, deadline=None)
def test_masses_of_two_parts_add_to_the_mass_of_the_whole(
    lo: float, width: float, share: float, family: int
) -> None:
    cut = lo + share * width
    assume(lo < cut < lo + width)
    parts = np.logaddexp(log_mass(lo, cut, family), log_mass(cut, lo + width, family))
    assert parts == pytest.approx(log_mass(lo, lo + width, family), abs=5e-6)


@given(
    middle=st.floats(-9, 9),
    log_width=st.floats(-3, 0.5),
    family=st.sampled_from([GAUSSIAN, STUDENT_T2]),
    scale=st.floats(0.3, 3.0),
)
@settings(max_examples=150, deadline=None)
def test_scores_are_the_slopes_of_the_log_likelihood(
    middle: float, log_width: float, family: int, scale: float
) -> None:
    half = 10.0**log_width / 2
    lo, hi = np.array([middle - half]), np.array([middle + half])
    total, location, log_scale = cell_scores(lo, hi, scale, family)
    h = 1e-5
    moved = [cell_scores(lo - d, hi - d, scale, family)[0] for d in (h, -h)]
    grown = [cell_scores(lo, hi, scale * math.exp(d), family)[0] for d in (h, -h)]
    assert location[0] == pytest.approx((moved[0] - moved[1]) / (2 * h), rel=1e-3, abs=2e-3)
    assert log_scale[0] == pytest.approx((grown[0] - grown[1]) / (2 * h), rel=1e-3, abs=2e-3)
    assert total == pytest.approx(scale_sums(lo, hi, scale, family)[0], abs=1e-12)


def test_a_long_product_of_small_masses_does_not_underflow() -> None:
    lo = np.full(5000, 1e6)
    total, _, _ = scale_sums(lo, lo + 1e-6, 1.0, STUDENT_T2)
    assert total == pytest.approx(5000 * log_mass(1e6, 1e6 + 1e-6, STUDENT_T2), rel=1e-6)
