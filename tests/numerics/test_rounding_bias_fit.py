"""One weight recovered from a table of biased ones, and the machinery of that fit."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage.numerics.published.rounding_bias import (
    GAUSSIAN,
    Moments,
    Origin,
    Pairs,
    centred,
    expected_moments,
    linear,
    stored_pairs,
)
from parentage.numerics.published.rounding_bias_fit import (
    Curve,
    Profile,
    Row,
    curve_of,
    figures_at,
    fit_rows,
    mixed,
    profile,
)
from parentage.numerics.storage.formats import quantize
from parentage.records.dtypes import DType

Floats = NDArray[np.float64]
SPREAD = 0.02


def stored(values: Floats) -> Floats:
    return quantize(values, DType.BF16)


@cache
def matrix_pairs(relative: float) -> Pairs:
    law = centred(GAUSSIAN, SPREAD)
    return stored_pairs(weights=law, delta=GAUSSIAN, size=relative * SPREAD, origin=Origin.STORED)


SIZES = np.geomspace(0.005, 0.08, 11)


def law_curve(alpha: float) -> Curve:
    return curve_of(SIZES, [expected_moments(matrix_pairs(float(s)), linear(alpha)) for s in SIZES])


def planted_rows(alpha: float, seed: int, relatives: tuple[float, ...]) -> list[Row]:
    """Rows as a script would publish them: sampled, regressed, printed to three decimals."""
    rng = np.random.default_rng(seed)
    rows = []
    for k, relative in enumerate(relatives):
        b = stored(SPREAD * rng.standard_normal(1_000_000))
        a = stored(b + relative * SPREAD * rng.standard_normal(b.size))
        d, m = a - b, linear(alpha)(a, b) - b
        alpha_read, cosine = d @ m / (d @ d), d @ m / math.sqrt((d @ d) * (m @ m))
        rows.append(Row(f"row {k}", round(float(alpha_read), 3), round(float(cosine), 3), 5e-4, 5e-4))
    return rows


@pytest.mark.parametrize("alpha", [0.565, 0.6, 0.65])
def test_one_weight_is_recovered_from_a_table_of_biased_ones(alpha: float) -> None:
    rows = planted_rows(alpha, 3, (0.007, 0.009, 0.012, 0.016, 0.022, 0.03, 0.045))
    assert max(r.alpha for r in rows) > alpha + 0.05 or alpha > 0.6
    alphas = np.arange(alpha - 0.03, alpha + 0.031, 0.005)
    found = profile(alphas, [law_curve(float(a)) for a in alphas], rows)
    low, high = found.interval(level=0.95)
    assert low <= alpha <= high
    assert high - low < 0.03
    assert found.inflation < 3


def test_sizes_of_deltas_are_recovered_with_the_weight() -> None:
    relatives = (0.009, 0.016, 0.03)
    fit = fit_rows(law_curve(0.565), planted_rows(0.565, 4, relatives))
    assert [r.size for r in fit.rows] == pytest.approx(relatives, rel=0.05)
    assert fit.chi_squared < 6


def test_the_curve_passes_through_exact_figures_between_its_knots() -> None:
    curve = law_curve(0.565)
    for relative in (0.0075, 0.013, 0.05):
        exact = expected_moments(matrix_pairs(relative), linear(0.565))
        assert figures_at(curve, relative) == pytest.approx((exact.alpha, exact.cosine), abs=1.5e-4)


def test_sizes_without_a_figure_are_left_out_of_a_curve() -> None:
    nothing = Moments(0.0, 0.0, 0.0)
    moments = [nothing, *(Moments(1.0, 0.5, 0.3) for _ in range(4))]
    assert curve_of(np.arange(1.0, 6.0), moments).sizes.tolist() == [2.0, 3.0, 4.0, 5.0]


def test_a_mixture_of_sizes_is_the_mean_of_their_figures() -> None:
    curve = Curve(np.geomspace(1, 100, 30), np.column_stack([np.linspace(0, 1, 30), np.linspace(1, 0, 30)]))
    # Figures linear in the log of the size: a symmetric mixture leaves them as they are.
    mixture = mixed(curve, 0.2)
    assert 0 < mixture.sizes.size < 30
    for size, found in zip(mixture.sizes, mixture.figures, strict=True):
        assert tuple(found) == pytest.approx(figures_at(curve, float(size)), abs=1e-9)


def test_an_interval_ends_at_the_nearest_rejected_weights() -> None:
    found = Profile(np.array([0.5, 0.6, 0.7, 0.8]), np.array([500.0, 8.0, 9.0, 500.0]), 10)
    assert found.best == 0.6
    assert found.interval(level=0.95) == (0.5, 0.8)
    # Ten degrees of freedom: F(1, 10) at 95 % is 4.96; a misfit of 5 more is rejected.
    sharper = Profile(found.alphas, np.array([500.0, 8.0, 13.1, 500.0]), 10)
    assert sharper.interval(level=0.95) == (0.5, 0.7)
    # A poor fit inflates its errors.
    poor = Profile(found.alphas, np.array([5000.0, 80.0, 110.0, 5000.0]), 10)
    assert poor.interval(level=0.95) == (0.5, 0.8)
