"""Which claims a supported relation excludes: a false contradiction is a false accusation."""

from __future__ import annotations

import pytest

from parentage.records.relations import RELATIONS
from parentage.verdicts.beside.claims import contradicts

LATER = ("detected", "not-detected", "undetermined")
MERGES = [r for r in RELATIONS if r.endswith("-merge") and r != "passthrough-merge"]


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("relation", RELATIONS)
def test_no_relation_contradicts_itself_or_is_contradicted_by_not_knowing(
    relation: str, later: str
) -> None:
    assert not contradicts(relation, later, relation)
    assert not contradicts("undetermined", later, relation)
    assert not contradicts("same-run-checkpoint", later, relation)


@pytest.mark.parametrize("claim", MERGES)
@pytest.mark.parametrize("later", LATER)
def test_a_linear_merge_leaves_every_rule_open_that_can_give_one(claim: str, later: str) -> None:
    assert not contradicts("linear-merge", later, claim)


@pytest.mark.parametrize("claim", ["fine-tune", "adapter-fine-tune"])
def test_training_is_contradicted_by_a_merge_only_when_nothing_came_after(claim: str) -> None:
    assert [contradicts("linear-merge", later, claim) for later in LATER] == [False, True, False]


@pytest.mark.parametrize("relation", ["copy", "cast-copy", "linear-merge", "fine-tune", "shared-ancestor"])
def test_what_shares_weights_is_not_independent(relation: str) -> None:
    assert contradicts(relation, "undetermined", "independent")


@pytest.mark.parametrize("claim", ["copy", "cast-copy", "quantized-copy"])
def test_a_copy_may_be_called_a_copy_in_any_format(claim: str) -> None:
    assert not contradicts("copy", "undetermined", claim)
    assert not contradicts("cast-copy", "undetermined", claim)


@pytest.mark.parametrize("claim", MERGES)
def test_a_change_of_one_parent_may_be_a_merge_with_one_that_was_not_listed(claim: str) -> None:
    assert not contradicts("fine-tune", "undetermined", claim)
