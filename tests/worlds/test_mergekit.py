"""Weights merged by mergekit itself: the recipe is recovered, and the tool's mark is read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest

from parentage.records.report import Report
from tests.worlds.fixtures import FOLDER, audited, manifest_files, replay_of, weight_estimates, weights

TWO = {"A": 0.6, "O": 0.4}


@dataclass(frozen=True)
class Case:
    """What mergekit was asked for, and the arithmetics that its output may be ascribed to."""

    name: str
    truth: dict[str, float]
    arithmetics: frozenset[str]
    tolerance: float = 1e-4

    def audited(self) -> Report:
        """The report with the true parents, and the third model of the family as control."""
        controls = [] if "B" in self.truth else ["mergekit/B"]
        return audited(f"mergekit/{self.name}", [f"mergekit/{p}" for p in self.truth], controls)


# These weights have eight bits, as the weights of the models do: their products are exact in
# float32, so that fused, plain and float64 sums give the same bits.
UNDIVIDED = frozenset({"fp32-sum", "fp32-fma", "fp64"})
# slerp of nearly parallel tensors falls back to a lerp, (1 - t) O + t A, t rounded to float32
# first: an A with weight fl(.6) and an O with 1 - fl(.6).
CASES = (
    Case("linear", TWO, frozenset({"fp32-fma"})),
    Case("linear-0.1.4", TWO, frozenset({"mergekit-0.1.4"})),
    Case("linear-float32", TWO, frozenset({"fp32-fma"})),
    Case("linear-not-normalized", {"A": 0.6015625, "O": 0.400390625}, UNDIVIDED),
    Case("linear-three", {"A": 0.5, "B": 0.3, "O": 0.2}, frozenset({"fp32-fma"}), 0.002),
    Case("slerp", TWO, frozenset({"fp32-rest"})),
)
each_merge = pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])


@each_merge
def test_a_merge_by_mergekit_is_a_linear_merge(case: Case) -> None:
    verdict = case.audited().verdict
    assert (verdict.relation, verdict.status) == ("linear-merge", "supported")
    assert {p.name.removesuffix(".safetensors") for p in verdict.parents} == set(case.truth)


@each_merge
def test_its_weights_are_those_of_the_recipe(case: Case) -> None:
    assert weights(case.audited()) == pytest.approx(case.truth, abs=case.tolerance)


@each_merge
def test_the_intervals_of_the_weights_hold_the_recipe(case: Case) -> None:
    for name, weight in weight_estimates(case.audited()).items():
        # Rounding of the printed ends may cut a feasible point off by parts in a billion.
        assert weight.low - 1e-6 <= case.truth[name] <= weight.high + 1e-6


@each_merge
def test_every_bit_is_reproduced_and_the_tool_is_named(case: Case) -> None:
    replay = replay_of(case.audited())
    assert replay.match == 1.0
    assert replay.informative_elements > 80_000
    assert replay.arithmetic in case.arithmetics


@each_merge
def test_no_training_is_seen_where_there_was_none(case: Case) -> None:
    assert case.audited().post_training.status == "not-detected"


def test_task_arithmetic_by_mergekit_is_named_with_its_base_and_weight() -> None:
    case = Case("task-arithmetic", TWO, frozenset({"mergekit-0.1.5"}))
    report = case.audited()
    replay = replay_of(report)
    assert (report.verdict.relation, report.verdict.status) == ("task-arithmetic-merge", "supported")
    assert (replay.method, replay.match) == ("task_arithmetic", 1.0)
    assert replay.arithmetic in case.arithmetics
    assert replay.parameters["base"] == "O.safetensors"
    assert [row.get("weight") for row in replay.parameters["each"]] == [None, 0.6]
    assert report.post_training.status == "not-detected"


def test_two_versions_of_the_tool_are_told_apart_on_one_recipe() -> None:
    newer, older = (
        replay_of(audited(f"mergekit/{name}", ["mergekit/A", "mergekit/O"], ["mergekit/B"]))
        for name in ("linear", "linear-0.1.4")
    )
    assert newer.arithmetic != older.arithmetic
    # The best rival arithmetic of the older version's output is far from every bit.
    rivals = [a.match for a in older.alternatives if a.arithmetic != older.arithmetic]
    assert max(rivals) < 0.9


def test_a_merge_with_a_parent_missing_from_the_list_is_not_a_clean_merge() -> None:
    report = audited("mergekit/linear-three", ["mergekit/A", "mergekit/O"])
    clean = report.verdict.status == "supported" and report.post_training.status == "not-detected"
    assert not clean
    assert report.post_training.status != "detected"


def test_the_third_model_of_the_family_is_no_merge_of_the_others() -> None:
    report = audited("mergekit/B", ["mergekit/A", "mergekit/O"])
    assert report.verdict.relation != "linear-merge"


# In these bfloat16 crops the storage rounding of O is as large as B's whole difference to it and looks like
# a step of every model towards every other. (On the float32 originals the relation is told: test_family.)
@pytest.mark.parametrize(("child", "other"), [("A", "B"), ("B", "A")])
def test_where_rounding_hides_the_fork_nobody_but_the_base_is_called_a_parent(
    child: str, other: str
) -> None:
    verdict = audited(f"mergekit/{child}", ["mergekit/O"], [f"mergekit/{other}"]).verdict
    assert verdict.relation in ("fine-tune", "undetermined"), verdict.sentence
    assert {p.name for p in verdict.parents} <= {"O.safetensors"}


def test_every_fixture_is_the_file_that_its_script_wrote() -> None:
    listed = manifest_files()
    assert listed
    for name, pinned in listed.items():
        assert hashlib.sha256(pinned.path.read_bytes()).hexdigest() == pinned.sha256, name


def test_every_fixture_has_its_story() -> None:
    listed = manifest_files()
    folder = FOLDER
    on_disk = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    weights = {name for name in on_disk if name.endswith((".safetensors", ".gguf", ".onnx", ".bin", ".pt"))}
    assert weights <= set(listed) <= on_disk
    assert all(p.story.keys() & {"about", "kind", "how"} for p in listed.values())
