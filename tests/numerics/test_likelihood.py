"""The two likelihoods on planted merges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.numerics.deciding.merge_test import compare
from parentage.numerics.likelihoods.likelihood import fit, fit_scale
from parentage.numerics.likelihoods.profile import predict, rounding_code
from parentage.records.dtypes import DType

Floats = NDArray[np.float64]
SD = 0.02
N = 16384


def to_bf16(values: NDArray[np.floating]) -> NDArray[np.float32]:
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)).view(np.float32)


def bf16_cells(values: NDArray[np.float32]) -> tuple[Floats, Floats]:
    step = np.uint32(0x10000)
    size = np.abs(values)
    bits = size.view(np.uint32)
    up = (bits + step).view(np.float32).astype(np.float64)
    down = np.where(bits >= step, (np.maximum(bits, step) - step).view(np.float32), -up)
    inner, outer = (size + down) / 2.0, (size + up) / 2.0
    return np.where(values >= 0, inner, -outer), np.where(values >= 0, outer, -inner)


@dataclass
class World:
    a: Floats
    b: Floats
    c: Floats
    low: Floats
    high: Floats


def world(a: Floats, b: Floats, c: NDArray[np.float32]) -> World:
    low, high = bf16_cells(c)
    return World(*(x.astype(np.float64) for x in (a, b, c)), low, high)


def family(rng: np.random.Generator, relative: float, n: int = N) -> tuple[Floats, Floats, Floats]:
    base = to_bf16(rng.normal(0.0, SD, n))
    a, b = (to_bf16(base + rng.normal(0.0, relative * SD, n)) for _ in range(2))
    return base, a, b


def blend(alpha: float, a: Floats, b: Floats) -> NDArray[np.float32]:
    return to_bf16(np.float32(alpha) * a + np.float32(1.0 - alpha) * b)


def run(w: World, **options: object) -> object:
    return compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16, **options)


@pytest.mark.parametrize("relative_sigma", [1e-4, 1e-3, 3e-3])
def test_a_stored_merge_with_a_dense_change_gives_its_weight_and_its_scale(
    relative_sigma: float,
) -> None:
    rng = np.random.default_rng(3)
    _, a, b = family(rng, 0.01)
    c = to_bf16(blend(0.6, a, b) + rng.normal(0.0, relative_sigma * SD, N))
    w = world(a, b, c)
    found = compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16)
    assert found.replay.alpha == pytest.approx(0.6, abs=0.005)
    assert found.replay.scale == pytest.approx(relative_sigma * SD, rel=0.1)
    assert found.replay.family == "gaussian"
    assert found.delta_ll > 100
    assert min(found.drop_at_zero, found.drop_at_one) > 100
    assert found.residual_correlation == pytest.approx(0.0, abs=0.1)


def test_a_sparse_change_leaves_the_weight_exact_where_the_free_fit_is_off() -> None:
    rng = np.random.default_rng(4)
    _, a, b = family(rng, 0.003)
    merge = blend(0.6, a, b)
    moved = (rng.random(N) < 0.01) & (np.abs(merge) > 1e-4)
    steps = np.where(moved, rng.integers(1, 4, N) * 0x10000, 0).astype(np.uint32)
    c = (merge.view(np.uint32) + steps).view(np.float32)
    w = world(a, b, c)
    found = compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16)
    assert found.replay.alpha == pytest.approx(0.6, abs=0.005)
    assert found.off_replay == pytest.approx(int(moved.sum()), abs=5)
    assert found.replay.family == "student-t2"
    assert found.delta_ll > 10


def test_a_pure_merge_is_the_boundary_where_the_scale_is_zero() -> None:
    rng = np.random.default_rng(5)
    _, a, b = family(rng, 0.003, 4096)
    w = world(a, b, blend(0.6, a, b))
    found = compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16)
    assert (found.replay.log_likelihood, found.replay.scale, found.off_replay) == (0.0, 0.0, 0)
    assert found.residual_correlation is None
    assert np.isfinite(found.delta_ll)


def test_half_and_half_with_its_exact_ties_is_found() -> None:
    rng = np.random.default_rng(6)
    _, a, b = family(rng, 0.003)
    w = world(a, b, to_bf16(blend(0.5, a, b) + rng.normal(0.0, 1e-3 * SD, N)))
    found = compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16)
    assert found.replay.alpha == 0.5
    assert found.delta_ll > 100


def test_an_imitator_that_was_never_stored_as_a_merge_does_not_pass() -> None:
    for seed in range(4):
        rng = np.random.default_rng([7, seed])
        _, a, b = family(rng, 0.003)
        c = to_bf16(0.6 * a.astype(np.float64) + 0.4 * b + rng.normal(0.0, 3e-3 * SD, N))
        w = world(a, b, c)
        found = compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16, interval=False)
        assert found.delta_ll < 10


def test_another_fine_tune_does_not_pass() -> None:
    for seed in range(4):
        rng = np.random.default_rng([8, seed])
        base, a, b = family(rng, 0.003)
        w = world(a, b, to_bf16(base + rng.normal(0.0, 0.003 * SD, N)))
        found = compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16, interval=False)
        ends_excluded = min(found.drop_at_zero, found.drop_at_one) >= 10
        assert not (found.delta_ll >= 10 and ends_excluded)


def test_a_trained_parent_does_not_exclude_its_own_end() -> None:
    rng = np.random.default_rng(9)
    _, a, b = family(rng, 0.01)
    w = world(a, b, to_bf16(b + rng.normal(0.0, 1e-3 * SD, N)))
    found = compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16, interval=False)
    assert found.drop_at_zero < 10
    # A change that drifts along A - B ends where the first parent's own change would.
    assert found.delta_ll < 10


def test_a_few_hundred_elements_decide_at_small_noise() -> None:
    # The design's figure: 138 elements for ΔLL 10 at σ/std 1e-3 and a delta of .3 %.
    gains = []
    for seed in range(10):
        rng = np.random.default_rng([10, seed])
        _, a, b = family(rng, 0.003, 300)
        w = world(a, b, to_bf16(blend(0.6, a, b) + rng.normal(0.0, 1e-3 * SD, 300)))
        found = compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16, interval=False)
        gains.append(found.delta_ll)
    assert np.median(gains) > 10


def test_rows_with_different_scales_are_told_apart() -> None:
    rng = np.random.default_rng(11)
    _, a, b = family(rng, 0.01)
    rows = np.repeat(np.arange(64, dtype=np.int32), 256)
    sizes = np.where(rows < 32, 1e-3, 1e-2)
    w = world(a, b, to_bf16(blend(0.6, a, b) + rng.normal(size=N) * sizes * SD))
    found = fit(np.stack([w.a, w.b]), w.c, w.low, w.high, dtype=DType.BF16, mode="replay", rows=rows)
    assert found.row_spread == pytest.approx(np.log(10) / 2, rel=0.1)
    alone = fit(np.stack([w.a, w.b]), w.c, w.low, w.high, dtype=DType.BF16, mode="replay")
    assert alone.row_spread == 0.0
    assert found.interval is not None
    assert found.interval.low <= 0.6 <= found.interval.high


def test_swapping_the_parents_mirrors_the_weight() -> None:
    rng = np.random.default_rng(12)
    _, a, b = family(rng, 0.01, 4096)
    w = world(a, b, to_bf16(blend(0.3, a, b) + rng.normal(0.0, 1e-3 * SD, 4096)))
    one = compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16, interval=False)
    two = compare(w.b, w.a, w.c, w.low, w.high, dtype=DType.BF16, interval=False)
    assert two.replay.alpha == pytest.approx(1.0 - one.replay.alpha, abs=2e-3)
    assert two.delta_ll == pytest.approx(one.delta_ll, abs=3.0)


@pytest.mark.parametrize("relative_sigma", [0.0, 1e-3])
def test_three_parents_are_told_with_their_shares(relative_sigma: float) -> None:
    rng = np.random.default_rng(16)
    n = 20000
    base = to_bf16(rng.normal(0.0, SD, n))
    parents = [to_bf16(base + rng.normal(0.0, 0.01 * SD, n)) for _ in range(3)]
    shares = (0.5, 0.3, 0.2)
    merge = np.zeros(n, dtype=np.float32)
    for share, parent in zip(shares, parents, strict=True):
        merge = merge + np.float32(share) * parent
    c = to_bf16(to_bf16(merge) + rng.normal(0.0, relative_sigma * SD, n))
    low, high = bf16_cells(c)
    stack = np.stack(parents).astype(np.float64)
    found = fit(stack, c.astype(np.float64), low, high, dtype=DType.BF16, mode="replay",
                without=False)  # fmt: skip
    assert found.weights == pytest.approx(shares, abs=2e-3)
    assert all(
        i.low - 2e-4 <= share <= i.high + 2e-4 for i, share in zip(found.intervals, shares, strict=True)
    )
    assert found.scale == pytest.approx(relative_sigma * SD, rel=0.1)


def test_weights_that_miss_one_are_not_forced_to_it() -> None:
    rng = np.random.default_rng(17)
    _, a, b = family(rng, 0.01)
    merge = to_bf16(np.float32(0.6015625) * a + np.float32(0.400390625) * b)
    w = world(a, b, to_bf16(merge + rng.normal(0.0, 1e-3 * SD, N)))
    stack = np.stack([w.a, w.b])
    free_sum = fit(stack, w.c, w.low, w.high, dtype=DType.BF16, mode="replay", sum_to_one=False,
                   without=False)  # fmt: skip
    assert free_sum.weights == pytest.approx((0.6015625, 0.400390625), abs=1e-3)
    forced = fit(stack, w.c, w.low, w.high, dtype=DType.BF16, mode="replay")
    assert free_sum.log_likelihood > forced.log_likelihood + 10


def test_one_parent_has_a_free_weight() -> None:
    rng = np.random.default_rng(18)
    _, a, _ = family(rng, 0.01)
    w = world(a, a, to_bf16(np.float32(0.98) * a))
    found = fit(w.a[None, :], w.c, w.low, w.high, dtype=DType.BF16, mode="replay")
    assert found.weights == pytest.approx((0.98,), abs=1e-4)
    assert found.log_likelihood - found.alone > 10


def test_a_fixed_replay_gives_the_scale_around_it() -> None:
    rng = np.random.default_rng(13)
    _, a, b = family(rng, 0.01)
    merge = blend(0.6, a, b)
    w = world(a, b, to_bf16(merge + rng.normal(0.0, 3e-3 * SD, N)))
    found = fit_scale(w.c, merge.astype(np.float64), w.low, w.high)
    assert found.scale == pytest.approx(3e-3 * SD, rel=0.05)
    assert 0 < found.off < N
    exact = fit_scale(w.c, w.c, w.low, w.high)
    assert (exact.scale, exact.log_likelihood, exact.off) == (0.0, 0.0, 0)


def test_fits_are_deterministic() -> None:
    rng = np.random.default_rng(14)
    _, a, b = family(rng, 0.01, 4096)
    w = world(a, b, to_bf16(blend(0.6, a, b) + rng.normal(0.0, 1e-3 * SD, 4096)))
    found = [fit(np.stack([w.a, w.b]), w.c, w.low, w.high, dtype=DType.BF16, mode="replay")
             for _ in range(2)]  # fmt: skip
    assert found[0] == found[1]


def test_no_difference_between_parents_yields_a_fit_without_a_number_out_of_range() -> None:
    rng = np.random.default_rng(15)
    _, a, _ = family(rng, 0.01, 512)
    w = world(a, a, to_bf16(a + rng.normal(0.0, 3e-3 * SD, 512)))
    found = compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16)
    assert np.isfinite(found.replay.log_likelihood)
    assert found.residual_correlation is None
    assert found.drop_at_zero == pytest.approx(0.0, abs=1.0)


def test_bad_input_is_named() -> None:
    x = np.zeros((2, 0))
    with pytest.raises(UsageError) as caught:
        fit(x, x[0], x[0], x[0], dtype=DType.BF16, mode="free")
    assert caught.value.code == "nothing-to-fit"
    y = np.ones((2, 3))
    with pytest.raises(UsageError) as caught:
        fit(y, np.ones(2), np.ones(2), np.ones(2), dtype=DType.BF16, mode="free")
    assert caught.value.code == "fit-shapes"
    with pytest.raises(UsageError) as caught:
        fit(y, y[0], y[0], y[0], dtype=DType.I8, mode="replay")
    assert caught.value.code == "dtype-without-replay"


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
@settings(max_examples=200, deadline=None)
def test_the_replays_rounding_is_the_storage_formats_own(values: list[float]) -> None:
    x = np.clip(np.array([values], dtype=np.float64), -3e38, 3e38)
    out = np.empty(x.shape[1])
    predict(x, np.ones(1), rounding_code(DType.BF16), False, out)
    np.testing.assert_array_equal(out, to_bf16(x[0]).astype(np.float64))
    small = x[0][np.abs(x[0]) < 65000]
    out = np.empty(small.size)
    predict(small[None, :], np.ones(1), rounding_code(DType.F16), False, out)
    np.testing.assert_array_equal(out, small.astype(np.float16).astype(np.float64))


def test_a_later_change_that_drifts_towards_a_parent_does_not_move_the_weight() -> None:
    rng = np.random.default_rng(21)
    _, a, b = family(rng, 0.01)
    merge = blend(0.6, a, b).astype(np.float64)
    c = to_bf16(merge + 0.08 * (a - b) + rng.normal(0.0, 1e-3 * SD, N))
    w = world(a, b, c)
    found = compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16)
    assert found.replay.alpha == pytest.approx(0.6, abs=0.003)
    assert found.drift == pytest.approx(0.08, abs=0.005)
    assert found.free.alpha == pytest.approx(0.68, abs=0.01)
    assert found.delta_ll > 50
    interval = found.replay.interval
    assert interval is not None
    assert interval.low - 1e-3 <= 0.6 <= interval.high + 1e-3


@pytest.mark.parametrize("weight", [0.3, 0.9, 1.1])
def test_a_blend_that_was_never_stored_gains_nothing_from_any_grid(weight: float) -> None:
    rng = np.random.default_rng(22)
    _, a, b = family(rng, 0.01)
    unstored = weight * a.astype(np.float64) + (1 - weight) * b
    w = world(a, b, to_bf16(unstored + rng.normal(0.0, 2e-3 * SD, N)))
    assert compare(w.a, w.b, w.c, w.low, w.high, dtype=DType.BF16).delta_ll < 10
