"""A real training run: what imitates a merge is not called one, and a merge trained on is found."""

from __future__ import annotations

import pytest

from tests.worlds.fixtures import audited, replay_of, weight_estimates, weights

RUN = "training-run"
PARENTS = (f"{RUN}/end", f"{RUN}/base")
CONTROL = (f"{RUN}/sibling-2",)

# (suspect, parents, controls): nothing here was ever blended.
IMITATORS = [
    ("ema", ("end", "base"), ("sibling-2",)),
    ("trained-on", ("end", "base"), ("sibling-2",)),
    ("sibling-1", ("end", "sibling-2"), ()),
]
# The same without a control, and with other models of the run as parents.
MORE_IMITATORS = [
    ("step-360", ("end", "base"), ("sibling-2",)),
    ("base", ("end", "sibling-1"), ("sibling-2",)),
    ("step-200", ("end", "base"), ("sibling-2",)),
    ("sibling-1", ("end", "base"), ("sibling-2",)),
    ("end", ("trained-on", "base"), ("sibling-1",)),
    ("sibling-2", ("end", "base"), ("sibling-1",)),
    ("step-200", ("end", "base"), ()),
    ("step-360", ("end", "base"), ()),
    ("ema", ("end", "base"), ()),
    ("ema", ("end", "step-200"), ()),
    ("ema", ("end", "sibling-1"), ("sibling-2",)),
    ("step-360", ("end", "step-200"), ()),
    ("step-360", ("end", "sibling-1"), ()),
    ("step-200", ("step-360", "base"), ()),
    ("end", ("step-200", "trained-on"), ()),
    ("end", ("sibling-1", "sibling-2"), ()),
    ("base", ("end", "sibling-1", "sibling-2"), ()),
    ("ema", ("end", "step-200", "base"), ()),
    ("sibling-1", ("end", "sibling-2", "base"), ()),
]


def _id(case: tuple[str, tuple[str, ...], tuple[str, ...]]) -> str:
    suspect, parents, controls = case
    return f"{suspect}-of-{'-'.join(parents)}{'-controlled' if controls else ''}"


def _is_no_merge(case: tuple[str, tuple[str, ...], tuple[str, ...]]) -> None:
    suspect, parents, controls = case
    report = audited(f"{RUN}/{suspect}", [f"{RUN}/{p}" for p in parents], [f"{RUN}/{c}" for c in controls])
    assert report.verdict.relation != "linear-merge", report.verdict.sentence
    assert report.post_training.status != "detected"


@pytest.mark.parametrize("case", IMITATORS, ids=_id)
def test_no_checkpoint_average_or_sibling_is_called_a_merge(
    case: tuple[str, tuple[str, ...], tuple[str, ...]],
) -> None:
    _is_no_merge(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", MORE_IMITATORS, ids=_id)
def test_nor_with_other_parents_or_without_a_control(
    case: tuple[str, tuple[str, ...], tuple[str, ...]],
) -> None:
    _is_no_merge(case)


def test_a_sibling_trained_on_the_same_text_makes_no_false_ancestor() -> None:
    """Both moved alike, so the three part at a point that is no model: it must not be made one."""
    verdict = audited(f"{RUN}/end", [f"{RUN}/base"], [f"{RUN}/sibling-1"]).verdict
    assert verdict.relation in ("fine-tune", "undetermined"), verdict.sentence
    assert {p.name for p in verdict.parents} <= {"base.safetensors"}
    if verdict.status == "undetermined":
        assert {"fine-tune", "shared-ancestor"} <= {r.relation for r in verdict.rivals}


def test_without_a_third_model_it_is_a_fine_tune_or_undetermined() -> None:
    verdict = audited(f"{RUN}/end", [f"{RUN}/base"]).verdict
    assert verdict.relation in ("fine-tune", "undetermined"), verdict.sentence


def test_a_merge_of_the_end_and_the_base_is_found_and_untrained() -> None:
    report = audited(f"{RUN}/merge", PARENTS, CONTROL)
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    assert weights(report) == pytest.approx({"end": 0.6, "base": 0.4}, abs=1e-4)
    assert replay_of(report).match == 1.0
    assert report.post_training.status == "not-detected"


# The "alike" ones were trained on a text like the fine-tune's, so that their change leans towards ``end``
# (correlation .13 to .62 with the parents' difference in each matrix): with no room for a drift each matrix
# of ``merge-trained-alike-30`` reads .62 to .70.
TRAINED = (
    "merge-trained-30",
    "merge-trained-80",
    "merge-trained-alike-30",
    "merge-trained-alike-lightly",
)


@pytest.mark.parametrize(
    "suspect", [TRAINED[0], *(pytest.param(t, marks=pytest.mark.slow) for t in TRAINED[1:])]
)
def test_a_merge_that_was_trained_is_found_with_its_weights_and_its_training(suspect: str) -> None:
    report = audited(f"{RUN}/{suspect}", PARENTS, CONTROL)
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    assert weights(report) == pytest.approx({"end": 0.6, "base": 0.4}, abs=0.005)
    assert report.post_training.status == "detected"
    for name, weight in weight_estimates(report).items():
        assert weight.low <= {"end": 0.6, "base": 0.4}[name] <= weight.high


@pytest.mark.parametrize(
    "suspect", [TRAINED[0], *(pytest.param(t, marks=pytest.mark.slow) for t in TRAINED[1:])]
)
def test_the_recipe_that_is_replayed_is_the_one_in_the_verdict(suspect: str) -> None:
    replay = replay_of(audited(f"{RUN}/{suspect}", PARENTS, CONTROL))
    assert replay.parameters["weights"] == pytest.approx([0.6, 0.4], abs=0.005)
