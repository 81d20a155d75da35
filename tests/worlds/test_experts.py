"""A merge whose experts lie in fused tensors: how many were looked at, and which were trained."""

from __future__ import annotations

import numpy as np
import pytest

from parentage.records.dtypes import DType
from parentage.records.report import ExpertsSeen
from parentage.reports.changes import experts_text
from tests.worlds.planted import Model, Truth, World, audited, stored
from tests.worlds.planted_merges import merged

EXPERTS = 12
UP = "model.layers.{}.mlp.experts.gate_up_proj"
DOWN = "model.layers.{}.mlp.experts.down_proj"


def _parents() -> list[Model]:
    rng = np.random.default_rng(1)
    shapes = {DOWN.format(k): (EXPERTS, 32, 24) for k in range(2)}
    shapes |= {UP.format(k): (EXPERTS, 48, 32) for k in range(2)}
    shapes |= {f"model.layers.{k}.self_attn.q_proj.weight": (64, 64) for k in range(2)}
    base = {n: 0.02 * rng.standard_normal(s) for n, s in shapes.items()}
    tuned = {n: v + 4e-4 * rng.standard_normal(v.shape) for n, v in base.items()}
    return [stored(tuned, DType.BF16), stored(base, DType.BF16)]


def _report(suspect: Model, parents: list[Model]) -> ExpertsSeen:
    world = World(suspect, (("A", parents[0]), ("B", parents[1])), (), Truth("experts", "", 0, False))
    report = audited(world).report
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    assert isinstance(report.post_training.experts, ExpertsSeen)
    return report.post_training.experts


def test_untouched_experts_are_counted() -> None:
    parents = _parents()
    seen = _report(merged((4 / 7, 3 / 7), parents, DType.BF16), parents)
    assert (seen.layers, seen.experts, seen.examined, seen.changed) == (2, 2 * EXPERTS, 2 * EXPERTS, ())
    assert experts_text(seen).endswith("none has a number off the replay")


@pytest.mark.slow
def test_experts_that_were_trained_after_the_merge_are_named() -> None:
    parents = _parents()
    suspect = merged((4 / 7, 3 / 7), parents, DType.BF16)
    for layer, expert in ((0, 3), (1, 11)):
        tensor = suspect[DOWN.format(layer)]
        each = 32 * 24
        tensor.bits[expert * each : (expert + 1) * each : 5] += np.uint16(1)
    seen = _report(suspect, parents)
    assert seen.changed == ((0, 3), (1, 11))
    assert "2 have numbers off the replay: 3 of layer 0, 11 of layer 1" in experts_text(seen)
