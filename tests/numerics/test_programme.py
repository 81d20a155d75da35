"""The programme's ranges hold the truth of every pure merge, and noise leaves none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.methods.linear import arithmetic
from parentage.numerics.feasible.programme import WeightRanges, feasible_weights
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import quantize, round_to, to_float64
from parentage.records.dtypes import DType

Floats = NDArray[np.float64]
STORED = [DType.BF16, DType.F16, DType.F32]
# One rounding after float32 (or better) arithmetic; mergekit 0.1.5 computes fp32-fma.
RULES = ["fp32-sum", "fp32-fma", "fp32-divided", "fp64"]
LERPS = ["fp32-rest", "lerp-from-second", "lerp-from-first", "torch-lerp"]


def siblings(count: int, n: int, seed: int, dtype: DType, deltas: list[float]) -> Floats:
    """Fine-tunes of one base of standard deviation .02, [K, n]."""
    rng = np.random.default_rng(seed)
    base = rng.normal(0.0, 0.02, n)
    return np.stack([quantize(base + rng.normal(0.0, 0.02 * d, n), dtype) for d in deltas[:count]])


def blend(parents: Floats, weights: list[float], dtype: DType, rule: str) -> NDArray[np.unsignedinteger]:
    operands = [p.astype(np.float32) for p in parents]
    return arithmetic(rule).apply(weights, operands, out_dtype=dtype)


def solve(parents: Floats, bits: NDArray[np.unsignedinteger], dtype: DType) -> WeightRanges:
    cells = rounding_cells(bits, dtype)
    return feasible_weights(parents, cells.low, cells.high, np.full(len(parents), 1.0 / len(parents)))


def holds(found: WeightRanges, weights: list[float]) -> bool:
    each = all(a <= w <= b for a, w, b in zip(found.low, weights, found.high, strict=True))
    return found.feasible and each and found.sum_low <= sum(weights) <= found.sum_high


deltas = st.lists(st.sampled_from([1e-3, 3e-3, 1e-2, 3e-2]), min_size=5, max_size=5)


@pytest.mark.parametrize("dtype", STORED)
@settings(max_examples=40, deadline=None)
@given(
    weights=st.lists(
        st.sampled_from([0.1, 0.2, 0.3, 1 / 3, 0.5]) | st.floats(-0.5, 1.5), min_size=2, max_size=5
    ),
    rule=st.sampled_from(RULES),
    relative=deltas,
    seed=st.integers(0, 2**32 - 1),
)
def test_the_true_weights_of_a_pure_merge_are_always_feasible(
    dtype: DType, weights: list[float], rule: str, relative: list[float], seed: int
) -> None:
    if rule in ("fp32-fma", "fp32-divided"):
        if abs(sum(weights)) < 0.2:
            weights = [abs(w) + 0.1 for w in weights]
        bits_of, total = weights, sum(weights)
        weights = [w / total for w in weights]
    else:
        bits_of = weights
    parents = siblings(len(weights), 500, seed, dtype, relative)
    assert holds(solve(parents, blend(parents, bits_of, dtype, rule), dtype), weights)


@pytest.mark.parametrize("rule", LERPS)
@pytest.mark.parametrize("dtype", STORED)
@settings(max_examples=15, deadline=None)
@given(alpha=st.floats(-0.5, 1.5), relative=deltas, seed=st.integers(0, 2**32 - 1))
def test_the_true_weights_of_a_lerp_are_feasible(
    dtype: DType, rule: str, alpha: float, relative: list[float], seed: int
) -> None:
    parents = siblings(2, 500, seed, dtype, relative)
    weights = [alpha, 1.0 - alpha]
    assert holds(solve(parents, blend(parents, weights, dtype, rule), dtype), weights)


@pytest.mark.parametrize("dtype", STORED)
@settings(max_examples=40, deadline=None)
@given(
    weights=st.lists(st.floats(-0.5, 1.5), min_size=2, max_size=4),
    rule=st.sampled_from(["fp32-sum", "fp64"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_true_weights_are_feasible_whatever_the_bits_of_the_parents(
    dtype: DType, weights: list[float], rule: str, seed: int
) -> None:
    # Every magnitude of the format, subnormals among them, and sums that cancel.
    rng = np.random.default_rng(seed)
    shape = (len(weights), 300)
    bits = rng.integers(0, 2 ** (8 * dtype.itemsize), size=shape, dtype=np.uint64).astype(dtype.storage)
    bits[1:] = np.where(rng.random((len(weights) - 1, 300)) < 0.6, bits[0] + bits[1:] % 7, bits[1:])
    with np.errstate(all="ignore"):
        parents = np.stack([to_float64(row, dtype) for row in bits])
        merged = blend(parents, weights, dtype, rule)
        finite = np.isfinite(parents).all(axis=0) & np.isfinite(to_float64(merged, dtype))
    assert holds(solve(parents[:, finite], merged[finite], dtype), weights)


def test_three_parents_of_real_scale_are_told_within_two_thousandths() -> None:
    for seed in range(5):
        parents = siblings(3, 4096, seed, DType.BF16, [0.001, 0.01, 0.03])
        found = solve(parents, blend(parents, [0.5, 0.3, 0.2], DType.BF16, "fp32-sum"), DType.BF16)
        assert found.feasible
        assert np.abs(found.estimate - [0.5, 0.3, 0.2]).max() < 0.002
        assert (found.high - found.low).max() < 0.004


@pytest.mark.parametrize("weights", [(0.6, 0.5), (0.6015625, 0.400390625)])
def test_a_sum_that_is_not_one_is_measured_and_one_is_excluded(weights: tuple[float, float]) -> None:
    parents = siblings(2, 4096, 1, DType.BF16, [0.01, 0.003])
    found = solve(parents, blend(parents, list(weights), DType.BF16, "fp32-sum"), DType.BF16)
    assert holds(found, list(weights))
    assert found.sum_low > 1.0
    assert found.sum_high - found.sum_low < 1e-4
    assert (found.high - found.low).max() < 1e-3


def test_the_ranges_are_those_that_every_element_allows_and_no_wider() -> None:
    # Two weights by hand: A = (1, 0), B = (0, 1) confine each weight to its own element's cell.
    parents = np.array([[1.0, 0.0], [0.0, 1.0]])
    cells = rounding_cells(round_to(np.array([0.5, 0.25]), DType.BF16), DType.BF16)
    found = feasible_weights(parents, cells.low, cells.high, np.array([0.4, 0.4]))
    assert found.low == pytest.approx([0.5 - 2.0**-10, 0.25 - 2.0**-11], abs=3e-6)
    assert found.high == pytest.approx([0.5 + 2.0**-9, 0.25 + 2.0**-10], abs=3e-6)
    assert found.sum_low == pytest.approx(0.75 - 3 * 2.0**-11, abs=6e-6)
    assert found.sum_high == pytest.approx(0.75 + 3 * 2.0**-10, abs=6e-6)


def test_a_parent_that_is_not_in_the_merge_gets_a_range_that_holds_zero() -> None:
    parents = siblings(3, 4096, 2, DType.BF16, [0.01, 0.01, 0.01])
    bits = blend(parents[:2], [0.6, 0.4], DType.BF16, "fp32-sum")
    found = solve(parents, bits, DType.BF16)
    assert holds(found, [0.6, 0.4, 0.0])
    assert found.high[2] < 1e-3


def test_nearly_collinear_parents_get_wide_ranges_that_hold_the_truth() -> None:
    weights = [0.3513, 0.2471, 0.4016]
    widths = []
    for cosine in (0.0, 0.99, 0.9999):
        rng = np.random.default_rng(3)
        base = rng.normal(0.0, 0.02, 4096)
        delta = rng.normal(0.0, 0.0002, 4096)
        other = cosine * delta + np.sqrt(1 - cosine**2) * rng.normal(0.0, 0.0002, 4096)
        parents = np.stack([quantize(x, DType.BF16) for x in (base + delta, base + other, base)])
        found = solve(parents, blend(parents, weights, DType.BF16, "fp32-sum"), DType.BF16)
        assert holds(found, weights)
        widths.append(float(found.high[0] - found.low[0]))
    assert widths[1] > 5 * widths[0]
    assert widths[2] > 3 * widths[1]


def test_equal_parents_share_a_weight_that_nothing_divides() -> None:
    parents = siblings(2, 2000, 4, DType.BF16, [0.01, 0.01])
    twice = np.vstack([parents[:1], parents[:1], parents[1:]])
    bits = blend(twice, [0.3, 0.3, 0.4], DType.BF16, "fp32-sum")
    found = solve(twice, bits, DType.BF16)
    assert holds(found, [0.3, 0.3, 0.4])
    assert (found.high - found.low)[:2].min() > 5
    assert found.high[2] - found.low[2] < 1e-3


def test_eight_parents_are_solved() -> None:
    weights = [0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05]
    rng = np.random.default_rng(5)
    base = rng.normal(0.0, 0.02, 8192)
    parents = np.stack([quantize(base + rng.normal(0.0, 0.0002, 8192), DType.BF16) for _ in weights])
    found = solve(parents, blend(parents, weights, DType.BF16, "fp32-sum"), DType.BF16)
    assert holds(found, weights)
    assert np.abs(found.estimate - weights).max() < 0.002


@pytest.mark.parametrize("share", [0.001, 1.0])
def test_a_later_change_leaves_no_weights(share: float) -> None:
    parents = siblings(3, 4096, 6, DType.BF16, [0.01, 0.003, 0.01])
    merge = to_float64(blend(parents, [0.5, 0.3, 0.2], DType.BF16, "fp32-sum"), DType.BF16)
    rng = np.random.default_rng(7)
    moved = np.where(rng.random(4096) < share, merge + rng.normal(0.0, 2e-4, 4096), merge)
    found = solve(parents, round_to(moved, DType.BF16), DType.BF16)
    assert not found.feasible
    assert found.slack > 0.1
    assert found.low.tolist() == found.estimate.tolist() == found.high.tolist()


def test_an_older_tools_sixteen_bit_arithmetic_has_no_consistent_weights() -> None:
    parents = siblings(3, 4096, 8, DType.BF16, [0.01, 0.01, 0.01])
    found = solve(parents, blend(parents, [0.5, 0.3, 0.2], DType.BF16, "mergekit-0.1.4"), DType.BF16)
    assert not found.feasible


def test_the_first_estimate_does_not_move_the_ranges() -> None:
    parents = siblings(3, 4096, 9, DType.BF16, [0.01, 0.003, 0.03])
    cells = rounding_cells(blend(parents, [0.5, 0.3, 0.2], DType.BF16, "fp32-fma"), DType.BF16)
    near = feasible_weights(parents, cells.low, cells.high, np.array([0.5, 0.3, 0.2]))
    far = feasible_weights(parents, cells.low, cells.high, np.array([2.0, -1.0, 0.5]))
    assert near.low == pytest.approx(far.low, abs=1e-7)
    assert near.high == pytest.approx(far.high, abs=1e-7)
    again = feasible_weights(parents, cells.low, cells.high, np.array([0.5, 0.3, 0.2]))
    assert again.low.tolist() == near.low.tolist()
    assert again.high.tolist() == near.high.tolist()
