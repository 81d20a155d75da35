"""Null suspects that were once told to be what they are not, by their saved evidence.

``python -m tests.calibration.run --show KIND SEED``: other-fine-tune 8075 and 8108, untrained-merge 8070,
earlier-checkpoint 11068.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from parentage.records.absence import Absent
from parentage.records.evidence import Evidence
from parentage.records.evidence_checks import read_evidence
from parentage.records.report import Report
from parentage.verdicts.judge import judge
from parentage.verdicts.readings import AT_FORK, Readings

SAVED = Path(__file__).parent / "saved"


def evidence(name: str) -> Evidence:
    return read_evidence(json.loads((SAVED / f"{name}.evidence.json").read_text()))


def test_a_sibling_that_kept_the_common_parents_rows_is_no_parent() -> None:
    """9 of 16 of its embedding rows, shrunk by weight decay, are the suspect's; so are the parent's own,
    which was not given. The other matrices put the sibling beside the fork."""
    found = judge(evidence("sibling-with-quiet-rows"))
    assert found.verdict.status == "undetermined"
    assert not isinstance(found.quiet_rows, Absent)
    assert any(q.exact_rows for q in found.quiet_rows)


def test_without_a_third_model_the_rows_alone_name_no_model_but_such_a_one() -> None:
    given = evidence("sibling-with-quiet-rows")
    named = given.quiet_rows[0].model
    report = judge(_of_one(given, named))
    assert (report.verdict.relation, report.verdict.status) == ("fine-tune", "supported")
    assert "or of a model with the same embedding rows" in report.verdict.sentence
    assert any("without a third model" in limit for limit in report.verdict.limits)
    assert "Absent(" not in repr(
        [r.why_excluded for r in report.verdict.rivals if isinstance(r.why_excluded, str)]
    )


def _of_one(given: Evidence, named: int) -> Evidence:
    """The same where no matrix has the other model: nothing can be said of a fork."""
    tensors = tuple(
        replace(
            t,
            present=tuple(k for k in t.present if k == named),
            mixtures=(),
            weights=(),
            spectra=(),
        )
        for t in given.tensors
    )
    return replace(given, tensors=tensors, sweeps=(), replays=())


def test_blends_with_weights_by_tensor_are_a_linear_merge_and_no_other_method() -> None:
    """Changes of one of the two models from the other, added with a weight of its own in each tensor, are
    the same, bit for bit."""
    report: Report = judge(evidence("weight-by-tensor"))
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    assert "0.66 to 0.77 of B.safetensors and 0.23 to 0.34 of A.safetensors" in report.verdict.sentence


def test_a_slightly_trained_sibling_is_no_parent_where_one_of_two_relatives_says_so() -> None:
    """It moved by a fifth of what the suspect did: beside one relative its branch passes for none, beside
    the other not."""
    given = evidence("slightly-trained-sibling")
    readings = Readings(given)
    assert [readings.name(k) for k in readings.related] == [
        f"{name}.safetensors" for name in ("second", "control", "first")
    ]
    sibling, control, first = readings.related
    beside = [readings.triangle(sibling, other) for other in (control, first)]
    assert [t is not None and t.first.least <= AT_FORK for t in beside] == [True, False]
    assert judge(given).verdict.status == "undetermined"


def test_a_checkpoint_before_a_model_is_no_fine_tune_of_it_by_what_rounding_leaves_over() -> None:
    """A state at 97 % of a run, rounded to 16 bits: rounding makes 99 % of its branch from the run's end,
    and what is left of that, within chance, looks like a training from there."""
    given = evidence("rounded-checkpoint")
    readings = Readings(given)
    assert [readings.name(k) for k in readings.related] == ["end.safetensors", "base.safetensors"]
    triangle = readings.triangle(*readings.related)
    assert triangle is not None
    assert triangle.first.least <= AT_FORK < triangle.suspect.least < 0.02 * triangle.suspect.raw
    assert judge(given).verdict.status == "undetermined"
