"""Words and numbers: never towards the stronger claim, never a character that hides or reorders."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentage.methods.linear import ARITHMETICS
from parentage.records.estimate import Estimate
from parentage.records.report import Verdict
from parentage.reports import meanings
from parentage.reports.meanings import MEANINGS, arithmetic_words, meaning
from parentage.reports.wording import (
    bound_text,
    clipped,
    estimate_text,
    interval_text,
    match_text,
    relation_words,
    share_text,
    visible,
)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain-name_1.weight", "plain-name_1.weight"),
        ("é and 日本 stay", "é and 日本 stay"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("safe\u202egpj.exe", "safe\\u202egpj.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("שלום", "\\u05e9\\u05dc\\u05d5\\u05dd"),
        ("blank\u3164filler", "blank\\u3164filler"),
        ("select\ufe0for", "select\\ufe0for"),
        ("\ud800", "\\ud800"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("ring\u20dd", "ring\\u20dd"),
    ],
)
def test_what_hides_or_reorders_is_written_out(name: str, shown: str) -> None:
    assert visible(name) == shown


@given(st.text())
def test_whatever_is_shown_stays_in_its_order_and_on_its_line(text: str) -> None:
    for character in visible(text):
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        assert unicodedata.bidirectional(character) not in ("R", "AL", "AN", "RLO", "RLE", "RLI")


@given(st.text(max_size=300), st.integers(3, 200))
def test_a_clipped_name_keeps_both_of_its_ends(text: str, limit: int) -> None:
    seen, shown = visible(text), clipped(text, limit)
    assert len(shown) <= limit
    if len(seen) > limit:
        head, tail = shown.split("…")[0], shown.rsplit("…", maxsplit=1)[1]
        assert seen.startswith(head)
        assert seen.endswith(tail)


@given(st.floats(0, 1))
def test_no_match_below_one_reads_as_one(match: float) -> None:
    assert (match_text(match) == "1.000000") == (match >= 1)
    assert float(match_text(match)) <= match


@given(st.floats(0, 1))
def test_a_share_reads_as_all_or_none_only_when_it_is(share: float) -> None:
    # Multiplied by 100 the largest number below 1 rounds to 100, and the smallest above 0 does not to 0.
    assert (share_text(share) == "0 %") == (share == 0)
    assert (share_text(share) == "100 %") == (share * 100 == 100)


@given(st.floats(1e-12, 1))
def test_a_bound_is_never_rounded_down(share: float) -> None:
    assert float(bound_text(share).removesuffix(" %")) / 100 >= share * (1 - 1e-8)


@given(st.floats(-2, 3), st.floats(1e-9, 1), st.floats(1e-9, 1))
def test_an_interval_is_rounded_outwards(at: float, below: float, above: float) -> None:
    estimate = Estimate(at, at - below, at + above)
    low, high = (float(end) for end in interval_text(estimate).strip("[]").split(", "))
    slack = 2e-6 * 10.0 ** -(len(estimate_text(estimate).split(".")[1]))
    assert low <= estimate.low + slack
    assert high >= estimate.high - slack


def test_every_relation_with_words_has_a_meaning() -> None:
    from parentage.reports import wording

    assert set(MEANINGS) == set(wording._RELATIONS)


def test_every_arithmetic_of_the_linear_method_is_told_in_words() -> None:
    assert set(meanings.ARITHMETICS) == {a.id for a in ARITHMETICS}
    for found in ARITHMETICS:
        assert arithmetic_words(found.id).endswith(f"({found.id})")


def test_an_unknown_relation_or_arithmetic_is_shown_and_not_explained() -> None:
    assert meaning(Verdict("telepathy-merge", "supported", "")) is None
    assert relation_words("telepathy-merge") == "telepathy merge"
    assert arithmetic_words("abacus\x1b") == "abacus\\x1b"


def test_what_is_not_settled_is_explained_as_unsettled() -> None:
    assert meaning(Verdict("linear-merge", "undetermined", "")) == MEANINGS["undetermined"]
    assert meaning(Verdict("linear-merge", "contradicted", "")) is None
