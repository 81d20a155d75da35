"""What must be seen is seen: recipes of pure merges, and what happened to merges afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from tests.calibration.judging import Rate, interval_rows
from tests.calibration.ledger import Ledger
from tests.calibration.merges import merge_world
from tests.calibration.outcomes import Outcome, is_found, outcome_of, worst_weight
from tests.calibration.run import audit_one
from tests.worlds.planted import Truth, World, audited, stored
from tests.worlds.planted_bases import synthetic_base
from tests.worlds.planted_changes import CHANGES, fine_tune
from tests.worlds.planted_merges import merged

MERGES_OF_A_KIND = 125
# Some changed merges stay undetermined: the smallest changes of the smallest worlds do.
FOUND_AT_LEAST = 0.85
# Of a few thousand elements, one percent is a few dozen: too few to tell when they moved. Of one matrix in
# four that changed, there is no second to ask.
DETECTED_AT_LEAST = {"sparse-1": 0.2, "one-layer": 0.5}


def _one(kind: str, seed: int) -> Outcome:
    planted = merge_world(kind, seed)
    return outcome_of(planted.truth, audited(planted).evidence)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_pure_merge_is_recovered_to_the_last_bit(seed: int, family: Path) -> None:
    outcome = _one("pure-large", seed)
    assert is_found(outcome), outcome["sentence"]
    assert outcome["replay"]["match"] == 1.0
    assert outcome["post_training"] == "not-detected"
    large = interval_rows([outcome], "feasible", lambda r: r["informative"] >= 20_000)
    assert all(abs(r["estimate"] - r["alpha"]) <= 1e-4 for r in large)
    assert all(r["low"] <= r["alpha"] <= r["high"] for r in interval_rows([outcome], "feasible"))


def _small_delta_world() -> World:
    """Deltas of .3 %, at which a regression reads far more than .60."""
    rng = np.random.default_rng(60)
    base = synthetic_base(rng, count=4, size=24_000)
    kept = [stored(w, DType.BF16) for w in (fine_tune(rng, base, size=1.6e-3), base)]
    truth = Truth("merge:pure", "least squares reads .8", 60, False, weights={"first": 0.6, "second": 0.4})
    suspect = merged((0.6, 0.4), kept, DType.BF16)
    return World(suspect, (("first", kept[0]), ("second", kept[1])), (), truth)


def test_where_least_squares_reads_four_fifths_the_weight_is_read_as_three_fifths() -> None:
    planted = _small_delta_world()
    result = audited(planted)
    outcome = outcome_of(planted.truth, result.evidence)
    regressions = [r["least_squares"] for r in outcome["tensors"] if r["matrix"]]
    assert max(regressions) > 0.7
    assert worst_weight(outcome) <= 1e-4
    assert outcome["replay"]["match"] == 1.0
    assert not isinstance(result.report.replay, Absent)


# Seed 1 of low-rank holds .93 of one parent under a change that drowns the rest, seed 2 changed so little
# that a revision of a parent is not excluded: undetermined, rightly.
@pytest.mark.parametrize(("kind", "seed"), [("dense", 1), ("rows", 1), ("sparse-10", 1), ("low-rank", 3)])
def test_a_merge_that_was_changed_is_found_with_its_weight(kind: str, seed: int, family: Path) -> None:
    outcome = _one(kind, seed)
    assert is_found(outcome), outcome["sentence"]
    assert outcome["post_training"] == "detected"
    assert worst_weight(outcome) <= 0.02


# Of 82 two parents lie near one another, of 85 one has a tenth: as long as only sizes are looked at and not
# the grid, a pair and a change explain either as well as three do.
@pytest.mark.parametrize("seed", [82, 85])
def test_a_share_of_a_third_parent_does_not_pass_for_a_change(seed: int, family: Path) -> None:
    outcome = _one("three-changed", seed)
    assert is_found(outcome), outcome["sentence"]
    assert set(outcome["parents"]) == set(outcome["truth"]["weights"])
    ends = {n: outcome["parents"][n][1:] for n in outcome["truth"]["weights"]}
    assert all(low <= outcome["truth"]["weights"][n] <= high for n, (low, high) in ends.items())


def test_where_no_matrix_tells_two_from_three_neither_is_said(family: Path) -> None:
    outcome = _one("three-changed", 76)
    assert not is_found(outcome), outcome["sentence"]


def test_a_model_that_is_listed_and_has_no_share_is_left_out(family: Path) -> None:
    planted = merge_world("dense", 11)
    listed = replace(planted, parents=(*planted.parents, *planted.controls), controls=())
    outcome = outcome_of(listed.truth, audited(listed).evidence)
    assert is_found(outcome), outcome["sentence"]
    assert len(listed.parents) == 3
    assert set(outcome["parents"]) == set(outcome["truth"]["weights"])
    assert outcome["post_training"] == "detected"


def _outcomes(ledger: Ledger, kind: str, count: int = MERGES_OF_A_KIND) -> list[Outcome]:
    return [audit_one(ledger, f"merge:{kind}", seed) for seed in range(count)]


@pytest.mark.calibration
def test_every_pure_merge_is_recovered(ledger: Ledger) -> None:
    outcomes = [*_outcomes(ledger, "pure", 500), *_outcomes(ledger, "pure-large")]
    assert all(is_found(o) for o in outcomes)
    assert not any(o["post_training"] == "detected" for o in outcomes)
    # A float32 matrix whose parents are a few steps apart has a wide set: its weight is the replay's, and a
    # weight that nobody would type is not replayed in every bit of 32.
    narrow = [o for o in outcomes if o["truth"]["notes"]["dtype"] != "F32"]
    assert all(o["replay"]["match"] == 1.0 and o["post_training"] == "not-detected" for o in narrow)
    large = interval_rows(narrow, "feasible", lambda r: r["informative"] >= 20_000)
    assert len(large) > 100
    # A few thousand elements allow a range of some 1e-4.
    assert all(worst_weight(o) <= (1e-4 if o["kind"] == "merge:pure-large" else 1e-3) for o in outcomes)
    assert all(abs(r["estimate"] - r["alpha"]) <= 1e-4 for r in large)


@pytest.mark.calibration
def test_three_parents_are_read_to_two_thousandths(ledger: Ledger) -> None:
    outcomes = _outcomes(ledger, "pure-three")
    found = [o for o in outcomes if is_found(o)]
    print(f"\nthree parents: {len(found)} of {len(outcomes)} found")
    assert not Rate(len(found), len(outcomes)).below(FOUND_AT_LEAST)
    assert all(worst_weight(o) <= 0.002 for o in found)


def _central(outcome: Outcome) -> bool:
    """No parent has less than a tenth, and the change leaves a grid to be seen."""
    truth = outcome["truth"]
    inside = all(0.1 < w < 0.9 for w in truth["weights"].values())
    return inside and (truth["sigma"] or 0.0) <= 3e-3


@pytest.mark.calibration
@pytest.mark.parametrize("kind", [*CHANGES, "real-steps", "three-changed", "wide-parents"])
def test_later_changes_are_found(kind: str, ledger: Ledger) -> None:
    outcomes = [o for o in _outcomes(ledger, kind) if _central(o)]
    found = [o for o in outcomes if is_found(o)]
    detected = [o for o in found if o["post_training"] == "detected"]
    print(f"\n{kind}: {len(found)} found, {len(detected)} detected, of {len(outcomes)}")
    assert not Rate(len(found), len(outcomes)).below(FOUND_AT_LEAST)
    assert not Rate(len(detected), len(outcomes)).below(DETECTED_AT_LEAST.get(kind, 0.8))
    # No parent is left out, even where its share would pass for a change of the others' blend.
    assert all(set(o["parents"]) == set(o["truth"]["weights"]) for o in found)
    limit = 0.02 if kind == "real-steps" else 0.005
    told = [o for o in found if all(o["parents"].get(n) for n in o["truth"]["weights"])]
    close = sum(worst_weight(o) <= limit for o in told)
    assert not Rate(close, len(told)).below(0.95)
