"""A miniature of Qwen3.5-MoE: fused experts in the trunk, ``mtp`` experts one by one, a part for images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.records.absence import Absent
from parentage.records.alignment import AlignmentFindings
from parentage.records.dtypes import DType
from tests.architectures.layouts import random_model, shapes_of
from tests.architectures.test_layouts import fuse_experts
from tests.worlds.planted import Model, Weights, stored, values_of
from tests.worlds.planted_merges import merged

TRUNK = "model.language_model.layers.1."
FP32 = ("A_log", "linear_attn.norm.weight")


def with_mtp(weights: Weights) -> Weights:
    """One layer more that predicts further tokens: full attention, experts one by one."""
    extra = {n.replace(TRUNK, "mtp.layers.0."): v + 0.01 for n, v in weights.items() if n.startswith(TRUNK)}
    rng = np.random.default_rng(5)
    extra |= {"mtp.fc.weight": rng.standard_normal((32, 64)), "mtp.norm.weight": rng.random(32)}
    extra |= {f"mtp.pre_fc_norm_{n}.weight": rng.random(32) for n in ("embedding", "hidden")}
    return {**weights, **extra}


def as_published(model: Model) -> Model:
    """The trunk's experts of a layer in two tensors, as the family's own checkpoints have them."""
    bits = {n: t.bits.reshape(t.shape) for n, t in model.items()}
    dtypes = {n: t.dtype for n, t in model.items()}
    return {
        n: StoredTensor(dtypes.get(n, DType.BF16), v.shape, np.ascontiguousarray(v).ravel())
        for n, v in fuse_experts(bits).items()
    }


def parents() -> tuple[Model, Model]:
    """A base and a fine-tune of it, experts one by one, a few tensors in float32."""
    rng = np.random.default_rng(0)
    root = with_mtp({n: 0.02 * v.astype(np.float64) for n, v in random_model("qwen3_5_moe").items()})
    tuned = {n: v + 4e-4 * rng.standard_normal(v.shape) for n, v in root.items()}
    return _stored(tuned), _stored(root)


def _stored(weights: Weights) -> Model:
    fine = {n: v for n, v in weights.items() if n.endswith(FP32)}
    return {**stored(weights, DType.BF16), **stored(fine, DType.F32)}


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> api.AuditResult:
    folder = tmp_path_factory.mktemp("qwen")
    a, b = parents()
    blend = merged((0.6, 0.4), (a, b), DType.BF16)
    kept = {n: t for n, t in stored(values_of(blend), DType.F32).items() if n.endswith(FP32)}
    for name, model in (("suspect", as_published({**blend, **kept})), ("a", a), ("b", as_published(b))):
        write_safetensors(folder / f"{name}.safetensors", model)
    return api.audit(
        str(folder / "suspect.safetensors"),
        parents=[str(folder / "a.safetensors"), str(folder / "b.safetensors")],
        full=True,
        digests=False,
    )


def test_the_miniature_has_the_familys_layouts() -> None:
    shapes, _ = shapes_of("qwen3_5_moe")
    names = set(as_published(parents()[0]))
    assert f"{TRUNK}mlp.experts.gate_up_proj" in names
    assert "mtp.layers.0.mlp.experts.3.up_proj.weight" in names
    assert any(n.startswith("model.visual.") for n in names & set(shapes))


def test_no_tensor_is_lost(audit: api.AuditResult) -> None:
    coverage = audit.evidence.coverage
    assert coverage.not_examined == ()
    assert coverage.tensors == coverage.tensors_examined == len(audit.evidence.tensors)
    assert all(t.present == (0, 1, 2) for t in audit.evidence.tensors)
    assert coverage.elements == coverage.elements_examined


def test_the_merge_is_told_through_both_layouts(audit: api.AuditResult) -> None:
    verdict = audit.report.verdict
    assert (verdict.relation, verdict.status) == ("linear-merge", "supported")
    found = {p.name: p.weight for p in verdict.parents}
    for name, truth in (("a.safetensors", 0.6), ("b.safetensors", 0.4)):
        weight = found[name]
        assert not isinstance(weight, Absent)
        assert weight.low <= truth <= weight.high
    assert not isinstance(audit.report.replay, Absent)
    assert audit.report.replay.match == 1.0


def test_the_evidence_says_what_was_put_together(audit: api.AuditResult) -> None:
    found = audit.evidence.alignment
    assert isinstance(found, AlignmentFindings)
    assert found.families == ("Qwen3.5-MoE",) * 3
    assert [(x.how, x.tensors) for x in found.layouts] == [
        ("put together from 4 tensors", 2),
        ("put together from 8 tensors", 2),
    ]
    assert all(x.model == 1 for x in found.layouts)
    assert found.layer_maps == ()
    assert any("put together from 8 tensors" in note for note in audit.report.notes)


def test_extra_parts_on_one_side_are_listed_with_what_they_are(tmp_path: Path) -> None:
    a, b = parents()
    bare = {n: t for n, t in b.items() if not n.startswith(("mtp.", "model.visual."))}
    write_safetensors(tmp_path / "s.safetensors", a)
    write_safetensors(tmp_path / "b.safetensors", bare)
    found = api.audit(
        str(tmp_path / "s.safetensors"), parents=[str(tmp_path / "b.safetensors")], digests=False
    )
    reasons = {n.tensor: n.reason for n in found.report.coverage.not_examined}
    assert set(reasons) == set(a) - set(bare)
    assert "predicts further tokens" in reasons["mtp.fc.weight"]
    assert "reads images" in reasons["model.visual.pos_embed.weight"]
