"""Which numbers a person may have typed, the plainest first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parentage.numerics.feasible import candidates
from parentage.numerics.feasible.candidates import describe, description_length, near, simplest_in
from parentage.numerics.storage.formats import quantize
from parentage.records.dtypes import DType


@pytest.mark.parametrize(
    ("low", "high", "first"),
    [
        (0.59, 0.61, 0.6),
        (0.5999, 0.6001, 0.6),
        (0.33333, 0.33334, 1 / 3),
        (0.571, 0.5715, 4 / 7),
        (0.6249, 0.6251, 0.625),
        (-1e-4, 1e-4, 0.0),
        (0.9999, 1.0002, 1.0),
        (1.19, 1.21, 1.2),
    ],
)
def test_the_plainest_number_comes_first(low: float, high: float, first: float) -> None:
    assert simplest_in(low, high, 6)[0] == first


@pytest.mark.parametrize("typed", [0.6, 0.4, 0.3, 0.7, 0.05])
def test_a_number_that_was_stored_before_it_was_used_is_found(typed: float) -> None:
    form = float(quantize(np.array([typed]), DType.BF16)[0])
    assert form != typed
    assert form in simplest_in(form - 1e-5, form + 1e-5, 4)[:2]
    assert simplest_in(form - 1e-6, form + 1e-6, 4)[0] == form
    assert description_length(form) > description_length(typed)


def test_a_float32_form_is_there_where_nothing_plainer_is() -> None:
    form = float(np.float32(0.6))
    assert form in simplest_in(form - 1e-10, form + 1e-10, 4)


@settings(max_examples=100, deadline=None)
@example(low=1.92, width=0.001, limit=3)
@given(
    low=st.floats(-2, 2),
    width=st.sampled_from([1e-7, 1e-5, 1e-3, 1e-2, 0.3]),
    limit=st.integers(1, 8),
)
def test_every_number_lies_in_the_range_and_none_comes_twice(low: float, width: float, limit: int) -> None:
    found = simplest_in(low, low + width, limit)
    assert 1 <= len(found) <= limit
    assert len(set(found)) == len(found)
    assert all(low <= x <= low + width for x in found)


@settings(max_examples=50, deadline=None)
@given(typed=st.integers(1, 99), error=st.floats(-0.02, 0.02))
def test_two_digits_are_found_near_an_estimate(typed: int, error: float) -> None:
    assert typed / 100 in near(typed / 100 + error, 0.03, 24)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.6, "0.6"), (4 / 7, "4/7"), (0.6015625, "0.6 as bf16 (0.601562)"), (0.1234567, "0.123457")],
)
def test_a_number_is_told_as_it_was_typed(value: float, words: str) -> None:
    assert describe(value) == words


def test_description_lengths_are_those_of_the_shortest_spelling() -> None:
    assert description_length(0.5) == 3
    assert description_length(0.25) == 4
    assert description_length(1 / 3) == 4
    assert description_length(0.6015625) == 6
    assert description_length(0.123456789) > 50


def test_a_wide_range_of_large_numbers_needs_no_fractions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 200 to 671 some 60,000 would be weighed, each longer than any whole number there: a search that
    asks for hundreds of such ranges took minutes."""
    monkeypatch.setattr(candidates, "_fractions", lambda low, high: pytest.fail("fractions were listed"))
    assert simplest_in(200.64, 671.76, 3) == [201.0, 202.0, 203.0]


@given(st.floats(-4, 4), st.floats(1e-6, 1).map(lambda width: round(width, 6)), st.sampled_from([1, 3, 8]))
@settings(max_examples=20, deadline=None)
@example(-0.243, 0.555, 8)
def test_fractions_that_are_left_out_would_not_have_come_first(
    low: float, width: float, limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(candidates, "_shortest_fraction", lambda low, high: 0.0)
        wanted = simplest_in(low, low + width, limit)
    assert simplest_in(low, low + width, limit) == wanted
