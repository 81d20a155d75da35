"""Parents published in float32, their merge in 16 bits: as stored or cast first, and what came after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from tests.calibration.merges import merge_world
from tests.calibration.nulls import null_world
from tests.worlds.planted import Truth, World, audited, stored, values_of
from tests.worlds.planted_bases import family_pieces
from tests.worlds.planted_changes import change_and_size
from tests.worlds.planted_merges import merged


@pytest.mark.parametrize("cast", [pytest.param(None, marks=pytest.mark.slow), DType.BF16])
@pytest.mark.parametrize("alpha", [0.5, 0.6])
def test_a_change_of_a_merge_of_wide_parents_is_detected(
    alpha: float, cast: DType | None, family: Path
) -> None:
    """At a half every element whose parents a cast makes one step apart is consistent with anything."""
    rng = np.random.default_rng(11)
    wide = {n: stored(w, DType.F32) for n, w in family_pieces(rng, count=3, size=6_000).items()}
    seen = wide if cast is None else {n: stored(values_of(m), cast) for n, m in wide.items()}
    merge = merged((alpha, 1 - alpha), (seen["A"], seen["O"]), DType.BF16)
    suspect, size = change_and_size(rng, merge, "dense", 1e-3)
    world = World(suspect, (("A", wide["A"]), ("O", wide["O"])), (), Truth("wide", "", 0, True))
    report = audited(world).report
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    assert report.post_training.status == "detected"
    first = report.verdict.parents[0].weight
    assert not isinstance(first, Absent)
    assert abs(first.estimate - alpha) <= 0.005
    assert not isinstance(report.post_training.sigma_relative, Absent)
    assert size is not None
    assert abs(report.post_training.sigma_relative.estimate - size) <= 0.1 * size


@pytest.mark.parametrize(
    "seed", [10, pytest.param(4, marks=pytest.mark.slow), pytest.param(21, marks=pytest.mark.slow)]
)
def test_a_half_of_wide_parents_is_read_in_planted_worlds(seed: int, family: Path) -> None:
    world = merge_world("wide-parents", seed)
    assert world.truth.weights["first"] == 0.5
    report = audited(world).report
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    assert report.post_training.status == "detected"


def test_an_average_of_checkpoints_in_float32_is_no_merge(family: Path) -> None:
    """Its numbers lie on 16-bit grids by themselves; asked under every cast, one passed for a blend."""
    report = audited(null_world("run-average", 247)).report
    assert (report.verdict.relation, report.verdict.status) != ("linear-merge", "supported")
