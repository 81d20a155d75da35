"""The parts by themselves: waits, gaps, budgets."""

from __future__ import annotations

from email.utils import formatdate
from time import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentage.checkpoints.remote.budget import Budget
from parentage.checkpoints.remote.extents import MAX_REQUEST, Extents, Memory, missing_pieces
from parentage.checkpoints.remote.http_client import origin_of
from parentage.checkpoints.remote.remote_choice import safe_name
from parentage.checkpoints.remote.remote_errors import public_address
from parentage.checkpoints.remote.retries import RetryPolicy, rate_limit_reset, retry_after
from parentage.errors import ReadError

POLICY = RetryPolicy(attempts=5, first=1.0, longest=8.0)


def test_waits_double_up_to_a_limit_with_a_jitter_that_repeats() -> None:
    for attempt in range(1, 8):
        most = min(2.0 ** (attempt - 1), 8.0)
        waits = {POLICY.wait(attempt, f"file-{k}") for k in range(200)}
        assert most / 2 <= min(waits) < 0.6 * most
        assert 0.9 * most < max(waits) < most
        assert POLICY.wait(attempt, "a") == POLICY.wait(attempt, "a")


def test_the_server_may_ask_for_a_longer_wait_not_a_shorter_one() -> None:
    assert POLICY.wait(1, "a", 50.0) == 50.0
    assert POLICY.wait(3, "a", 0.0) == POLICY.wait(3, "a")


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), (" 0 ", 0.0), (None, None), ("soon", None), ("-3", None), ("", None)]
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds
    assert 50 < (retry_after(formatdate(time() + 60, usegmt=True)) or 0) <= 60
    assert retry_after(formatdate(0)) == 0.0
    assert retry_after("9" * 4000) == 999_999_999.0


def test_a_rate_limit_says_when_its_window_ends() -> None:
    assert rate_limit_reset('"api";r=0;t=55') == 55.0
    assert rate_limit_reset('"resolvers"; r=0; t=271') == 271.0
    assert rate_limit_reset("api") is None
    assert rate_limit_reset(None) is None


SPANS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 300)), max_size=20)


@given(held=SPANS, wanted=SPANS, gap=st.integers(0, 200))
def test_what_is_held_and_what_is_fetched_cover_what_is_wanted_once(
    held: list[tuple[int, int]], wanted: list[tuple[int, int]], gap: int
) -> None:
    size = 5100
    extents = Extents(Memory(10**9), None)
    have: set[int] = set()
    for span in held:
        for start, end in missing_pieces(extents, [span], size, 0):
            extents.put(start, bytes(end - start), on_disk=False)
            assert not have & set(range(start, end))
            have |= set(range(start, end))
    pieces = missing_pieces(extents, wanted, size, gap)
    fetched = [b for start, end in pieces for b in range(start, end)]
    assert len(fetched) == len(set(fetched))
    assert not have & set(fetched)
    need = {b for o, n in wanted for b in range(o, min(o + n, size))}
    assert need <= have | set(fetched)
    assert pieces == sorted(pieces)
    # Nothing is fetched beyond what is wanted but gaps between two wanted bytes.
    for start, end in pieces:
        assert start in need
        assert end - 1 in need
        spare = [b for b in range(start, end) if b not in need]
        assert all(any(c in need for c in range(b - gap, b)) for b in spare)


def test_large_spans_are_cut() -> None:
    pieces = missing_pieces(Extents(Memory(1), None), [(5, 3 * MAX_REQUEST)], 10**9)
    assert [e - s for s, e in pieces] == [MAX_REQUEST] * 3
    assert pieces[0][0] == 5


def test_a_budget_is_kept_to_the_byte() -> None:
    budget = Budget(100, 3)
    budget.reserve(60, 1, "a")
    budget.reserve(40, 1, "a")
    with pytest.raises(ReadError) as caught:
        budget.reserve(1, 0, "a file")
    assert caught.value.code == "budget-spent"
    assert caught.value.message.startswith(
        "1 bytes in 0 requests more were asked for; 100 bytes and 2 requests"
    )
    assert caught.value.where == "a file"
    budget.give_back(10)
    budget.reserve(10, 1, "a")
    with pytest.raises(ReadError):
        budget.reserve(0, 1, "a")
    Budget(None, None).reserve(2**60, 2**40, "a")


def test_addresses_are_shown_without_what_is_secret() -> None:
    assert public_address("https://u:p@host:8/a/b?sig=x#y") == "https://host:8/a/b"
    assert origin_of("https://u@HOST:8/a") == ("https", "host:8")
    assert origin_of("http://host:8/") != origin_of("https://host:8/")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/../b", "/a", "a/", "a\\b", "a\nb", "a\x7f", "a//b", "x" * 2000]
)
def test_names_that_leave_a_folder_are_not_safe(name: str) -> None:
    assert not safe_name(name)
    assert safe_name("a/b c/ß..x")
