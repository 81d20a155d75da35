"""The fast Gaussian cell against scipy and against the careful formulae."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfcx

from parentage.numerics.likelihoods.gauss import gauss_cell, mills_ratio
from parentage.numerics.likelihoods.tails import gauss_log_mass, gauss_scores


def test_the_mills_ratio_is_scipys() -> None:
    x = np.concatenate([np.linspace(0.0, 40.0, 4001), np.logspace(1.6, 4, 200)])
    found = np.array([mills_ratio(float(v)) for v in x])
    assert found == pytest.approx(np.sqrt(np.pi / 2) * erfcx(x / np.sqrt(2)), rel=5e-12)


@settings(max_examples=500, deadline=None)
@given(middle=st.floats(-25, 25), log_width=st.floats(-13, 3))
def test_mass_and_scores_agree_with_the_careful_formulae(middle: float, log_width: float) -> None:
    width = math.exp(log_width)
    lo, hi = middle - width / 2, middle + width / 2
    expected = gauss_log_mass(lo, hi, hi - lo)
    mass, location, log_scale = gauss_cell(lo, hi)
    if mass > 1e-100:
        assert math.log(mass) == pytest.approx(expected, rel=1e-8, abs=1e-8)
    scores = gauss_scores(lo, hi, hi - lo, expected)
    assert location == pytest.approx(scores[0], rel=1e-5, abs=1e-5)
    assert log_scale == pytest.approx(scores[1], rel=1e-5, abs=1e-5)
