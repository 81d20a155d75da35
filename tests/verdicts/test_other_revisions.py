"""A merge of another revision of a parent is no merge that was trained later.

The saved evidence is that of a merge made from step 360 of a real run and audited with the run's end:
``python -m tests.calibration.run --show other-revision 8019``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from parentage.records.absence import Absent
from parentage.records.evidence import Evidence
from parentage.records.evidence_checks import read_evidence
from parentage.records.report import PostTraining
from parentage.verdicts.judge import judge

SAVED = Path(__file__).parent / "saved/other-revision.evidence.json"
REVISION = "another revision of a parent"


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return read_evidence(json.loads(SAVED.read_text()))


def asked(evidence: Evidence) -> tuple[PostTraining, str | Absent]:
    """What is said of a later change, and why another revision is excluded."""
    found = judge(evidence).post_training
    assert isinstance(found, PostTraining)
    return found, next(r.why_excluded for r in found.rivals if r.cause == REVISION)


def test_matrices_that_look_like_a_revision_are_asked_beside_those_that_do_not(evidence: Evidence) -> None:
    """Two of four matrices pass as changed later, by 30 in log-likelihood; the other two say a revision,
    by 36."""
    found, why = asked(evidence)
    assert found.status == "undetermined"
    assert isinstance(why, Absent)
    assert "over 4 matrices" in why.reason


def test_without_those_matrices_a_later_change_would_have_been_found(evidence: Evidence) -> None:
    """So it is they that exclude it."""
    left = ("embed_positions", "mlp.up_proj")
    tensors = tuple(t for t in evidence.tensors if not any(name in t.name for name in left))
    replays = tuple(
        replace(r, tensors=tuple(t for t in r.tensors if not any(name in t.name for name in left)))
        for r in evidence.replays
    )
    found, why = asked(replace(evidence, tensors=tensors, replays=replays))
    assert (found.status, isinstance(why, str)) == ("detected", True)
