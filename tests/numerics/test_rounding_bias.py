"""What least squares tends to, against simulation, against hand-worked pairs and in its limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate

from parentage.errors import UsageError
from parentage.methods.linear import arithmetic
from parentage.numerics.published.rounding_bias import (
    GAUSSIAN,
    LAPLACE,
    STUDENT_T5,
    Moments,
    Origin,
    Pairs,
    Shape,
    around,
    centred,
    expected_moments,
    linear,
    stored_pairs,
)
from parentage.numerics.published.rounding_bias_change import (
    moments_after_change,
    moments_after_steps,
    moments_changed_before_storing,
)
from parentage.numerics.storage.formats import quantize, to_float64
from parentage.records.absence import Absent
from parentage.records.dtypes import DType

Floats = NDArray[np.float64]
SHAPES = {s.name: s for s in (GAUSSIAN, LAPLACE, STUDENT_T5)}
SPREAD = 0.02
STEP = 2.0**-7
BLOCKS, BLOCK = 40, 10_000
# Some 70 comparisons in this file, of which by chance one in 15,000 is off by more than this.
SIGMAS = 4.0


def stored(values: Floats) -> Floats:
    return quantize(values, DType.BF16)


def draw(shape: Shape, rng: np.random.Generator, n: int) -> Floats:
    if shape is GAUSSIAN:
        return rng.standard_normal(n)
    if shape is LAPLACE:
        return rng.laplace(scale=math.sqrt(0.5), size=n)
    return rng.standard_t(5, size=n) * math.sqrt(3 / 5)


def simulate(
    weights: Callable[[np.random.Generator, int], Floats],
    delta: Shape,
    size: float,
    origin: Origin,
    merge: Callable[[Floats, Floats, np.random.Generator], Floats],
) -> tuple[Floats, Floats]:
    """Figures ``[2]`` of all draws together and their standard errors, from the spread over blocks."""
    rng = np.random.default_rng(7)
    sums = np.empty((BLOCKS, 3))
    for k in range(BLOCKS):
        wide = weights(rng, BLOCK)
        b = stored(wide)
        start = b if origin is Origin.STORED else wide
        a = stored(start + size * draw(delta, rng, BLOCK))
        d, m = a - b, merge(a, b, rng) - b
        sums[k] = d @ d, d @ m, m @ m
    whole = figures(sums.sum(axis=0))
    # Leaving a block out moves a figure by its influence: the jackknife.
    left_out = np.array([figures(sums.sum(axis=0) - s) for s in sums])
    error = np.sqrt((BLOCKS - 1) * np.mean((left_out - left_out.mean(axis=0)) ** 2, axis=0))
    return whole, error


def figures(sums: Floats) -> Floats:
    return np.array([sums[1] / sums[0], sums[1] / math.sqrt(sums[0] * sums[2])])


def expected(moments: Moments) -> Floats:
    alpha, cosine = moments.alpha, moments.cosine
    assert not isinstance(alpha, Absent)
    assert not isinstance(cosine, Absent)
    return np.array([alpha, cosine])


@cache
def matrix_pairs(relative: float, origin: Origin = Origin.STORED, delta: Shape = GAUSSIAN) -> Pairs:
    return stored_pairs(
        weights=centred(GAUSSIAN, SPREAD), delta=delta, size=relative * SPREAD, origin=origin
    )


@pytest.mark.parametrize("origin", list(Origin))
@pytest.mark.parametrize(
    ("weights", "delta", "relative", "alpha"),
    [
        ("Gaussian", "Gaussian", 0.002, 0.3),
        ("Gaussian", "Gaussian", 0.006, 0.565),
        ("Student t₅", "Gaussian", 0.05, 0.8),
    ],
)
def test_expectation_agrees_with_simulation(
    weights: str, delta: str, origin: Origin, relative: float, alpha: float
) -> None:
    law, move, size = SHAPES[weights], SHAPES[delta], relative * SPREAD
    pairs = stored_pairs(weights=centred(law, SPREAD), delta=move, size=size, origin=origin)
    rule = linear(alpha)
    seen, error = simulate(
        lambda rng, n: SPREAD * draw(law, rng, n), move, size, origin, lambda a, b, _: rule(a, b)
    )
    z = (expected(expected_moments(pairs, rule)) - seen) / error
    assert np.abs(z).max() < SIGMAS


@pytest.mark.parametrize("origin", list(Origin))
@pytest.mark.parametrize("log_spread", [0.1, 0.5])
def test_expectation_of_gains_near_one_agrees_with_simulation(origin: Origin, log_spread: float) -> None:
    pairs = stored_pairs(weights=around(1.0, log_spread), delta=GAUSSIAN, size=0.003, origin=origin)
    rule = linear(0.565)
    seen, error = simulate(
        lambda rng, n: np.exp(log_spread * rng.standard_normal(n)),
        GAUSSIAN,
        0.003,
        origin,
        lambda a, b, _: rule(a, b),
    )
    assert np.abs((expected(expected_moments(pairs, rule)) - seen) / error).max() < SIGMAS


@pytest.mark.parametrize("name", ["scalar-16", "mergekit-0.1.4", "task-16"])
def test_expectation_under_a_mergers_own_arithmetic_agrees_with_simulation(name: str) -> None:
    def rule(a: Floats, b: Floats) -> Floats:
        operands = [a.astype(np.float32), b.astype(np.float32)]
        return to_float64(arithmetic(name).apply([0.6, 0.4], operands, out_dtype=DType.BF16), DType.BF16)

    seen, error = simulate(
        lambda rng, n: SPREAD * rng.standard_normal(n),
        GAUSSIAN,
        0.01 * SPREAD,
        Origin.STORED,
        lambda a, b, _: rule(a, b),
    )
    z = (expected(expected_moments(matrix_pairs(0.01), rule)) - seen) / error
    assert np.abs(z).max() < SIGMAS


@pytest.mark.parametrize("origin", list(Origin))
@pytest.mark.parametrize("relative", [0.001, 0.01, 0.1])
def test_the_share_of_differing_elements_is_the_simulated_one(origin: Origin, relative: float) -> None:
    rng = np.random.default_rng(1)
    n = 200_000
    wide = SPREAD * rng.standard_normal(n)
    b = stored(wide)
    start = b if origin is Origin.STORED else wide
    seen = np.count_nonzero(stored(start + relative * SPREAD * rng.standard_normal(n)) != b) / n
    share = matrix_pairs(relative, origin).differing
    assert abs(seen - share) < SIGMAS * math.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize(("relative", "reads"), [(0.003, 0.82), (0.01, 0.64)])
def test_sixty_percent_reads_as_the_design_says(relative: float, reads: float) -> None:
    alpha = expected(expected_moments(matrix_pairs(relative), linear(0.6)))[0]
    assert round(alpha, 2) == reads


def test_sixty_percent_at_three_percent_deltas_reads_almost_right() -> None:
    assert round(expected(expected_moments(matrix_pairs(0.03), linear(0.6)))[0], 4) == 0.6005


@pytest.mark.parametrize("origin", list(Origin))
@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.565, 0.9, 1.3])
def test_large_deltas_read_the_weight_itself(origin: Origin, alpha: float) -> None:
    far = expected(expected_moments(matrix_pairs(3.0, origin), linear(alpha)))
    assert far[0] == pytest.approx(alpha, abs=5e-5)
    assert far[1] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(("alpha", "reads"), [(0.51, 1.0), (0.99, 1.0), (0.49, 0.0), (0.01, 0.0)])
def test_one_step_deltas_read_one_or_zero_whatever_the_weight(alpha: float, reads: float) -> None:
    pairs = stored_pairs(weights=around(1.0, 0.05), delta=GAUSSIAN, size=0.0008, origin=Origin.STORED)
    read = expected_moments(pairs, linear(alpha)).alpha
    assert read == pytest.approx(reads, abs=1e-3)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("origin", list(Origin))
def test_probabilities_of_all_pairs_sum_to_one(shape: str, origin: Origin) -> None:
    for relative in (0.001, 0.1):
        pairs = stored_pairs(
            weights=centred(SHAPES[shape], SPREAD),
            delta=SHAPES[shape],
            size=relative * SPREAD,
            origin=origin,
        )
        assert float(np.sum(pairs.probability)) == pytest.approx(1.0, abs=1e-9)
        assert np.array_equal(stored(pairs.tuned), pairs.tuned)
        assert np.array_equal(stored(pairs.base), pairs.base)


@settings(max_examples=10, deadline=None)
@given(power=st.integers(-20, 20), relative=st.floats(0.001, 0.2), alpha=st.floats(0, 1))
def test_a_power_of_two_in_all_weights_changes_nothing(power: int, relative: float, alpha: float) -> None:
    figures_of = []
    for spread in (SPREAD, SPREAD * 2.0**power):
        pairs = stored_pairs(
            weights=centred(GAUSSIAN, spread), delta=GAUSSIAN, size=relative * spread, origin=Origin.STORED
        )
        moments = expected_moments(pairs, linear(alpha))
        figures_of.append((moments.alpha, moments.delta_squared / spread**2))
    assert figures_of[0] == pytest.approx(figures_of[1], rel=1e-12)


@settings(max_examples=10, deadline=None)
@given(relative=st.floats(0.001, 0.2), alpha=st.floats(0, 1))
def test_exchanging_the_parents_reads_the_complement(relative: float, alpha: float) -> None:
    pairs = matrix_pairs(relative)
    turned = Pairs(pairs.base, pairs.tuned, pairs.probability)
    here = expected_moments(pairs, linear(alpha))
    there = expected_moments(turned, lambda a, b: linear(alpha)(b, a))
    assert isinstance(here.alpha, float)
    assert there.alpha == pytest.approx(1 - here.alpha, abs=1e-12)


def test_pairs_worked_by_hand() -> None:
    # Nine in ten move one step, and .6 of a step rounds to one; the tenth moves two, and 1.2 rounds to one.
    pairs = Pairs(np.array([1 + STEP, 1 + 2 * STEP]), np.ones(2), np.array([0.9, 0.1]))
    moments = expected_moments(pairs, linear(0.6))
    assert moments.alpha == pytest.approx((0.9 + 0.1 * 2) / (0.9 + 0.1 * 4), rel=1e-12)
    assert moments.cosine == pytest.approx(1.1 / math.sqrt(1.3 * 1.0), rel=1e-12)


def test_ties_go_to_the_even_neighbour() -> None:
    # Halfway from an even base to its odd neighbour stays; from an odd base it moves on.
    pairs = Pairs(np.array([1 + STEP, 1 + 2 * STEP]), np.array([1.0, 1 + STEP]), np.array([0.25, 0.75]))
    assert expected_moments(pairs, linear(0.5)).alpha == pytest.approx(0.75, rel=1e-12)


def test_between_turning_points_the_reading_hardly_moves() -> None:
    # A delta of eight steps turns from four to five at 9/16: the reading leaps there.
    pairs = matrix_pairs(0.02)

    def read(alpha: float) -> float:
        return float(expected(expected_moments(pairs, linear(alpha)))[0])

    leap = read(9 / 16 + 1e-6) - read(9 / 16 - 1e-6)
    assert leap > 20 * abs(read(9 / 16 + 2e-4) - read(9 / 16 + 1e-6))


@pytest.mark.parametrize("shape", list(SHAPES))
def test_laws_have_unit_variance_and_the_integral_they_claim(shape: str) -> None:
    law = SHAPES[shape]

    def excess(x: float) -> float:
        return float(law.excess(np.array([x]))[0])

    # E X² = 4 ∫ E max(X - x, 0) over positive x, for a symmetric law.
    assert 4 * integrate.quad(excess, 0, np.inf, limit=200)[0] == pytest.approx(1.0, abs=1e-7)
    for low, high in ((-3.0, -1.0), (-0.5, 0.25), (1.0, 6.0)):
        area = integrate.quad(lambda x: float(law.below(np.array([x]))[0]), low, high)[0]
        ends = law.integral(np.array([low, high]))
        assert ends[1] - ends[0] == pytest.approx(area, abs=1e-9)
    assert float(law.below(np.array([-law.reach]))[0]) < 1e-10


@pytest.mark.parametrize("size", [0.0, -1.0, math.nan, math.inf])
def test_a_delta_without_a_size_is_refused(size: float) -> None:
    with pytest.raises(UsageError, match="delta's size"):
        stored_pairs(weights=centred(GAUSSIAN, 1.0), delta=GAUSSIAN, size=size, origin=Origin.STORED)


def test_equal_parents_have_no_reading() -> None:
    pairs = Pairs(np.ones(1), np.ones(1), np.ones(1))
    moments = expected_moments(pairs, linear(0.6))
    assert isinstance(moments.alpha, Absent)
    assert isinstance(moments.cosine, Absent)
    assert pairs.differing == 0


def test_a_merge_that_equals_its_base_has_a_weight_and_no_cosine() -> None:
    pairs = Pairs(np.array([1 + STEP]), np.ones(1), np.ones(1))
    moments = expected_moments(pairs, linear(0.2))
    assert moments.alpha == 0
    assert isinstance(moments.cosine, Absent)


@pytest.mark.parametrize("relative", [0.005, 0.03])
@pytest.mark.parametrize("change", [2e-4, 1e-3, 6e-3])
def test_a_change_after_storing_agrees_with_simulation(relative: float, change: float) -> None:
    rule, size = linear(0.565), change * SPREAD
    seen, error = simulate(
        lambda rng, n: SPREAD * rng.standard_normal(n),
        GAUSSIAN,
        relative * SPREAD,
        Origin.STORED,
        lambda a, b, rng: stored(rule(a, b) + size * rng.standard_normal(a.size)),
    )
    z = (expected(moments_after_change(matrix_pairs(relative), rule, size)) - seen) / error
    assert np.abs(z).max() < SIGMAS


@pytest.mark.parametrize("relative", [0.005, 0.03])
@pytest.mark.parametrize("change", [2e-4, 1e-3, 6e-3])
def test_a_change_before_storing_agrees_with_simulation(relative: float, change: float) -> None:
    size = change * SPREAD
    seen, error = simulate(
        lambda rng, n: SPREAD * rng.standard_normal(n),
        GAUSSIAN,
        relative * SPREAD,
        Origin.STORED,
        lambda a, b, rng: stored(0.565 * a + 0.435 * b + size * rng.standard_normal(a.size)),
    )
    found = expected(moments_changed_before_storing(matrix_pairs(relative), 0.565, size))
    # Its own error is that of twelve draws a pair.
    assert (np.abs(found - seen) < SIGMAS * error + 1e-3).all()


def test_a_sparse_change_agrees_with_simulation() -> None:
    rule, share = linear(0.565), 0.05

    def merge(a: Floats, b: Floats, rng: np.random.Generator) -> Floats:
        bits = (rule(a, b).astype(np.float32).view(np.uint32) >> np.uint32(16)).astype(np.int64)
        moved = np.where(rng.random(a.size) < share, rng.choice([-1, 1], a.size), 0)
        return to_float64((bits + moved).astype(np.uint16), DType.BF16)

    seen, error = simulate(
        lambda rng, n: SPREAD * rng.standard_normal(n),
        GAUSSIAN,
        0.01 * SPREAD,
        Origin.STORED,
        merge,
    )
    z = (expected(moments_after_steps(matrix_pairs(0.01), rule, share)) - seen) / error
    # Below a power of two the grid is finer on one side: a step of half the size in 1 of 256.
    assert np.abs(z).max() < SIGMAS


def test_a_change_after_storing_lowers_the_cosine_and_leaves_the_weight() -> None:
    pairs, rule = matrix_pairs(0.01), linear(0.565)
    plain = expected(expected_moments(pairs, rule))
    read = [expected(moments_after_change(pairs, rule, x * SPREAD)) for x in (1e-5, 3e-4, 1e-3, 5e-3)]
    assert read[0] == pytest.approx(plain, abs=1e-6)
    cosines = [plain[1], *(r[1] for r in read[1:])]
    assert cosines == sorted(cosines, reverse=True)
    assert [r[0] for r in read] == pytest.approx([plain[0]] * 4, abs=1e-4)


def test_a_change_before_storing_dithers_the_bias_away() -> None:
    pairs = matrix_pairs(0.005)
    plain = expected(expected_moments(pairs, linear(0.565)))[0]
    dithered = expected(moments_changed_before_storing(pairs, 0.565, 0.004 * SPREAD))[0]
    assert plain > 0.7
    assert dithered == pytest.approx(0.565, abs=5e-3)
