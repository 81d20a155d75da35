"""The real MiniLM family: every relation among O, A and B, their merges, and B's quiet rows."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.methods.linear import arithmetic
from parentage.numerics.storage.formats import to_float32
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.report import Report

pytestmark = pytest.mark.real


@cache
def audited(
    suspect: Path, parents: tuple[Path, ...], controls: tuple[Path, ...] = (), sample: int = 16_384
) -> Report:
    return api.audit(
        str(suspect),
        parents=[str(p) for p in parents],
        controls=[str(c) for c in controls],
        sample=sample,
        digests=False,
    ).report


def test_b_is_a_fine_tune_of_o_and_its_quiet_rows_tell_300_steps(family: Path) -> None:
    report = audited(family / "B", (family / "O",), (family / "A",))
    assert (report.verdict.relation, report.verdict.status) == ("fine-tune", "supported")
    assert [p.name for p in report.verdict.parents] == ["O"]
    assert not isinstance(report.quiet_rows, Absent)
    (quiet,) = [q for q in report.quiet_rows if q.parent == "O"]
    assert (quiet.rows, quiet.quiet_rows, quiet.exact_rows) == (30_522, 30_349, 30_349)
    assert quiet.steps == 300
    assert isinstance(quiet.schedule, str)
    assert "300 steps of a 400-step linear schedule, warm-up 100" in quiet.schedule


@pytest.mark.parametrize("order", [("O", "B"), pytest.param(("B", "O"), marks=pytest.mark.slow)])
def test_a_is_a_fine_tune_of_o_and_not_of_b(family: Path, order: tuple[str, str]) -> None:
    report = audited(family / "A", (family / order[0],), (family / order[1],))
    assert (report.verdict.relation, report.verdict.status) == ("fine-tune", "supported")
    assert [p.name for p in report.verdict.parents] == ["O"]


@pytest.mark.slow
def test_o_is_where_its_fine_tunes_part(family: Path) -> None:
    report = audited(family / "O", (family / "A", family / "B"))
    assert (report.verdict.relation, report.verdict.status) == ("shared-ancestor", "supported")
    assert {p.name for p in report.verdict.parents} == {"A", "B"}


@pytest.mark.slow
def test_two_fine_tunes_alone_are_undetermined_and_both_explanations_are_named(family: Path) -> None:
    report = audited(family / "A", (family / "B",))
    assert report.verdict.status == "undetermined"
    named = {r.relation for r in report.verdict.rivals}
    assert {"fine-tune", "shared-ancestor"} <= named


def merge(family: Path, folder: Path, dtype: DType, weight: float = 0.6) -> Path:
    """A and O blended in float32, from the numbers as they are stored, one rounding to ``dtype``."""
    rule = arithmetic("fp32-sum")
    tensors: dict[str, StoredTensor] = {}
    with open_checkpoint(family / "A") as a, open_checkpoint(family / "O") as o:
        for name, ref in a.tensors.items():
            bits = [m.read(name, 0, ref.elements) for m in (a, o)]
            if ref.dtype.is_float:
                operands = [to_float32(b, ref.dtype) for b in bits]
                blended = rule.apply((weight, 1 - weight), operands, out_dtype=dtype)
                tensors[name] = StoredTensor(dtype, tuple(ref.shape), blended)
    write_safetensors(folder / "model.safetensors", tensors, {"format": "pt"})
    return folder


@pytest.mark.parametrize("dtype", [pytest.param(d, marks=pytest.mark.slow) for d in (DType.F16, DType.F32)])
def test_a_merge_is_recovered_whatever_it_is_stored_in(family: Path, tmp_path: Path, dtype: DType) -> None:
    suspect = merge(family, tmp_path / dtype.value, dtype)
    recovers_the_merge(audited(suspect, (family / "A", family / "O"), (family / "B",)))


def recovers_the_merge(report: Report) -> None:
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    found = {p.name: p.weight for p in report.verdict.parents}
    for name, truth in (("A", 0.6), ("O", 0.4)):
        weight = found[name]
        assert not isinstance(weight, Absent)
        assert weight.low <= truth <= weight.high
        assert weight.estimate == pytest.approx(truth, abs=1e-4)
    assert not isinstance(report.replay, Absent)
    assert report.replay.match == 1.0
    assert report.post_training.status == "not-detected"


def test_a_merge_in_bf16_is_recovered_and_each_large_tensor_alone_gives_four_digits(
    family: Path, tmp_path: Path
) -> None:
    suspect = merge(family, tmp_path, DType.BF16)
    report = audited(suspect, (family / "A", family / "O"), (family / "B",), sample=65_536)
    recovers_the_merge(report)
    # The pooler is bit-equal in both parents.
    judged = [t for t in report.tensors if t.elements_examined >= 65_536 and "pooler" not in t.name]
    assert len(judged) > 30
    for tensor in judged:
        weight = tensor.weights[0]
        assert not isinstance(weight, Absent), tensor.name
        assert weight.low <= 0.6 <= weight.high, tensor.name
        assert np.ptp([weight.low, weight.high]) < 1e-3, tensor.name


@pytest.mark.slow
def test_a_model_put_together_from_two_is_told_so(family: Path, tmp_path: Path) -> None:
    tensors: dict[str, StoredTensor] = {}
    with open_checkpoint(family / "A") as a, open_checkpoint(family / "B") as b:
        for name, ref in a.tensors.items():
            source = b if ".layer.0." in name or ".layer.1." in name else a
            tensors[name] = StoredTensor(ref.dtype, tuple(ref.shape), source.read(name, 0, ref.elements))
    write_safetensors(tmp_path / "model.safetensors", tensors, {"format": "pt"})
    report = audited(tmp_path, (family / "A", family / "B"))
    assert (report.verdict.relation, report.verdict.status) == ("passthrough-merge", "supported")
    assert {p.name for p in report.verdict.parents} == {"A", "B"}
    assert len(report.verdict.parts) >= 2
