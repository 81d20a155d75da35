"""One weight for all tensors, or a course of its own by component or depth: told as it was planted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.report import Heterogeneity, Report

LAYERS = 6
ROLES = ("self_attn.q_proj", "mlp.up_proj")
SHAPE = (48, 64)
Course = Callable[[int, str], float]


def _stored(values: np.ndarray) -> StoredTensor:
    return StoredTensor(DType.BF16, values.shape, round_to(values.ravel(), DType.BF16))


def _name(layer: int, role: str) -> str:
    return f"model.layers.{layer}.{role}.weight"


def _audited(folder: Path, course: Course) -> Report:
    rng = np.random.default_rng(1)
    base = {_name(k, r): rng.normal(0, 0.02, SHAPE) for k in range(LAYERS) for r in ROLES}
    tune = {n: v + rng.normal(0, 4e-4, SHAPE) for n, v in base.items()}
    parents = [{n: _stored(v) for n, v in model.items()} for model in (tune, base)]
    merge = {}
    for layer in range(LAYERS):
        for role in ROLES:
            name, w = _name(layer, role), course(layer, role)
            a, b = (to_float64(p[name].bits, DType.BF16).astype(np.float32) for p in parents)
            total = np.float32(w) * a + np.float32(1 - w) * b
            merge[name] = _stored(total.astype(np.float64).reshape(SHAPE))
    places = [folder / f"{n}.safetensors" for n in ("merge", "A", "B")]
    for place, model in zip(places, (merge, *parents), strict=True):
        write_safetensors(place, model)
    return api.audit(str(places[0]), parents=[str(p) for p in places[1:]]).report


@pytest.mark.parametrize(
    ("pattern", "course", "told"),
    [
        ("one-weight", lambda k, r: 0.6, "One weight fits every tensor"),
        ("by-component", lambda k, r: 0.3 if "attn" in r else 0.7, "0.3 in attention and 0.7 in mlp"),
        ("gradient", lambda k, r: 0.2 + 0.12 * k, "rises evenly with depth, from 0.2 in layer 0 to 0.8"),
        pytest.param(
            "gradient",
            lambda k, r: 0.9 - 0.16 * k,
            "falls evenly with depth, from 0.9 in layer 0 to 0.1",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "by-depth",
            lambda k, r: (0.1, 0.5, 0.2, 0.9, 0.4, 0.4)[k],
            "0.1 in layer 0, 0.5 in layer 1",
            marks=pytest.mark.slow,
        ),
        (
            "by-component-and-depth",
            lambda k, r: 0.2 + 0.12 * k if "attn" in r else 0.5,
            "from 0.2 in layer 0 to 0.8 in layer 5 in attention and is 0.5 in mlp",
        ),
        (
            "by-tensor",
            lambda k, r: (0.1, 0.5, 0.2, 0.9, 0.4, 0.3)[k] * (1.0 if "attn" in r else 0.7),
            "differs from tensor to tensor",
        ),
    ],
)
def test_the_course_of_the_weight_is_told(pattern: str, course: Course, told: str, tmp_path: Path) -> None:
    report = _audited(tmp_path, course)
    found = report.heterogeneity
    assert isinstance(found, Heterogeneity)
    assert (found.pattern, report.verdict.relation) == (pattern, "linear-merge")
    assert told in found.sentence
    planted = [course(k, r) for k in range(LAYERS) for r in ROLES]
    assert found.low == pytest.approx(min(planted), abs=1e-6)
    assert found.high == pytest.approx(max(planted), abs=1e-6)
    weight = report.verdict.parents[0].weight
    assert not isinstance(weight, Absent)
    assert weight.low - 1e-6 <= min(planted) <= max(planted) <= weight.high + 1e-6
    if pattern != "one-weight":
        assert f"{min(planted):.4g} to {max(planted):.4g} of A" in report.verdict.sentence
