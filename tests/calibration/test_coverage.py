"""Intervals hold the planted weight as often as they say, whatever happened after the merge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parentage.numerics.feasible import interval
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType
from tests.calibration.intervals import covered
from tests.calibration.judging import (
    COVERED_AT_LEAST,
    COVERED_AT_MOST,
    Rate,
    coverage,
    feasible_coverage,
    interval_rows,
)
from tests.calibration.ledger import Ledger
from tests.calibration.merges import MERGE_KINDS
from tests.calibration.run import audit_one
from tests.worlds.planted_changes import CHANGES
from tests.worlds.planted_merges import ARITHMETICS

CHANGED = (*CHANGES, "real-steps", "three-changed", "wide-parents")
# Where nine elements in ten are exact they allow a range, and it always holds the weight: no interval that
# ends between two of their break points is narrower.
MOSTLY_EXACT = ("sparse-1", "sparse-10")
MERGES_OF_A_KIND = 125
PURE_MERGES = 500


@pytest.mark.parametrize("kind", ["dense", "rows", "sparse-10"])
def test_intervals_hold_the_weight_in_a_few_worlds(kind: str, family: Path) -> None:
    rate, reads = covered(kind, range(6))
    assert rate.n >= 10
    assert not rate.below(COVERED_AT_LEAST), [r for r in reads if not r.holds]


def test_a_coverage_of_four_fifths_would_be_seen() -> None:
    assert Rate(400, 500).below(COVERED_AT_LEAST)
    assert not Rate(445, 500).below(COVERED_AT_LEAST)
    assert Rate(500, 500).above(COVERED_AT_MOST)
    assert not Rate(492, 500).above(COVERED_AT_MOST)


weights = st.one_of(
    st.sampled_from([0.05, 0.25, 1 / 3, 0.5, 0.6, 0.75, 0.95]),
    st.floats(0.001, 0.999, allow_subnormal=False),
)


@settings(max_examples=200, deadline=None)
@given(
    alpha=weights,
    dtype=st.sampled_from([DType.BF16, DType.F16, DType.F32]),
    rule=st.sampled_from(sorted(ARITHMETICS)),
    relative=st.sampled_from([3e-4, 1e-3, 1e-2, 3e-2]),
    size=st.sampled_from([1e-4, 0.02, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_feasible_set_of_a_pure_merge_always_holds_its_weight(
    alpha: float, dtype: DType, rule: str, relative: float, size: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    b = to_float64(round_to(rng.normal(0.0, size, 512), dtype), dtype)
    a = to_float64(round_to(b + rng.normal(0.0, relative * size, 512), dtype), dtype)
    bits = round_to(np.asarray(ARITHMETICS[rule]((alpha, 1 - alpha), (a, b)), np.float64), dtype)
    cells = rounding_cells(bits, dtype)
    found = interval.estimate(a, b, cells.low, cells.high, cells.closed, to_float64(bits, dtype))
    if found.informative:
        assert found.consistency == 1.0
        assert found.low <= alpha <= found.high


def test_a_half_is_mostly_exact_ties_and_is_held_too() -> None:
    rng = np.random.default_rng(7)
    b = to_float64(round_to(rng.normal(0.0, 0.02, 20_000), DType.BF16), DType.BF16)
    a = to_float64(round_to(b + rng.normal(0.0, 6e-5, 20_000), DType.BF16), DType.BF16)
    mean = 0.5 * (a + b)
    bits = round_to(mean, DType.BF16)
    cells = rounding_cells(bits, DType.BF16)
    differ = a != b
    ties = ((mean == cells.low) | (mean == cells.high)) & differ
    assert np.count_nonzero(ties) > 0.35 * np.count_nonzero(differ)
    found = interval.estimate(a, b, cells.low, cells.high, cells.closed, to_float64(bits, DType.BF16))
    assert found.consistency == 1.0
    assert found.low <= 0.5 <= found.high


@pytest.mark.calibration
@pytest.mark.parametrize("kind", CHANGED)
def test_coverage_of_the_full_size_lies_in_its_band(kind: str, ledger: Ledger) -> None:
    outcomes = [audit_one(ledger, f"merge:{kind}", seed) for seed in range(MERGES_OF_A_KIND)]
    rate = coverage(interval_rows(outcomes, "likelihood", lambda r: r["passes"]))
    low, high = rate.interval
    print(f"\n{kind}: {rate.share:.3f} of {rate.n} matrices covered ({low:.3f}-{high:.3f})")
    assert rate.n >= MERGES_OF_A_KIND // 2
    assert not rate.below(COVERED_AT_LEAST)
    if kind not in MOSTLY_EXACT:
        assert not rate.above(COVERED_AT_MOST)


@pytest.mark.calibration
def test_a_thousand_changed_merges_are_planted() -> None:
    assert set(CHANGED) <= set(MERGE_KINDS)
    assert len(CHANGED) * MERGES_OF_A_KIND >= 1_000


@pytest.mark.calibration
def test_every_feasible_set_of_the_full_size_holds_its_weight(ledger: Ledger) -> None:
    outcomes = [audit_one(ledger, "merge:pure", seed) for seed in range(PURE_MERGES)]
    rate = feasible_coverage(outcomes)
    print(f"\npure merges: {rate.count} of {rate.n} feasible sets hold the weight")
    assert rate.n > PURE_MERGES
    assert rate.count == rate.n
