"""Ranks of changes that were rounded: of scaled rows, and of what hardly reaches the next grid point."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage.numerics.matrices.low_rank_change import Change, LowRank, low_rank, scaled_low_rank
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType

Matrix = NDArray[np.float64]


def rounded(x: Matrix, dtype: DType) -> Matrix:
    return to_float64(round_to(x.reshape(-1), dtype), dtype).reshape(x.shape)


def cells(x: Matrix, dtype: DType) -> Matrix:
    found = rounding_cells(round_to(x.reshape(-1), dtype), dtype)
    return (found.high - found.low).reshape(x.shape)


def changed(base: Matrix, after: Matrix, dtype: DType) -> Change:
    stored = rounded(after, dtype)
    return Change(base, stored, cells(stored, dtype), cells(base, dtype))


def weights(seed: int, dtype: DType) -> Matrix:
    return rounded(np.random.default_rng(seed).normal(0, 0.03, (96, 80)), dtype)


def product(seed: int, rank: int, size: float) -> Matrix:
    rng = np.random.default_rng(seed)
    made = rng.normal(0, 1, (96, rank)) @ rng.normal(0, 1, (rank, 80))
    return np.asarray(made * (size / made.std()))


@pytest.mark.parametrize("dtype", [DType.F32, DType.BF16])
@pytest.mark.parametrize("rank", [1, 3, 4])
def test_scaled_rows_leave_the_rank_of_the_product_alone(rank: int, dtype: DType) -> None:
    base = weights(1, dtype)
    scales = 1 + 0.01 * np.random.default_rng(2).normal(0, 1, 96)
    after = scales[:, None] * rounded(base + product(3, rank, 0.002), DType.F32)
    found = scaled_low_rank(changed(base, after, dtype), roundings=2 if dtype is DType.F32 else 1)
    assert found.rank == rank
    assert 0.8 < found.excess < 1.15


def left_of_its_own(found: LowRank) -> float:
    return found.left / found.modelled


def test_rounding_leaves_less_of_a_change_that_hardly_reaches_the_next_grid_point() -> None:
    base = weights(4, DType.BF16)
    found = low_rank(changed(base, base + product(5, 2, 1e-4), DType.BF16))
    assert found.rank == 2
    assert found.excess < 0.85
    assert 1 < left_of_its_own(found) < 1.45


def test_a_fine_tune_of_full_rank_that_is_as_faint_leaves_more() -> None:
    base = weights(6, DType.BF16)
    tail = np.random.default_rng(7).normal(0, 1e-4, base.shape)
    for share in (0.3, 1.0, 3.0):
        found = low_rank(changed(base, base + product(8, 2, 1e-4) + share * tail, DType.BF16))
        assert left_of_its_own(found) > 1.5
