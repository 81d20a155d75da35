"""Intervals for shares against scipy and by enumeration; pooling against values worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from parentage.numerics.shares.intervals_binomial import (
    clopper_pearson,
    hartung_knapp,
    smallest_detectable_share,
    wilson,
)

counts = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.sampled_from([0.5, 0.9, 0.95, 0.99])


@given(xn=counts, level=levels)
def test_clopper_pearson_is_scipys(xn: tuple[int, int], level: float) -> None:
    x, n = xn
    theirs = stats.binomtest(x, n).proportion_ci(level, method="exact")
    low, high = clopper_pearson(x, n, level=level)
    # scipy searches the ends to 2e-12.
    assert low == pytest.approx(theirs.low, rel=1e-9, abs=1e-11)
    assert high == pytest.approx(theirs.high, rel=1e-9, abs=1e-11)
    if 0 < x < n:
        assert low == pytest.approx(stats.beta.ppf((1 - level) / 2, x, n - x + 1), rel=1e-9)
        assert high == pytest.approx(stats.beta.isf((1 - level) / 2, x + 1, n - x), rel=1e-9)


@given(xn=counts, level=levels)
def test_wilson_is_scipys(xn: tuple[int, int], level: float) -> None:
    x, n = xn
    theirs = stats.binomtest(x, n).proportion_ci(level, method="wilson")
    low, high = wilson(x, n, level=level)
    assert low == pytest.approx(theirs.low, rel=1e-9, abs=1e-12)
    assert high == pytest.approx(theirs.high, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("n", [1, 5, 20, 60])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_clopper_pearson_covers_every_share_at_least_at_its_level(n: int, level: float) -> None:
    ends = np.array([clopper_pearson(x, n, level=level) for x in range(n + 1)])
    inner = ends[:, :, None].ravel()
    shares = np.unique(np.concatenate([np.linspace(0, 1, 401), inner]))
    mass = stats.binom.pmf(np.arange(n + 1)[:, None], n, shares[None, :])
    inside = (ends[:, :1] <= shares) & (shares <= ends[:, 1:])
    coverage = (mass * inside).sum(axis=0)
    assert coverage.min() >= level - 1e-9
    # And it is no wider than its definition: each end puts exactly the tail beyond the count.
    for x, (low, high) in enumerate(ends):
        if x > 0:
            assert stats.binom.sf(x - 1, n, low) == pytest.approx((1 - level) / 2, rel=1e-6)
        if x < n:
            assert stats.binom.cdf(x, n, high) == pytest.approx((1 - level) / 2, rel=1e-6)


def test_wilson_covers_on_average() -> None:
    n, level = 40, 0.95
    ends = np.array([wilson(x, n, level=level) for x in range(n + 1)])
    shares = np.linspace(0.02, 0.98, 385)
    mass = stats.binom.pmf(np.arange(n + 1)[:, None], n, shares[None, :])
    coverage = (mass * ((ends[:, :1] <= shares) & (shares <= ends[:, 1:]))).sum(axis=0)
    assert 0.945 < coverage.mean() < 0.96


def test_nothing_changed_of_n_bounds_the_share_by_about_three_over_n() -> None:
    for n in (100, 10_000, 10**9):
        low, high = clopper_pearson(0, n, level=0.90)
        assert low == 0.0
        assert high * n == pytest.approx(-math.log(0.05), rel=0.02)


def test_counts_of_billions_keep_their_precision() -> None:
    low, high = clopper_pearson(10**6, 10**10)
    assert low == pytest.approx(1e-4 - 1.96e-7, rel=1e-5)
    assert high == pytest.approx(1e-4 + 1.96e-7, rel=1e-5)


@pytest.mark.parametrize("interval", [clopper_pearson, wilson])
def test_without_trials_every_share_is_possible(interval: object) -> None:
    assert callable(interval)
    assert interval(0, 0) == (0.0, 1.0)


@given(n=st.integers(1, 10**9), power=st.sampled_from([0.5, 0.95, 0.99]))
def test_the_smallest_detectable_share_is_seen_with_just_this_power(n: int, power: float) -> None:
    share = smallest_detectable_share(n, power=power)
    assert -math.expm1(n * math.log1p(-share)) == pytest.approx(power, rel=1e-6)


def test_nothing_examined_detects_nothing() -> None:
    assert smallest_detectable_share(0) == 1.0


def test_pooling_worked_by_hand() -> None:
    # y = 1, 2, 6 with v = 1 each: fixed mean 3, Q = 4 + 1 + 9 = 14, C = 3 - 3/3 = 2,
    # tau2 = (14 - 2) / 2 = 6, I2 = 12/14; equal weights 1/7 leave the mean at 3;
    # Hartung-Knapp variance = 14/7 / (2 * 3/7) = 7/3 = 1 / sum of weights; t(2, .975) = 4.302653.
    pooled = hartung_knapp([1, 2, 6], [1, 1, 1])
    assert pooled.estimate == pytest.approx(3)
    assert pooled.q == pytest.approx(14)
    assert pooled.tau2 == pytest.approx(6)
    assert pooled.i2 == pytest.approx(12 / 14)
    half = 4.302652729911275 * math.sqrt(7 / 3)
    assert pooled.low == pytest.approx(3 - half)
    assert pooled.high == pytest.approx(3 + half)


def test_pooling_one_estimate_is_the_normal_interval() -> None:
    pooled = hartung_knapp([0.6], [0.01])
    assert (pooled.estimate, pooled.tau2, pooled.i2) == (0.6, 0.0, 0.0)
    assert pooled.low == pytest.approx(0.6 - 1.959963984540054 * 0.1)
    assert pooled.high == pytest.approx(0.6 + 1.959963984540054 * 0.1)


def test_estimates_alike_by_chance_do_not_make_the_interval_shorter_than_their_errors() -> None:
    pooled = hartung_knapp([0.6] * 5, [0.01] * 5)
    assert pooled.high - pooled.low >= 2 * 1.96 * math.sqrt(0.01 / 5)


@settings(max_examples=50)
@given(
    values=st.lists(st.floats(-5, 5), min_size=2, max_size=8),
    shift=st.floats(-100, 100),
)
def test_pooling_moves_with_its_estimates(values: list[float], shift: float) -> None:
    errors = [0.1 + 0.05 * k for k in range(len(values))]
    here, there = hartung_knapp(values, errors), hartung_knapp([v + shift for v in values], errors)
    assert there.estimate == pytest.approx(here.estimate + shift, abs=1e-6)
    assert there.high - there.low == pytest.approx(here.high - here.low, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("tau", [0.0, 0.5])
def test_pooled_intervals_cover_at_their_level(tau: float) -> None:
    rng = np.random.default_rng(9)
    trials, k = 1500, 6
    errors = np.linspace(0.2, 0.4, k)
    y = 1 + rng.normal(scale=tau, size=(trials, k)) + rng.normal(size=(trials, k)) * errors
    pooled = [hartung_knapp(row, errors**2) for row in y.tolist()]
    hits = sum(p.low <= 1 <= p.high for p in pooled)
    assert hits / trials >= 0.925
