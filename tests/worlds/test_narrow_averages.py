"""A mean of 16-bit checkpoints that is published in 32 bits is no merge of the run's ends."""

from __future__ import annotations

import numpy as np
import pytest

from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.verdicts.blends.blend_tests import passes_later_change
from tests.calibration.nulls import null_world
from tests.worlds.planted import Truth, World, audited, stored, values_of
from tests.worlds.planted_bases import synthetic_base
from tests.worlds.planted_runs import simulate_run


@pytest.mark.parametrize("seed", [9366, pytest.param(10028, marks=pytest.mark.slow)])
def test_a_mean_of_checkpoints_in_16_bits_is_not_called_a_merge_in_32(seed: int) -> None:
    """9366 was: three of four of its numbers lie on the grid of bfloat16, where all its checkpoints agree,
    and each of them spoke for a blend that rounds to that grid."""
    found = audited(null_world("run-average", seed))
    assert (found.report.verdict.relation, found.report.verdict.status) != ("linear-merge", "supported")
    reasons = {
        m.comparison.reason
        for t in found.evidence.tensors
        for m in t.mixtures
        if m.subject == 0 and isinstance(m.comparison, Absent)
    }
    assert any("as in a mean of" in reason for reason in reasons)


def test_a_decaying_average_over_many_checkpoints_in_16_bits_passes_in_no_matrix() -> None:
    """Its weights are no equal fractions: that some numbers lie on the narrower grid must not lead."""
    rng = np.random.default_rng(4)
    base, kept_at = synthetic_base(rng), tuple(np.linspace(0.6, 0.96, 12))
    run = simulate_run(rng, base, kept_at, size=5e-3)
    kept = [values_of(stored(run.checkpoints[f], DType.BF16)) for f in kept_at]
    weights = 0.7 ** np.arange(12)[::-1]
    mean = {n: sum(w * k[n] for w, k in zip(weights / weights.sum(), kept, strict=True)) for n in base}
    suspect, end, first = (stored(m, DType.F32) for m in (mean, run.checkpoints[1.0], base))
    truth = Truth("run-average", "decaying average of 12 checkpoints", 4, False)
    found = audited(World(suspect, (("end", end), ("base", first)), (), truth))
    compared = [
        m.comparison
        for t in found.evidence.tensors
        for m in t.mixtures
        if m.subject == 0 and not isinstance(m.comparison, Absent)
    ]
    assert compared
    assert not any(passes_later_change(c) for c in compared)
    assert found.report.verdict.status == "undetermined"
