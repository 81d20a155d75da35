"""Suspects that are no merge of their parents, or no trained one, are never said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.calibration.judging import false_rate
from tests.calibration.ledger import Ledger
from tests.calibration.nulls import NULL_KINDS, null_world
from tests.calibration.outcomes import NEVER_A_MERGE, false_events, outcome_of
from tests.calibration.run import audit_one
from tests.worlds.planted import audited

FALSE = ("false merge", "false training", "false clean merge")
AUDITS_OF_A_KIND = 250
# In each test run one world from drawn weights and one from real ones, of every kind.
SEEDS = (2, 3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", NULL_KINDS)
def test_no_null_world_is_called_a_merge_or_a_trained_one(kind: str, seed: int, family: Path) -> None:
    planted = null_world(kind, seed)
    outcome = outcome_of(planted.truth, audited(planted).evidence)
    assert not set(FALSE) & set(false_events(outcome)), outcome["sentence"]


def test_a_world_follows_from_its_kind_and_seed(family: Path) -> None:
    for kind in NULL_KINDS:
        first, second = (null_world(kind, 5) for _ in range(2))
        assert first.truth == second.truth
        for name, tensor in first.suspect.items():
            assert (tensor.bits == second.suspect[name].bits).all(), (kind, name)


def test_half_of_the_null_worlds_start_from_real_weights(family: Path) -> None:
    for kind in NULL_KINDS:
        assert [null_world(kind, seed).truth.real for seed in range(4)] == [False, True, False, True]


def test_an_audit_that_errs_is_counted() -> None:
    """The counters themselves: a made-up outcome of each false event."""
    says = {"status": "supported", "truth": {"supported": {"fine-tune": ("base",)}}}
    merge = {
        **says,
        "kind": "siblings",
        "relation": "linear-merge",
        "parents": {},
        "post_training": "detected",
    }
    assert false_events(merge) == ["false merge", "false training"]
    clean = {**merge, "kind": "missing-parent", "post_training": "not-detected"}
    assert false_events(clean) == ["false clean merge"]
    tune = {**merge, "relation": "fine-tune", "post_training": "undetermined", "parents": {"first": None}}
    assert false_events(tune) == ["false relation"]
    assert false_events({**tune, "parents": {"base": None}}) == []
    assert false_rate([merge, tune], ["false merge"]).count == 1


@pytest.mark.calibration
@pytest.mark.parametrize("kind", NULL_KINDS)
def test_no_audit_of_the_full_size_errs(kind: str, ledger: Ledger) -> None:
    outcomes = [audit_one(ledger, kind, seed) for seed in range(AUDITS_OF_A_KIND)]
    rate = false_rate(outcomes, FALSE)
    print(f"\n{kind}: {rate.count} of {rate.n} err, at most {rate.upper:.2%} (95 %)")
    wrong = [
        (o["seed"], false_events(o), o["variant"]) for o in outcomes if set(FALSE) & set(false_events(o))
    ]
    assert not wrong
    assert sum(o["real"] for o in outcomes) * 2 == len(outcomes)


@pytest.mark.calibration
def test_at_least_two_thousand_audits_bound_the_rate_of_false_merges(ledger: Ledger) -> None:
    outcomes = [audit_one(ledger, kind, seed) for seed in range(AUDITS_OF_A_KIND) for kind in NULL_KINDS]
    assert len(outcomes) >= 2_000
    rate = false_rate([o for o in outcomes if o["kind"] in NEVER_A_MERGE], ["false merge"])
    print(f"\nfalse merges: {rate.count} of {rate.n}, at most {rate.upper:.3%} (95 %)")
    assert rate.count == 0
    assert rate.upper < 0.0025
