"""A merge that was stored in 16 bits, changed in 32 and published so is read on the grid of its storage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import write_safetensors
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.estimate import Estimate
from tests.calibration.merges import merge_world
from tests.calibration.nulls import null_world
from tests.calibration.wide import changed_in_32
from tests.worlds.planted import World, audited, stored
from tests.worlds.planted_bases import synthetic_base
from tests.worlds.planted_changes import fine_tune
from tests.worlds.planted_merges import merged


@pytest.mark.parametrize("seed", [2, pytest.param(8, marks=pytest.mark.slow)])
def test_the_share_that_was_changed_in_32_bits_is_told(seed: int) -> None:
    """2: a tenth of the numbers, of float16; 8: rows, of bfloat16. In float32 no replay would match."""
    world = merge_world("wide-suspect", seed)
    report = audited(world).report
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    for parent in report.verdict.parents:
        weight = world.truth.weights[parent.name.removesuffix(".safetensors")]
        assert not isinstance(parent.weight, Absent)
        assert parent.weight.low <= weight <= parent.weight.high
    after = report.post_training
    assert after.status == "detected"
    assert not isinstance(after.changed_share, Absent)
    assert world.truth.changed is not None
    assert after.changed_share.low <= world.truth.changed <= after.changed_share.high


def test_a_merge_computed_and_stored_in_32_bits_is_replayed_in_32(tmp_path: Path) -> None:
    """At one half, a third of its numbers lie on the grid of its parents by chance."""
    rng = np.random.default_rng(5)
    base = synthetic_base(rng)
    kept = {n: stored(w, DType.BF16) for n, w in (("base", base), ("tuned", fine_tune(rng, base)))}
    suspect = merged((0.5, 0.5), (kept["tuned"], kept["base"]), DType.F32)
    for name, model in {**kept, "suspect": suspect}.items():
        write_safetensors(tmp_path / f"{name}.safetensors", model)
    paths = {n: str(tmp_path / f"{n}.safetensors") for n in ("suspect", "tuned", "base")}
    report = api.audit(paths["suspect"], parents=[paths["tuned"], paths["base"]], workers=1).report
    assert not isinstance(report.replay, Absent)
    assert report.replay.match == 1.0
    assert report.post_training.status == "not-detected"


def test_a_blend_published_wider_falls_into_no_parts(family: Path) -> None:
    """Taken for float32, no linear recipe gave its whole tensors, and parts by odd rules did."""
    report = audited(null_world("float32-merge", 209)).report
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    weights = {p.name: p.weight for p in report.verdict.parents}
    assert {n: round(w.estimate, 4) for n, w in weights.items() if isinstance(w, Estimate)} == {
        "A.safetensors": 0.95,
        "B.safetensors": 0.05,
    }


def test_the_full_pass_counts_such_a_suspect_as_its_sample_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    base = synthetic_base(rng)
    kept = {n: stored(w, DType.BF16) for n, w in (("base", base), ("tuned", fine_tune(rng, base)))}
    merge = merged((0.25, 0.75), (kept["tuned"], kept["base"]), DType.BF16)
    suspect, _ = changed_in_32(rng, merge, "some-10", 3e-3)
    for name, model in {**kept, "suspect": suspect}.items():
        write_safetensors(tmp_path / f"{name}.safetensors", model)
    paths = {n: str(tmp_path / f"{n}.safetensors") for n in ("suspect", "tuned", "base")}
    found = [
        api.audit(
            paths["suspect"], parents=[paths["tuned"], paths["base"]], workers=1, digests=False, full=full
        )
        for full in (False, True)
    ]
    sampled, full = (next(r for r in f.evidence.replays if r.subject == 0) for f in found)
    assert not sampled.full
    assert full.full
    counts = [
        [
            (t.name, t.examined, t.matches, t.informative, t.informative_matches, t.offsets)
            for t in r.tensors
        ]
        for r in (sampled, full)
    ]
    assert counts[0] == counts[1]
    off = 1 - full.informative_matches / full.informative
    assert off == pytest.approx(0.1, abs=0.01)


def test_where_nothing_lies_on_a_narrower_grid_nothing_is_read_on_one(family: Path) -> None:
    """Float32 parents, and a suspect that is a fine-tune of one of them: no blend in 16 bits is seen."""
    rng = np.random.default_rng(11)
    base = synthetic_base(rng)
    models = {"base": base, "first": fine_tune(rng, base), "suspect": fine_tune(rng, base)}
    kept = {n: stored(w, DType.F32) for n, w in models.items()}
    world = World(kept["suspect"], (("first", kept["first"]), ("base", kept["base"])), (), _TRUTH)
    found = audited(world)
    assert found.report.verdict.relation != "linear-merge"
    for replay in found.evidence.replays:
        assert replay.informative_matches == 0


_TRUTH = merge_world("pure", 0).truth
