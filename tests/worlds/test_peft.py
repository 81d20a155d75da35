"""A LoRA adapter merged in by peft: a fine-tune of its base, whatever else is on the table."""

from __future__ import annotations

import pytest

from parentage.records.report import Report
from tests.worlds.fixtures import audited, manifest_files

SUSPECT = "peft/lora-merged"
CHANGED = tuple(manifest_files()[f"{SUSPECT}.safetensors"].story["changed"])

one_parent_or_two = pytest.mark.parametrize(
    "parents", [("mergekit/O",), ("mergekit/O", "mergekit/A")], ids=["base", "base-and-another"]
)


def _audited(parents: tuple[str, ...]) -> Report:
    return audited(SUSPECT, parents, ["mergekit/B"])


@one_parent_or_two
def test_an_adapter_merged_in_is_no_merge_of_models(parents: tuple[str, ...]) -> None:
    assert _audited(parents).verdict.relation != "linear-merge"


@one_parent_or_two
def test_nobody_but_its_base_is_called_its_parent(parents: tuple[str, ...]) -> None:
    """A sibling with an adapter on the same tensors would share as many copies with it, and in bfloat16
    crops rounding hides the fork: a fine-tune of the base, or undetermined."""
    verdict = _audited(parents).verdict
    assert verdict.relation in ("fine-tune", "adapter-fine-tune", "undetermined")
    assert {p.name for p in verdict.parents} <= {"O.safetensors"}


def test_the_tensors_that_the_adapter_did_not_touch_are_copies() -> None:
    told = {t.name: t.relation for t in _audited(("mergekit/O",)).tensors}
    assert len(CHANGED) == 2
    for name, relation in told.items():
        assert (relation == "copy") == (name not in CHANGED), (name, relation)
