"""A tool's random words by place in its stream, and our own draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parentage.methods.draws import CounterDraws, TorchDraws


def test_the_first_words_are_those_of_the_published_generator() -> None:
    # The Mersenne Twister's reference, init_genrand(5489): 3499211612, 581869302, 3890346734, …
    found = TorchDraws(5489, 0, 3).below(2**27, 3)
    assert found.tolist() == [3499211612 % 2**27, 581869302 % 2**27, 3890346734 % 2**27]


def test_numbers_below_a_large_bound_take_two_words_the_higher_first() -> None:
    found = TorchDraws(5489, 0, 1).below(3_000_000_000, 1)
    assert found.tolist() == [((3499211612 << 32) | 581869302) % 3_000_000_000]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 900), st.integers(1, 100)), max_size=6))
def test_any_place_of_the_stream_gives_the_same_numbers_in_any_order(
    asked: list[tuple[int, int, int]],
) -> None:
    draws = TorchDraws(7, 55, 1000)
    twister = np.random.MT19937()
    twister._legacy_seeding(7)
    whole = np.asarray(twister.random_raw(5000)).astype(np.uint32)
    for operand, start, n in asked:
        place = 55 + operand * 1000 + start
        wanted = (whole[place : place + n] & 0xFFFFFF).astype(np.float32) / np.float32(2**24)
        assert np.array_equal(draws.uniform(operand, start, n), wanted)


def test_our_draws_are_uniform_and_unlike_from_operand_to_operand() -> None:
    one, other = (CounterDraws(1, "t").uniform(k, 0, 100_000) for k in (0, 1))
    assert one.min() >= 0
    assert one.max() < 1
    # Five standard deviations of the mean, and of the correlation.
    assert abs(float(one.mean(dtype=np.float64)) - 0.5) < 5 / np.sqrt(12 * one.size)
    assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(one.size)
    assert np.array_equal(one[500:600], CounterDraws(1, "t").uniform(0, 500, 100))


@pytest.mark.parametrize("change", [(2, "t", 0), (1, "u", 0), (1, "t", 1)])
def test_our_draws_follow_from_seed_tensor_and_operand(change: tuple[int, str, int]) -> None:
    seed, name, operand = change
    assert not np.array_equal(
        CounterDraws(1, "t").uniform(0, 0, 50), CounterDraws(seed, name).uniform(operand, 0, 50)
    )
