"""A mean of 16-bit models is told by what it leaves between the steps; nothing else is taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.numerics.deciding.averages import mean_of_narrow
from parentage.numerics.storage.cells import as_written, rounding_cells
from parentage.numerics.storage.formats import quantize, round_to
from parentage.records.dtypes import DType

Floats = NDArray[np.float64]


def models(rng: np.random.Generator, count: int, dtype: DType) -> Floats:
    """Checkpoints that differ by about a quarter of a step of bfloat16: most numbers agree."""
    start = rng.normal(0.0, 0.02, 4_000)
    return np.stack(
        [quantize(start * (1 + 1e-3 * rng.standard_normal(start.size)), dtype) for _ in range(count)]
    )


def in_32_bits(values: Floats) -> Floats:
    return quantize(values, DType.F32)


@pytest.mark.parametrize("dtype", [DType.BF16, DType.F16])
@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7])
def test_a_mean_is_told_with_the_number_of_models(count: int, dtype: DType) -> None:
    kept = models(np.random.default_rng(count), count, dtype)
    assert mean_of_narrow(in_32_bits(kept.mean(axis=0)), dtype) == count


def test_means_of_two_and_four_in_bfloat16_are_told_where_float16_holds_them() -> None:
    for count in (2, 4):
        mean = models(np.random.default_rng(count), count, DType.BF16).mean(axis=0)
        assert mean_of_narrow(in_32_bits(mean), DType.BF16, 4) == count


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([3e-5, 3e-4, 3e-3]), st.sampled_from([0.01, 0.3, 1.0]))
def test_what_is_changed_after_it_was_stored_is_no_mean(seed: int, size: float, share: float) -> None:
    rng = np.random.default_rng(seed)
    stored = quantize(rng.normal(0.0, 0.02, 4_000), DType.BF16)
    moved = rng.random(stored.size) < share
    changed = in_32_bits(stored + moved * size * rng.standard_normal(stored.size))
    assert mean_of_narrow(changed, DType.BF16) is None


@pytest.mark.parametrize("dtype", [DType.F16, DType.F32, DType.BF16])
def test_numbers_of_any_format_are_no_mean_of_bfloat16(dtype: DType) -> None:
    values = quantize(np.random.default_rng(3).normal(0.0, 0.02, 4_000), dtype)
    assert mean_of_narrow(values, DType.BF16, 4) is None


def test_numbers_on_a_narrower_grid_have_its_cells_where_they_are_not_there_by_chance() -> None:
    rng = np.random.default_rng(5)
    values = in_32_bits(models(rng, 3, DType.BF16).mean(axis=0))
    written = as_written(values, DType.F32)
    on = quantize(values, DType.BF16) == values
    assert 0.05 < on.mean() < 0.95
    assert np.array_equal(written.narrow, on)
    narrow, own = (rounding_cells(round_to(values, d), d) for d in (DType.BF16, DType.F32))
    assert np.array_equal(written.cells.low, np.where(on, narrow.low, own.low))
    assert np.array_equal(written.cells.high, np.where(on, narrow.high, own.high))
    wide = in_32_bits(rng.normal(0.0, 0.02, 200_000))
    assert not as_written(wide, DType.F32).narrow.any()


def test_zeros_tell_of_no_grid() -> None:
    values = in_32_bits(np.random.default_rng(6).normal(0.0, 0.02, 1_000))
    values[:500] = 0.0
    assert not as_written(values, DType.F32).narrow.any()
