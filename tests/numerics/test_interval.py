"""The interval estimator: recover(merge(recipe)) holds the recipe; noise and strangers do not fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.methods.linear import arithmetic
from parentage.numerics.feasible.interval import (
    IntervalEstimate,
    alpha_intervals,
    consistency_curve,
    estimate,
)
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import quantize, round_to, to_float32, to_float64
from parentage.records.dtypes import DType

Floats = NDArray[np.float64]
STORED = [DType.BF16, DType.F16, DType.F32]
# One rounding after float32 (or better) arithmetic: what the widening of the cells promises to cover.
SINGLE = [
    "fp32-sum",
    "fp32-fma",
    "fp32-divided",
    "fp32-rest",
    "fp64",
    "lerp-from-second",
    "lerp-from-first",
    "torch-lerp",
]
LERPS = ["lerp-from-second", "lerp-from-first", "torch-lerp"]
COVERED = [(d, r) for d in STORED for r in SINGLE]
ALPHAS = [0.05, 0.25, 0.5, 0.6, 0.75, 0.95]


def parents(n: int, seed: int, dtype: DType, delta: float, size: float = 0.02) -> tuple[Floats, Floats]:
    """Two fine-tunes of one base; ``delta`` is relative to the weights' size."""
    rng = np.random.default_rng(seed)
    b = quantize(rng.normal(scale=size, size=n), dtype)
    a = quantize(b + rng.normal(scale=size * delta, size=n), dtype)
    return a, b


def recover(a: Floats, b: Floats, bits: NDArray[np.unsignedinteger], dtype: DType) -> IntervalEstimate:
    cells = rounding_cells(bits, dtype)
    return estimate(a, b, cells.low, cells.high, cells.closed, to_float64(bits, dtype))


def blend(
    a: Floats, b: Floats, alpha: float, dtype: DType, rule: str = "fp32-sum"
) -> NDArray[np.unsignedinteger]:
    operands = [a.astype(np.float32), b.astype(np.float32)]
    return arithmetic(rule).apply([alpha, 1 - alpha], operands, out_dtype=dtype)


@pytest.mark.parametrize(("dtype", "rule"), COVERED)
@settings(max_examples=40, deadline=None)
@given(
    alpha=st.sampled_from(ALPHAS) | st.floats(0, 1),
    delta=st.sampled_from([1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_true_weight_of_a_pure_merge_is_always_feasible(
    dtype: DType, rule: str, alpha: float, delta: float, seed: int
) -> None:
    a, b = parents(300, seed, dtype, delta)
    found = recover(a, b, blend(a, b, alpha, dtype, rule), dtype)
    assert found.informative + found.equal == 300
    # Where the parents are equal, only a float32 blend can miss them: by its own rounding.
    assert found.equal_agree == found.equal or dtype is DType.F32
    if not found.informative:
        assert found.feasible is None
        return
    assert found.consistency == 1.0
    assert found.count == found.informative
    assert found.feasible is not None
    assert found.low <= alpha <= found.high


@pytest.mark.parametrize("rule", LERPS)
def test_the_true_weight_of_a_lerp_stored_in_float32_is_feasible(rule: str) -> None:
    # Here the rounding of t(A - B) exceeds 2**-23 |alpha A| wherever A is near zero.
    a, b = parents(200_000, 1, DType.F32, 0.01)
    for alpha in ALPHAS:
        found = recover(a, b, blend(a, b, alpha, DType.F32, rule), DType.F32)
        assert found.consistency == 1.0
        assert found.low <= alpha <= found.high


@pytest.mark.parametrize(("dtype", "rule"), COVERED)
@settings(max_examples=60, deadline=None)
@given(
    alpha=st.sampled_from([*ALPHAS, -0.5, 1.0 / 3.0, 1.5]) | st.floats(-0.5, 1.5),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_true_weight_is_feasible_whatever_the_bits_of_the_parents(
    dtype: DType, rule: str, alpha: float, seed: int
) -> None:
    # Every magnitude of the format, subnormals among them, and differences of any size.
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2 ** (8 * dtype.itemsize), size=400, dtype=np.uint64).astype(dtype.storage)
    near = bits + rng.integers(-3, 4, size=400).astype(dtype.storage)
    far = rng.integers(0, 2 ** (8 * dtype.itemsize), size=400, dtype=np.uint64).astype(dtype.storage)
    other = np.where(rng.random(400) < 0.5, near, far)
    a, b = to_float64(bits, dtype), to_float64(other, dtype)
    with np.errstate(all="ignore"):
        merged = blend(a, b, alpha, dtype, rule)
        finite = np.isfinite(a) & np.isfinite(b) & np.isfinite(to_float64(merged, dtype))
    found = recover(a[finite], b[finite], merged[finite], dtype)
    assert found.informative > 100
    assert found.feasible is not None
    assert found.low <= alpha <= found.high


@pytest.mark.parametrize("alpha", [-0.5, 1.3, 2.0, 3.9])
@pytest.mark.parametrize("dtype", STORED)
def test_weights_outside_zero_and_one_are_feasible_too(dtype: DType, alpha: float) -> None:
    a, b = parents(2000, 5, dtype, 0.01)
    found = recover(a, b, blend(a, b, alpha, dtype), dtype)
    assert found.feasible is not None
    assert found.low <= alpha <= found.high
    assert found.high - found.low < 0.01


@pytest.mark.parametrize("dtype", STORED)
@pytest.mark.parametrize("delta", [0.003, 0.01, 0.03])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_many_elements_pin_the_weight(dtype: DType, delta: float, alpha: float) -> None:
    a, b = parents(60_000, 11, dtype, delta)
    found = recover(a, b, blend(a, b, alpha, dtype), dtype)
    assert found.informative >= 20_000
    assert found.feasible is not None
    assert abs((found.low + found.high) / 2 - alpha) <= 1e-4


def test_least_squares_errs_where_the_interval_does_not() -> None:
    a, b = parents(60_000, 12, DType.BF16, 0.003)
    bits = blend(a, b, 0.6, DType.BF16)
    c, d = to_float64(bits, DType.BF16), a - b
    assert abs(float((c - b) @ d / (d @ d)) - 0.6) > 0.1
    found = recover(a, b, bits, DType.BF16)
    assert abs((found.low + found.high) / 2 - 0.6) <= 1e-4


@pytest.mark.parametrize(
    ("dtype", "first", "width"), [(DType.BF16, 0x3C00, 2e-4), (DType.F16, 0x2000, 1.5e-3)]
)
def test_half_with_exact_ties_is_found_and_is_a_point_of_the_set(
    dtype: DType, first: int, width: float
) -> None:
    bits = np.random.default_rng(2).integers(first, first + 0x400, size=40_000).astype(dtype.storage)
    step = np.random.default_rng(3).integers(1, 3, size=40_000).astype(dtype.storage)
    a, b = to_float64(bits, dtype), to_float64(bits + step, dtype)
    found = recover(a, b, blend(a, b, 0.5, dtype), dtype)
    assert found.consistency == 1.0
    assert found.low <= 0.5 <= found.high
    # Float32's error over a delta of one step is larger where steps are finer.
    assert found.high - found.low < width


def test_float32_parents_one_step_apart_say_nothing_of_a_float32_blend() -> None:
    # Which of its steps a float32 blend takes depends on the order of sums: no weight is excluded.
    bits = np.random.default_rng(2).integers(0x3C000000, 0x3C400000, size=4000).astype(np.uint32)
    a, b = to_float64(bits, DType.F32), to_float64(bits + np.uint32(1), DType.F32)
    found = recover(a, b, blend(a, b, 0.6, DType.F32), DType.F32)
    assert found.feasible is not None
    assert found.low < 0
    assert found.high > 1


def test_one_step_deltas_say_only_on_which_side_of_half_the_weight_lies() -> None:
    bits = np.random.default_rng(4).integers(0x3C00, 0x3C40, size=500).astype(np.uint16)
    a, b = to_float64(bits + np.uint16(1), DType.BF16), to_float64(bits, DType.BF16)
    found = recover(a, b, blend(a, b, 0.6, DType.BF16), DType.BF16)
    assert found.feasible is not None
    assert found.low == pytest.approx(0.5, abs=1e-4)
    assert found.high > 1


@pytest.mark.parametrize("dtype", STORED)
@pytest.mark.parametrize("sigma", [1e-3, 1e-2])
def test_noise_after_the_merge_breaks_consistency(dtype: DType, sigma: float) -> None:
    a, b = parents(20_000, 21, dtype, 0.01)
    merged = to_float64(blend(a, b, 0.6, dtype), dtype)
    noise = np.random.default_rng(22).normal(scale=0.02 * sigma, size=merged.size)
    found = recover(a, b, round_to(merged + noise, dtype), dtype)
    assert found.consistency < 0.999
    assert found.feasible is None


def test_one_changed_element_of_many_breaks_consistency() -> None:
    a, b = parents(20_000, 23, DType.BF16, 0.01)
    bits = blend(a, b, 0.6, DType.BF16)
    bits[np.argmax(np.abs(a - b))] += 9
    found = recover(a, b, bits, DType.BF16)
    assert found.count == found.informative - 1
    assert found.feasible is None


def test_an_unrelated_model_is_consistent_with_no_weight() -> None:
    a, b = parents(20_000, 24, DType.BF16, 0.01)
    stranger, _ = parents(20_000, 25, DType.BF16, 0.01)
    assert recover(a, b, round_to(stranger, DType.BF16), DType.BF16).consistency < 0.05


def test_a_copy_of_either_parent_has_its_end_in_the_set() -> None:
    a, b = parents(5000, 26, DType.BF16, 0.01)
    for model, end in ((a, 1.0), (b, 0.0)):
        found = recover(a, b, round_to(model, DType.BF16), DType.BF16)
        assert found.feasible is not None
        assert found.low <= end <= found.high


def test_parents_that_are_equal_leave_nothing_to_estimate() -> None:
    a, _ = parents(100, 27, DType.BF16, 0.01)
    bits = round_to(a, DType.BF16)
    bits[:10] += 1
    found = recover(a, a, bits, DType.BF16)
    assert (found.informative, found.count, found.consistency) == (0, 0, 0.0)
    assert (found.equal, found.equal_agree) == (100, 90)
    assert found.feasible is None
    nothing = recover(a[:0], a[:0], bits[:0], DType.BF16)
    assert (nothing.informative, nothing.equal, nothing.feasible) == (0, 0, None)


def test_swapping_the_parents_mirrors_the_set() -> None:
    a, b = parents(5000, 28, DType.BF16, 0.01)
    bits = blend(a, b, 0.3, DType.BF16)
    here, there = recover(a, b, bits, DType.BF16), recover(b, a, bits, DType.BF16)
    assert here.low == pytest.approx(1 - there.high, abs=1e-9)
    assert here.high == pytest.approx(1 - there.low, abs=1e-9)


def test_order_of_elements_does_not_matter() -> None:
    a, b = parents(5000, 29, DType.BF16, 0.01)
    bits = blend(a, b, 0.3, DType.BF16)
    order = np.random.default_rng(1).permutation(5000)
    assert recover(a, b, bits, DType.BF16) == recover(a[order], b[order], bits[order], DType.BF16)


def test_an_interval_worked_by_hand() -> None:
    # B = 1, A = 1 + 2**-6 (two bf16 steps of 2**-7), C = 1 + 2**-7 (odd pattern): its cell is
    # 1 + 2**-8 .. 1 + 3 * 2**-8, so alpha lies between 1/4 and 3/4, widened by some
    # 2**-23 * 2 / 2**-6 = 2**-16.
    c = round_to(np.array([1 + 2.0**-7]), DType.BF16)
    cells = rounding_cells(c, DType.BF16)
    start, stop = alpha_intervals(np.array([1 + 2.0**-6]), np.array([1.0]), cells.low, cells.high)
    assert 0.25 - 4 * 2.0**-16 < start[0] < 0.25
    assert 0.75 < stop[0] < 0.75 + 4 * 2.0**-16


@settings(max_examples=100, deadline=None)
@given(ends=st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 12)), min_size=1, max_size=25))
def test_the_sweep_finds_the_depth_that_counting_finds(ends: list[tuple[int, int]]) -> None:
    # With B = 0, A = 1 and cells [s, s + w], the intervals of alpha are the cells (widened by < 1e-4).
    low = np.array([s for s, _ in ends], float)
    high = low + np.array([w for _, w in ends], float)
    ones = np.ones(low.size)
    closed = np.ones(low.size, np.bool_)
    found = estimate(ones, 0 * ones, low, high, closed, 0 * ones)
    depths = {x: int(np.count_nonzero((low <= x) & (x <= high))) for x in low.tolist()}
    assert found.count == max(depths.values())
    assert found.count == np.count_nonzero((low <= found.high + 1e-3) & (high >= found.low - 1e-3))
    assert found.consistency == found.count / low.size
    assert found.low <= found.high


@pytest.mark.parametrize("dtype", STORED)
def test_the_curve_peaks_at_the_truth_and_is_the_share_that_counting_finds(dtype: DType) -> None:
    a, b = parents(3000, 31, dtype, 0.01)
    bits = blend(a, b, 0.6, dtype)
    cells = rounding_cells(bits, dtype)
    grid = np.array([0.0, 0.3, 0.5, 0.59, 0.6, 0.61, 1.0])
    curve = consistency_curve(a, b, cells.low, cells.high, grid)
    assert curve[4] == 1.0
    assert (np.delete(curve, 4) < 1.0).all()
    keep = a != b
    start, stop = alpha_intervals(a[keep], b[keep], cells.low[keep], cells.high[keep])
    for x, share in zip(grid, curve, strict=True):
        assert share == pytest.approx(np.mean((start <= x) & (x <= stop)))
    assert consistency_curve(a, a, cells.low, cells.high, grid).tolist() == [0.0] * grid.size


@pytest.mark.parametrize("dtype", STORED)
def test_widening_scales_with_the_operands_where_the_blend_cancels(dtype: DType) -> None:
    # A = -B: the blend is small, its float32 error is that of the large operands.
    rng = np.random.default_rng(41)
    a = quantize(rng.normal(size=4000), dtype)
    b = quantize(-a * (1 + rng.normal(scale=1e-2, size=4000)), dtype)
    for alpha in (0.5, 0.501, 0.4999):
        found = recover(a, b, blend(a, b, alpha, dtype), dtype)
        assert found.consistency == 1.0
        assert found.low <= alpha <= found.high


def test_what_is_not_finite_does_not_pass_for_evidence() -> None:
    a, b = parents(1000, 51, DType.BF16, 0.01)
    bits = blend(a, b, 0.6, DType.BF16)
    bits[0] = 0x7FC0
    cells = rounding_cells(bits, DType.BF16)
    start, stop = alpha_intervals(a, b + 1, cells.low, cells.high)
    assert math.isnan(start[0])
    assert math.isnan(stop[0])


def test_float32_operands_are_exact_for_every_stored_dtype() -> None:
    for dtype in STORED:
        a, _ = parents(1000, 61, dtype, 0.01)
        bits = round_to(a, dtype)
        assert np.array_equal(to_float32(bits, dtype).astype(np.float64), a)
