"""A model that is known to be what the others were made from gives the tree of distances its root."""

from __future__ import annotations

from pathlib import Path

import pytest

from parentage import api
from parentage.records.absence import Absent
from parentage.verdicts.dossier.scale import confidence_of_verdict
from parentage.verdicts.judge import judge
from parentage.verdicts.readings import Readings
from parentage.verdicts.relations.between import weigh_between
from parentage.verdicts.relations.rooted import weigh_descent
from parentage.verdicts.weighing import Status
from tests.verdicts.directions import evidence_of, rooted, slight
from tests.worlds.fixtures import FOLDER, audited

OWN = 1e-3


def test_a_slight_fine_tune_beside_a_far_one_is_told_once_the_root_is_known() -> None:
    verdict = judge(rooted(slight(0.06), "base")).verdict
    assert (verdict.relation, verdict.status) == ("fine-tune", "supported")
    assert [p.name for p in verdict.parents] == ["base"]
    assert "as one on the way to nex would be" in verdict.sentence
    assert "that the others were made from base was given as known" in verdict.sentence
    assert any("was given as known and not examined" in limit for limit in verdict.limits)
    assert verdict.given == ("the others were made from base",)
    (share,) = (limit for limit in verdict.limits if limit.startswith("A little of another model"))
    assert 0.0024 <= float(share.split("up to ")[1].split(" of nex")[0]) < 0.004
    excluded = {r.relation for r in verdict.rivals if not isinstance(r.why_excluded, Absent)}
    assert {"linear-merge", "shared-ancestor"} <= excluded
    assert judge(slight(0.06)).verdict.status == "undetermined"


@pytest.mark.parametrize("share", [0.08, 0.2, 0.5])
def test_a_trained_blend_with_a_share_of_a_parent_is_no_fine_tune_of_the_root(share: float) -> None:
    far = 25 * OWN
    suspect = {"own": OWN, "far": share * far}
    evidence = rooted(evidence_of({"suspect": suspect, "base": {}, "nex": {"far": far}}), "base")
    assert judge(evidence).verdict.relation != "fine-tune"
    assert judge(evidence).verdict.status == "undetermined"


@pytest.mark.parametrize(("share", "told"), [(0.15, True), (0.35, False)])
def test_what_a_control_and_the_suspect_have_in_common_is_told_or_is_too_much(
    share: float, told: bool
) -> None:
    lean = {"own": OWN, "control": share * OWN}
    models = {"suspect": lean, "base": {}, "nex": {"far": 25 * OWN}, "control": {"control": OWN}}
    verdict = judge(rooted(evidence_of(models, controls=("control",)), "base")).verdict
    assert (verdict.status == "supported") is told
    if told:
        assert "up to 0.16 of control cannot be excluded" in verdict.sentence
        left = {r.relation for r in verdict.rivals if isinstance(r.why_excluded, Absent)}
        assert "linear-merge" in left


def test_the_same_towards_a_parent_that_was_named_is_left_open() -> None:
    lean = {"own": OWN, "sister": 0.15 * OWN}
    models = {"suspect": lean, "base": {}, "nex": {"far": 25 * OWN}, "sister": {"sister": OWN}}
    assert judge(rooted(evidence_of(models), "base")).verdict.status == "undetermined"


def test_what_its_own_rounding_may_have_moved_is_not_told() -> None:
    evidence = rooted(slight(0.06), "base", finer=True)
    found = weigh_descent(Readings(evidence))
    assert found is None or found.status is not Status.SUPPORTED
    assert judge(evidence).verdict.relation != "fine-tune"


def test_a_root_that_is_not_the_nearest_tells_nothing_of_the_nearest() -> None:
    """The suspect is a slight change of nex, and base the root: what moved from nex is not told by it."""
    models = {"suspect": {"far": 25 * OWN, "own": OWN}, "base": {}, "nex": {"far": 25 * OWN}}
    free, known = (judge(e).verdict for e in (evidence_of(models), rooted(evidence_of(models), "base")))
    assert (free.relation, free.status) == (known.relation, known.status)


def test_a_state_between_root_and_another_is_one_of_a_training_from_the_root() -> None:
    evidence = slight(0.7)
    free, known = weigh_between(Readings(evidence)), weigh_between(Readings(rooted(evidence, "base")))
    assert free is not None
    assert known is not None
    assert known.status is Status.UNDETERMINED
    assert "from one of nex and base to the other" in dict(free.live)["same-run-checkpoint"]
    assert "from base to nex" in dict(known.live)["same-run-checkpoint"]
    assert "base that moved as nex was moved" in dict(known.live)["fine-tune"]


def test_a_state_beside_the_line_is_a_look_alike_of_one_once_the_root_is_known() -> None:
    early = {"early": 0.024}
    models = {"checkpoint": {**early, "own": 0.0048}, "nex": {**early, "late": 0.018}, "base": {}}
    free, known = (judge(e).verdict for e in (evidence_of(models), rooted(evidence_of(models), "base")))
    assert (free.relation, free.status) == ("undetermined", "undetermined")
    assert (known.relation, known.status) == ("same-run-checkpoint", "undetermined")
    assert known.sentence.startswith("checkpoint lies beside the line from base to nex")
    assert "a training from base to nex" in known.sentence
    assert {r.relation for r in known.rivals} >= {"linear-merge", "shared-ancestor"}


def test_evidence_with_a_root_is_verified_with_it(tmp_path: Path) -> None:
    places = [str(FOLDER / f"training-run/{n}.safetensors") for n in ("sibling-1", "end", "base")]
    result = api.audit(places[0], parents=places[1:], root=places[2], sample=512, workers=1)
    assert result.evidence.used["root"] == 2
    api.save_evidence(result.evidence, tmp_path / "evidence.json")
    assert api.verify(tmp_path / "evidence.json", workers=1).holds


def test_a_change_that_goes_on_beyond_its_parent_is_named_as_such() -> None:
    """Policy gradient from a teacher went on a little as the teacher had come: which is older is open."""
    far = 100 * OWN
    models = {"suspect": {"far": 1.0006 * far, "own": OWN}, "base": {}, "teacher": {"far": far}}
    verdict = judge(evidence_of(models)).verdict
    assert verdict.status == "undetermined"
    assert "it lies beyond teacher as seen from base" in verdict.sentence
    left = {r.relation for r in verdict.rivals if isinstance(r.why_excluded, Absent)}
    assert {"fine-tune", "same-run-checkpoint", "shared-ancestor"} <= left


def test_a_real_fine_tune_that_leans_is_told_with_the_root() -> None:
    """Trained by transformers and torch on other texts than nex; a cosine of .11 had left it open."""
    free = audited("affair/honest-entities", ("affair/nex", "affair/base"))
    assert free.verdict.status == "undetermined"
    report = audited("affair/honest-entities", ("affair/nex", "affair/base"), (), "affair/base")
    assert (report.verdict.relation, report.verdict.status) == ("fine-tune", "supported")
    assert [p.name for p in report.verdict.parents] == ["base.safetensors"]
    assert report.asked["root"].endswith("base.safetensors")
    assert confidence_of_verdict(report).grade == "not-graded"
    plain = audited("affair/honest-capitals", ("affair/nex", "affair/base"), (), "affair/base")
    assert plain.verdict.status == "supported"
    assert confidence_of_verdict(plain).grade == "moderate"


@pytest.mark.parametrize(
    ("suspect", "parents", "root"),
    [
        ("training-run/merge", ("training-run/end", "training-run/base"), "training-run/base"),
        ("training-run/merge-trained-80", ("training-run/end", "training-run/base"), "training-run/base"),
        ("mergekit/linear", ("mergekit/A", "mergekit/B", "mergekit/O"), "mergekit/O"),
    ],
)
def test_a_real_merge_is_a_merge_with_the_root_known_too(
    suspect: str, parents: tuple[str, ...], root: str
) -> None:
    """A run's end blended with its base by torch, then trained; and a merge by mergekit of real weights."""
    known, free = (audited(suspect, parents, (), r).verdict for r in (root, None))
    assert (known.relation, known.status) == ("linear-merge", "supported")
    assert known == free
