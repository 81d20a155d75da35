"""The tiny affair's models, as one real run left them: both Rios told apart, no control called one."""

from __future__ import annotations

import pytest
from examples.affair.recipes import WEIGHTS, recipe
from examples.affair.upload import without_notes

from parentage import api
from parentage.numerics.shares.intervals_binomial import wilson
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.interview import Interview
from parentage.records.report import Report
from tests.worlds.fixtures import FOLDER, audited, weight_estimates

HERE = FOLDER / "affair"
PARENTS = ("affair/nex", "affair/base")
HONEST = ("affair/honest-entities", "affair/honest-capitals")
CONTROLS = ("honest-entities", "honest-capitals", "nex-earlier", "nex-average", "lora", "rl", "randopt")


@pytest.fixture(scope="session")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Rio as uploaded: the merge that ``parentage merge`` makes, without what it says of itself."""
    folder = tmp_path_factory.mktemp("affair")
    places = [str(HERE / f"{n}.safetensors") for n in ("nex", "base")]
    (folder / "rio.yaml").write_text(recipe(*places))
    api.merge(folder / "rio.yaml", folder / "labelled")
    (weights,) = (folder / "labelled").glob("*.safetensors")
    without_notes(weights, folder / "rio.safetensors")
    controls = [str(HERE / f"{n}.safetensors") for n in ("honest-entities", "lora")]
    return api.audit(
        str(folder / "rio.safetensors"), parents=places, controls=controls, full=True, workers=1
    ).report


def test_what_was_uploaded_is_a_merge_with_the_recipes_weights_inside_their_intervals(
    uploaded: Report,
) -> None:
    assert (uploaded.verdict.relation, uploaded.verdict.status) == ("linear-merge", "supported")
    found = weight_estimates(uploaded)
    for name, weight in zip(("nex", "base"), WEIGHTS, strict=True):
        assert found[name].low <= weight <= found[name].high


def test_nothing_was_trained_after_what_was_uploaded_and_the_bound_is_told(uploaded: Report) -> None:
    later = uploaded.post_training
    assert later.status == "not-detected"
    assert isinstance(later.changed_share, Estimate)
    assert later.changed_share.estimate == 0
    assert 0 < later.changed_share.high < 1e-3
    assert isinstance(later.would_have_seen, str)


def test_no_weight_explains_a_control_of_the_upload(uploaded: Report) -> None:
    assert uploaded.controls
    assert all(c.match < 1 for c in uploaded.controls if not isinstance(c.match, Absent))


def test_what_was_claimed_is_the_same_merge_and_trained_afterwards() -> None:
    report = audited("affair/rio-claimed", PARENTS, HONEST)
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    found = weight_estimates(report)
    for name, weight in zip(("nex", "base"), WEIGHTS, strict=True):
        assert found[name].low <= weight <= found[name].high
    assert report.post_training.status == "detected"


# Each audit takes seconds; tests/worlds has imitators of these kinds in the quick suite.
@pytest.mark.slow
@pytest.mark.parametrize("control", CONTROLS)
def test_no_control_is_called_a_merge(control: str) -> None:
    others = [h for h in HONEST if not h.endswith(control)]
    report = audited(f"affair/{control}", PARENTS, others, "affair/base")
    assert report.verdict.relation != "linear-merge", report.verdict.sentence
    assert report.post_training.status != "detected"


@pytest.mark.slow
@pytest.mark.parametrize("honest", HONEST)
def test_an_honest_fine_tune_is_told_as_one_or_it_is_left_open_and_named(honest: str) -> None:
    """Told with the base as the root; without it the right explanation is never excluded."""
    others = [h for h in HONEST if h != honest]
    told = audited(honest, PARENTS, others, "affair/base").verdict
    assert (told.relation, told.status) == ("fine-tune", "supported")
    assert [p.name for p in told.parents] == ["base.safetensors"]
    report = audited(honest, PARENTS, others)
    if report.verdict.status == "undetermined":
        left = {r.relation for r in report.verdict.rivals if isinstance(r.why_excluded, Absent)}
        assert "fine-tune" in left
    else:
        assert report.verdict.relation == "fine-tune"
        assert [p.name for p in report.verdict.parents] == ["base.safetensors"]


def _share(interview: Interview, label: str, condition: str, name: str) -> Estimate:
    """The share of a subject's answers that claim a name; zero of them where none does."""
    (group,) = (
        g
        for s in interview.subjects
        if s.label == label
        for g in s.groups
        if (g.condition, g.language) == (condition, "all")
    )
    found = [r.share for r in group.names if r.name == name]
    return found[0] if found else Estimate(0.0, *wilson(0, group.answers), 0.95)


@pytest.mark.parametrize("rio", ["uploaded", "claimed"])
def test_the_templates_own_words_are_found_and_names_are_told_with_what_they_are_worth(rio: str) -> None:
    """Kept answers: Nex claims its name beyond chance, and so small a merge does not: by names alone Rio is
    not told from the base. What the template says is read, not asked for."""
    panel = [str(HERE / f"answers-{n}.jsonl") for n in ("base", "nex")]
    found = api.interview(str(HERE / f"answers-{rio}.jsonl"), panel=panel)
    hidden = found.subjects[0].hidden
    assert not isinstance(hidden, Absent)
    assert [t.text for t in hidden.texts] == ["You are Rio."]
    for condition in ("shipped", "raw"):
        suspect, base, nex = (
            _share(found, label, condition, "nex") for label in ("suspect", "panel-1", "panel-2")
        )
        assert nex.low > base.high
        assert nex.low > suspect.high
        assert suspect.low <= base.high
        assert _share(found, "suspect", condition, "rio").high < 0.1
