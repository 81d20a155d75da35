"""The rank of a product that was added and rounded, read from the rounding cells alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.numerics.matrices.low_rank_cells import (
    FITS,
    NEEDED,
    Bounds,
    bounds_of,
    fit_in_cells,
    outside_where,
    smallest_rank,
)
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType

Matrix = NDArray[np.float64]
SHAPE = (160, 128)


def rounded(x: Matrix, dtype: DType = DType.BF16) -> Matrix:
    return to_float64(round_to(x.reshape(-1), dtype), dtype).reshape(x.shape)


def ends(x: Matrix, dtype: DType = DType.BF16) -> tuple[Matrix, Matrix]:
    cells = rounding_cells(round_to(x.reshape(-1), dtype), dtype)
    return cells.low.reshape(x.shape), cells.high.reshape(x.shape)


def between(before: Matrix, after: Matrix, dtype: DType = DType.BF16) -> Bounds:
    return bounds_of(before, after, ends(after, dtype), ends(before, dtype))


def weights(seed: int, dtype: DType = DType.BF16) -> Matrix:
    return rounded(np.random.default_rng(seed).normal(0, 0.03, SHAPE), dtype)


def product(seed: int, rank: int, size: float) -> Matrix:
    rng = np.random.default_rng(seed)
    made = rng.normal(0, 1, (SHAPE[0], rank)) @ rng.normal(0, 1, (rank, SHAPE[1]))
    return np.asarray(made * (size / made.std()))


@settings(max_examples=12, deadline=None)
@given(
    rank=st.integers(1, 6),
    size=st.sampled_from([1e-4, 2e-4, 5e-4]),
    seed=st.integers(0, 2**16),
    guess=st.integers(1, 12),
)
def test_the_rank_of_a_product_that_rounding_took_in_part_is_found(
    rank: int, size: float, seed: int, guess: int
) -> None:
    """Whatever it is begun with; or nothing is said, where too few numbers changed."""
    base = weights(seed)
    bounds = between(base, rounded(base + product(seed + 1, rank, size)))
    found = smallest_rank(bounds, 32, guess)
    changed = np.count_nonzero(bounds.delta)
    if found is None:
        assert changed < 3 * 4 * rank * sum(SHAPE)
        return
    fit, less = found
    assert fit.rank == rank
    assert fit.share <= FITS
    assert less >= NEEDED * fit.made.size


def test_the_product_is_nearer_than_the_difference_that_is_stored() -> None:
    base, truth = weights(1), product(2, 2, 2e-4)
    bounds = between(base, rounded(base + truth))
    found = smallest_rank(bounds, 32)
    assert found is not None
    assert np.sum((found[0].made - truth) ** 2) < 0.05 * np.sum((bounds.delta - truth) ** 2)


@pytest.mark.parametrize("size", [1e-5, 5e-5, 2e-4])
@pytest.mark.parametrize("fall", [0.0, 0.5, 1.0, 1.5, 2.0])
def test_a_full_change_fits_no_rank(fall: float, size: float) -> None:
    """However fast its singular values fall, if they fall as a power of their number."""
    rng = np.random.default_rng(3)
    u, v = (np.linalg.qr(rng.normal(size=(n, SHAPE[1])))[0] for n in SHAPE)
    change = (u * np.arange(1.0, SHAPE[1] + 1) ** -fall) @ v.T
    base = weights(4)
    assert smallest_rank(between(base, rounded(base + change * (size / change.std()))), 32) is None


@pytest.mark.parametrize("tail", [0.1, 0.3])
def test_a_product_with_a_tail_fits_no_rank(tail: float) -> None:
    base, noise = weights(5), np.random.default_rng(6).normal(0, tail * 2e-4, SHAPE)
    assert smallest_rank(between(base, rounded(base + product(7, 2, 2e-4) + noise)), 32) is None


def test_a_sparse_change_and_an_equal_matrix_fit_no_rank() -> None:
    base, rng = weights(8), np.random.default_rng(9)
    sparse = np.where(rng.random(SHAPE) < 0.05, rng.normal(0, 1e-3, SHAPE), 0)
    assert smallest_rank(between(base, rounded(base + sparse)), 32) is None
    assert smallest_rank(between(base, base), 32) is None


def test_two_products_over_one_base_fit_no_rank_of_one_from_the_other() -> None:
    base = weights(10)
    one, other = (rounded(base + product(k, 2, 3e-4)) for k in (11, 12))
    assert smallest_rank(between(one, other), 32) is None


def test_numbers_that_moved_to_another_binade_tell_which_was_rounded() -> None:
    base = weights(13)
    after = rounded(base + product(14, 2, 5e-4))
    for bounds, side in ((between(base, after), 1), (between(after, base), -1)):
        found = smallest_rank(bounds, 32)
        assert found is not None
        crossing = bounds.crossing
        forward, backward = (
            outside_where(found[0].made, b, crossing) for b in (bounds.forward, bounds.backward)
        )
        inside, outside = (forward, backward) if side > 0 else (backward, forward)
        count = np.count_nonzero(crossing)
        assert count > 100
        assert inside <= 0.02 * count
        assert outside >= 0.06 * count


def test_a_rank_too_low_leaves_many_outside_and_stops_early() -> None:
    base = weights(15)
    bounds = between(base, rounded(base + product(16, 4, 3e-4)))
    assert fit_in_cells(bounds, 3).share > 0.05
    assert fit_in_cells(bounds, 4).share <= FITS


def rescaled(base: Matrix, change: Matrix, seed: int, spread: float = 3e-3) -> Matrix:
    """Rows of the sum scaled, as DoRA's are, and rounded once."""
    scales = 1 + np.random.default_rng(seed).normal(0, spread, (SHAPE[0], 1))
    return rounded(scales * (base + change))


def with_rows(before: Matrix, after: Matrix) -> Bounds:
    return replace(between(before, after), before=before)


@settings(max_examples=12, deadline=None)
@given(
    rank=st.integers(1, 6),
    size=st.sampled_from([3e-4, 1e-3]),
    spread=st.sampled_from([1e-3, 3e-3, 1e-2]),
    seed=st.integers(0, 2**16),
    guess=st.integers(1, 12),
)
def test_the_rank_beside_scaled_rows_is_found_and_no_product_alone_fits(
    rank: int, size: float, spread: float, seed: int, guess: int
) -> None:
    base = weights(seed)
    after = rescaled(base, product(seed + 1, rank, size), seed + 2, spread)
    found = smallest_rank(with_rows(base, after), 32, guess)
    assert found is not None
    assert found[0].rank == rank
    assert smallest_rank(between(base, after), 32, guess) is None


def test_scaled_rows_alone_fit_no_rank() -> None:
    """Nor does a factor that all have, as weight decay leaves it; nor do scaled columns."""
    base, rng = weights(20), np.random.default_rng(21)
    nothing = np.zeros(SHAPE)
    for spread in (1e-3, 1e-2):
        assert smallest_rank(with_rows(base, rescaled(base, nothing, 22, spread)), 32) is None
        columns = rounded(base * (1 + rng.normal(0, spread, (1, SHAPE[1]))))
        assert smallest_rank(with_rows(base, columns), 32) is None
    assert smallest_rank(with_rows(base, rounded(base * 0.99)), 32) is None


@pytest.mark.parametrize("size", [5e-5, 3e-4, 1e-3])
@pytest.mark.parametrize("fall", [0.0, 0.5, 1.0, 1.5])
def test_a_full_change_beside_scaled_rows_fits_no_rank(fall: float, size: float) -> None:
    rng = np.random.default_rng(23)
    u, v = (np.linalg.qr(rng.normal(size=(n, SHAPE[1])))[0] for n in SHAPE)
    change = (u * np.arange(1.0, SHAPE[1] + 1) ** -fall) @ v.T
    base = weights(24)
    after = rescaled(base, change * (size / change.std()), 25)
    assert smallest_rank(with_rows(base, after), 32) is None


def test_two_adapters_with_scaled_rows_fit_no_rank_of_one_from_the_other() -> None:
    base = weights(26)
    one, other = (rescaled(base, product(k, 2, 5e-4), k + 1) for k in (27, 29))
    assert smallest_rank(with_rows(one, other), 32) is None


def test_beside_scaled_rows_too_it_is_told_which_was_rounded() -> None:
    base = weights(31)
    after = rescaled(base, product(32, 3, 1e-3), 33)
    for bounds, side in ((with_rows(base, after), 1), (with_rows(after, base), -1)):
        found = smallest_rank(bounds, 32)
        assert found is not None
        crossing = bounds.crossing
        ways = [outside_where(found[0].made, b, crossing) for b in (bounds.forward, bounds.backward)]
        inside, outside = ways if side > 0 else reversed(ways)
        count = np.count_nonzero(crossing)
        assert count > 100
        assert inside <= 0.02 * count
        assert outside >= 0.06 * count
