"""Shares, differences and votes against what theory and other formulas say of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from parentage.numerics.shares.intervals_binomial import wilson
from parentage.training.scores import gap, majority, paired_difference, rate, sign_test


def test_a_share_of_right_answers_has_the_interval_of_wilson() -> None:
    found = rate([1.0] * 7 + [0.0] * 13)
    assert (found.low, found.high) == pytest.approx(wilson(7, 20))
    assert found.estimate == 7 / 20
    assert (rate([]).low, rate([]).high) == (0.0, 1.0)


def test_the_sign_test_is_the_binomial_of_disagreements() -> None:
    assert sign_test([1, 1, 1, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0, 1]) == pytest.approx(2 / 32)
    assert sign_test([1, 0], [0, 1]) == 1.0
    assert sign_test([1, 1], [1, 1]) == 1.0


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.5), (0.3, 0.6), (0.1, 0.1)])
def test_the_interval_of_a_paired_difference_covers_the_truth_as_often_as_it_says(
    p: float, q: float
) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(800):
        easy = rng.random(60)
        first = [float(x) for x in rng.random(60) < np.clip(p + 0.3 * (easy - 0.5), 0, 1)]
        second = [float(x) for x in rng.random(60) < np.clip(q + 0.3 * (easy - 0.5), 0, 1)]
        found = paired_difference(first, second)
        covered += found.low <= _truth(p) - _truth(q) <= found.high
    # Of 800 at .95, fewer than 738 have a chance of 1e-3.
    assert covered >= 738


def _truth(p: float) -> float:
    places = np.linspace(0, 1, 20_001)
    return float(np.clip(p + 0.3 * (places - 0.5), 0, 1).mean())


def test_a_gap_between_splits_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(800):
        one, other = (
            rate(list(map(float, rng.random(24) < 0.7))),
            rate(list(map(float, rng.random(48) < 0.5))),
        )
        found = gap(one, other)
        covered += found.low <= 0.2 <= found.high
    assert covered >= 738


def test_a_difference_of_unlike_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        paired_difference([1.0], [1.0, 0.0])


def test_a_vote_takes_the_commonest_answer_and_of_equals_the_first() -> None:
    assert majority(["4", "5", "5"]) == "5"
    assert majority(["4", "5"]) == "4"
    assert majority(["", "", "7"]) == "7"
    assert majority(["", ""]) == ""
    assert math.isclose(rate([0.25, 0.75]).estimate, 0.5)
