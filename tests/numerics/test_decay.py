"""Decay replayed bit by bit against a plain numpy simulation of AdamW on weights without gradient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.numerics.training.decay import (
    TABLE_SIZE,
    DecayReplay,
    Update,
    measure_shrinkage,
    order_witnesses,
    replay_decay,
    scan_schedules,
    visible_decays,
)
from parentage.numerics.training.schedules import (
    GRID,
    Schedule,
    ScheduleKind,
    multipliers,
    plausible_schedules,
    split_product,
    splits,
)


def weights(seed: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.05, shape).astype(np.float32)


def adamw_decay(
    values: NDArray[np.float32], rates: list[float], weight_decay: float
) -> NDArray[np.float32]:
    """What torch's ``param.mul_(1 - lr * weight_decay)`` does to a float32 parameter."""
    out = values.copy()
    for rate in rates:
        out = out * np.float32(1 - rate * weight_decay)
    return out


def test_factors_round_to_float32_before_they_multiply() -> None:
    # 1 - 2e-7 lies between 1 - 3/2^24 and 1 - 4/2^24 and rounds to the former.
    one = np.ones(1, dtype=np.float32)
    moved = replay_decay(one, np.array([2e-7]))
    assert moved[0] == np.float32(1 - 3 * GRID)
    assert visible_decays(np.array([2e-7, 1e-8, 1e-7])).tolist() == [3, 2]


def test_a_step_below_half_a_unit_moves_nothing() -> None:
    values = weights(0, (100,))
    assert np.array_equal(replay_decay(values, np.full(1000, 0.49 * GRID)), values)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    steps=st.integers(1, 60),
    size=st.integers(1, 9000),
    peak=st.sampled_from([1e-3, 3e-4, 2e-5]),
    decay=st.sampled_from([0.1, 0.01]),
)
def test_replay_equals_a_plain_simulation(
    seed: int, steps: int, size: int, peak: float, decay: float
) -> None:
    values = weights(seed, (size,))
    rates = [peak * (t + 1) / steps for t in range(steps)]
    expected = adamw_decay(values, rates, decay)
    replayed = replay_decay(values, np.array([r * decay for r in rates]))
    assert np.array_equal(replayed.view(np.uint32), expected.view(np.uint32))


def test_the_three_arithmetics_differ() -> None:
    values = weights(1, (5000,))
    decays = np.linspace(1e-7, 9e-7, 50)
    factor, double, added = (replay_decay(values, decays, update) for update in Update)
    plain, alpha = values.copy(), values.copy()
    for decay in decays:
        plain = (plain.astype(np.float64) - decay * plain.astype(np.float64)).astype(np.float32)
        alpha = alpha + np.float32(-decay) * alpha
    assert np.array_equal(double, plain)
    assert np.array_equal(added, alpha)
    assert not np.array_equal(factor, double)


@pytest.mark.parametrize("update", list(Update))
def test_a_table_of_mantissas_gives_the_same_bits(update: Update) -> None:
    values = weights(2, (40, 500))
    values[0, :7] = [0.0, -0.0, 1e-42, -3e-39, 2.0**-100, 1.0, -2.0]
    decays = np.linspace(1e-7, 5e-6, 20)
    after = replay_decay(values, decays, update)
    after[3, 3] = np.nextafter(after[3, 3], np.float32(1))
    expected = np.ones(values.shape, dtype=bool)
    expected[3, 3] = False
    direct = DecayReplay(decays, update, values.size)
    table = DecayReplay(decays, update, TABLE_SIZE + 1)
    assert np.array_equal(direct.exact(values, after), expected)
    assert np.array_equal(table.exact(values, after), expected)


def test_rows_that_grew_turned_or_kept_still_did_not_shrink() -> None:
    before = weights(3, (6, 64))
    after = replay_decay(before, np.full(300, 2e-7))
    after[1] = before[1]
    after[2, 5] = np.nextafter(before[2, 5], np.sign(before[2, 5]) * np.float32(9))
    after[3, 5] = -after[3, 5]
    after[4, 5] *= np.float32(0.5)
    after[5, 5] = np.nan
    found = measure_shrinkage(before, after)
    assert found.shrunk.tolist() == [True, False, False, False, False, False]
    assert found.unchanged.tolist() == [False, True, False, False, False, False]
    assert 0.9999 < found.low[0] < found.high[0] < 1


def test_growth_is_not_shrinkage() -> None:
    before = weights(4, (20, 64))
    after = replay_decay(before, np.full(300, 2e-7))
    assert measure_shrinkage(before, after).shrunk.all()
    assert not measure_shrinkage(after, before).shrunk.any()


def test_rows_of_few_elements_prove_nothing() -> None:
    before = weights(5, (20, 15))
    after = replay_decay(before, np.full(300, 2e-7))
    assert not measure_shrinkage(before, after).shrunk.any()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), columns=st.integers(16, 200), spread=st.sampled_from([1e-5, 1e-3]))
def test_trained_rows_are_not_taken_for_decayed_ones(seed: int, columns: int, spread: float) -> None:
    before = weights(seed, (200, columns))
    noise = np.random.default_rng(seed + 1).normal(0, spread, before.shape)
    assert not measure_shrinkage(before, (before + noise).astype(np.float32)).shrunk.any()


def test_linear_and_cosine_rates_follow_transformers() -> None:
    linear = multipliers(Schedule(ScheduleKind.LINEAR, 12, 10, 4, 1.0, 1.0))
    assert linear.tolist() == [0, 0.25, 0.5, 0.75, 1, 5 / 6, 4 / 6, 0.5, 2 / 6, 1 / 6, 0, 0]
    cosine = multipliers(Schedule(ScheduleKind.COSINE, 6, 6, 2, 1.0, 1.0))
    assert cosine == pytest.approx([0, 0.5, 1, 0.8535533905932737, 0.5, 0.14644660940672627])
    constant = multipliers(Schedule(ScheduleKind.CONSTANT, 4, 4, 2, 1.0, 1.0))
    assert constant.tolist() == [0, 0.5, 1, 1]


def test_a_product_is_named_by_the_usual_decay() -> None:
    assert split_product(2e-5 * 0.01) == (2e-5, 0.01)
    assert (2e-6, 0.1) in splits(2e-5 * 0.01)


def test_the_grid_holds_the_published_schedule() -> None:
    schedule = Schedule(ScheduleKind.LINEAR, 300, 400, 100, 2e-5, 0.01)
    grid = plausible_schedules(float(schedule.decays().sum()))
    hit = (grid.kind == 0) & (grid.total == 400) & (grid.warmup == 100)
    assert np.any(hit & np.isclose(grid.product, 2e-7, rtol=1e-12) & (grid.asked == -1))
    assert np.all(np.diff(grid.total) >= 0)


def test_the_scan_finds_the_number_of_steps_and_keeps_its_budget() -> None:
    schedule = Schedule(ScheduleKind.COSINE, 220, 500, 50, 5e-5, 0.01)
    before = np.abs(weights(6, (200,)))
    after = replay_decay(before, schedule.decays())
    grid = plausible_schedules(float(schedule.decays().sum()))
    rate, decay = np.array([split_product(p) for p in grid.product.tolist()]).T
    first, last, tried = scan_schedules(grid, rate, decay, before, after, budget=10**9)
    hits = np.flatnonzero(first)
    assert tried == grid.kind.size
    assert any(
        (grid.kind[h], grid.total[h], grid.warmup[h], first[h], last[h]) == (1, 500, 50, 220, 220)
        for h in hits
    )
    *_, tried = scan_schedules(grid, rate, decay, before, after, budget=1000)
    assert tried < grid.kind.size


def test_order_of_steps_shows_only_in_witnesses() -> None:
    values = weights(7, (400_000,))
    up = np.repeat([1.0, 2.0, 3.0], 100) * GRID
    rising, falling = replay_decay(values, up), replay_decay(values, up[::-1].copy())
    differ = rising != falling
    witnesses = order_witnesses(values, float(up.sum()) * 1.5)
    assert 0 < np.count_nonzero(differ) < 1000
    assert not np.any(differ & ~witnesses)
    assert np.mean(witnesses) < 0.01
