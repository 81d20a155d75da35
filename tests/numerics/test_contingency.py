"""Fisher's exact test against scipy's, and Holm's correction against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from parentage.numerics.shares.contingency import fisher_exact, holm

counts = st.integers(0, 60)


@settings(max_examples=60, deadline=None)
@given(a=counts, b=counts, c=counts, d=counts)
def test_p_is_that_of_scipy(a: int, b: int, c: int, d: int) -> None:
    ours = fisher_exact(a, a + b, c, c + d)
    if a + b == 0 or c + d == 0:
        assert ours == 1.0
    else:
        assert ours == pytest.approx(stats.fisher_exact([[a, b], [c, d]]).pvalue, rel=1e-9)


def test_the_order_of_the_two_does_not_matter() -> None:
    assert fisher_exact(95, 120, 3, 120) == pytest.approx(fisher_exact(3, 120, 95, 120), rel=1e-12)


def test_equal_shares_are_rejected_no_more_often_than_stated() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.binomial(40, 0.3, 400), rng.binomial(60, 0.3, 400)
    rejected = sum(fisher_exact(int(a), 40, int(b), 60) <= 0.05 for a, b in zip(x, y, strict=True))
    assert stats.binomtest(rejected, 400, 0.05, alternative="greater").pvalue > 1e-3


def test_counts_that_are_no_table_are_refused() -> None:
    with pytest.raises(ValueError, match="beyond"):
        fisher_exact(3, 2, 0, 1)


def test_holm_multiplies_by_the_number_left_and_keeps_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([]) == ()
