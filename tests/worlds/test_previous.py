"""A re-upload: the same bytes, the same blend, or the earlier upload plus what?"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from parentage import api
from parentage.records.absence import Absent
from parentage.records.findings import PreviousUpload
from tests.worlds.fixtures import FOLDER

RUN = FOLDER / "training-run"


def compared(suspect: Path, previous: Path) -> PreviousUpload:
    report = api.audit(
        str(suspect),
        parents=[str(RUN / "end.safetensors"), str(RUN / "base.safetensors")],
        controls=[str(RUN / "sibling-2.safetensors")],
        previous=str(previous),
        workers=1,
    ).report
    assert not isinstance(report.previous, Absent), report.previous.reason
    return report.previous


def test_the_merge_that_was_uploaded_first_and_the_trained_one_after_it_are_told_apart() -> None:
    found = compared(RUN / "merge-trained-30.safetensors", RUN / "merge.safetensors")
    assert (found.relation, found.story) == ("changed", "merge-then-changed")
    assert found.match == 1.0
    assert isinstance(found.stable_rank, float)
    assert found.stable_rank > 1.0
    assert not isinstance(found.parts, Absent)
    assert all(p.size > 0 for p in found.parts if p.component == "attention")
    assert 0.7 < found.differ / found.elements < 0.9
    assert "is that blend changed" in found.sentence


def test_the_other_way_round_the_suspect_is_the_blend_and_the_earlier_upload_is_not() -> None:
    found = compared(RUN / "merge.safetensors", RUN / "merge-trained-30.safetensors")
    assert "merge-trained-30.safetensors is not" in found.sentence
    assert found.story == "changed-then-merge"
    assert not isinstance(found.match, Absent)
    assert found.match < 0.5


def test_the_same_file_again_is_the_same_bytes(tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    shutil.copyfile(RUN / "merge.safetensors", again)
    found = compared(RUN / "merge.safetensors", again)
    assert (found.relation, found.story, found.differ) == ("same-bytes", "same-bytes", 0)
    assert isinstance(found.parts, Absent)


@pytest.mark.slow
def test_an_earlier_upload_is_never_called_a_parent() -> None:
    report = api.audit(
        str(RUN / "merge-trained-80.safetensors"),
        parents=[str(RUN / "end.safetensors"), str(RUN / "base.safetensors")],
        previous=str(RUN / "merge-trained-30.safetensors"),
        workers=1,
        digests=False,
    ).report
    assert "merge-trained-30.safetensors" not in {p.name for p in report.verdict.parents}
