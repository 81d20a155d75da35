"""Rows are found again in another order, scaled and negated; what is unrelated is not."""

from __future__ import annotations

import numpy as np
import pytest

from parentage.numerics.matrices.assignment import least_correlation, match_rows


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize(("rows", "places"), [(48, 96), (700, 256)])
def test_an_order_is_found_in_exact_and_in_trained_rows(
    rng: np.random.Generator, rows: int, places: int, noise: float
) -> None:
    other = rng.standard_normal((rows, places))
    order = rng.permutation(rows)
    own = other[order] + noise * rng.standard_normal((rows, places))
    found = match_rows(own, other)
    assert found is not None
    assert (found.order == order).all()
    assert (found.factors == 1.0).all()
    assert found.scaled == 0


@pytest.mark.parametrize(("rows", "places"), [(16, 32), (48, 96), (500, 256), (500, 64)])
def test_unrelated_rows_are_never_matched(rng: np.random.Generator, rows: int, places: int) -> None:
    for _ in range(20):
        own, other = (rng.standard_normal((rows, places)) for _ in range(2))
        assert match_rows(own, other) is None


def test_powers_of_two_and_signs_are_told_and_other_factors_counted(rng: np.random.Generator) -> None:
    other = rng.standard_normal((64, 128))
    order = rng.permutation(64)
    factors = np.ones(64)
    factors[:20], factors[20:30], factors[30:33] = 4.0, -0.5, 3.0
    found = match_rows(other[order] * factors[:, None], other)
    assert found is not None
    assert (found.order == order).all()
    assert (found.factors[:30] == factors[:30]).all()
    assert (found.factors[33:] == 1.0).all()
    assert found.scaled == 3


def test_rows_that_are_equal_or_empty_keep_their_places(rng: np.random.Generator) -> None:
    rows = rng.standard_normal((40, 128))
    rows[7] = rows[3]
    rows[[5, 11]] = 0.0
    found = match_rows(rows, rows.copy())
    assert found is not None
    assert found.moved == 0


def test_a_few_foreign_rows_do_not_hide_the_order_and_many_do(rng: np.random.Generator) -> None:
    other = rng.standard_normal((200, 128))
    order = rng.permutation(200)
    few, many = other[order].copy(), other[order].copy()
    few[:6] = rng.standard_normal((6, 128))
    many[:60] = rng.standard_normal((60, 128))
    found = match_rows(few, other)
    assert found is not None
    assert (found.order[6:] == order[6:]).all()
    assert match_rows(many, other) is None


def test_what_a_row_must_reach_grows_with_their_number_and_shrinks_with_places() -> None:
    assert least_correlation(10_000, 64) > least_correlation(100, 64) > least_correlation(100, 256)
    assert least_correlation(10, 10**6) == 0.5
