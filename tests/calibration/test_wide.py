"""What suspects in float32 are made of: how much of them lies on the grid they were stored on before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parentage.numerics.storage.formats import quantize
from parentage.records.dtypes import DType
from tests.calibration.merges import merge_world
from tests.calibration.nulls import null_world
from tests.calibration.outcomes import false_events
from tests.calibration.wide import WIDE_CHANGES, changed_in_32, in_float32
from tests.worlds.planted import Model, stored, values_of
from tests.worlds.planted_bases import synthetic_base

# Share of the numbers that stay on the grid of bfloat16.
STAY = {"dense": 0.0, "t3": 0.0, "some-50": 0.5, "some-10": 0.9, "some-1": 0.99}


def _on_grid(model: Model) -> float:
    values = np.concatenate([v.ravel() for v in values_of(model).values() if v.ndim == 2])
    return float(np.mean(quantize(values, DType.BF16) == values))


@pytest.mark.parametrize("change", WIDE_CHANGES)
def test_a_change_in_32_bits_leaves_the_other_numbers_where_they_were(change: str) -> None:
    rng = np.random.default_rng(3)
    model = stored(synthetic_base(rng), DType.BF16)
    after, size = changed_in_32(rng, model, change, 1e-3)
    assert in_float32(after)
    stay = _on_grid(after)
    if change in STAY:
        assert stay == pytest.approx(STAY[change], abs=0.02)
    else:
        assert 0.3 < stay < 0.99
    assert (size is not None) == (change in ("dense", "t3"))
    assert size is None or 0.5e-3 < size < 3e-3


def test_every_form_of_null_suspect_in_float32_is_drawn(family: Path) -> None:
    drawn = [null_world("float32", seed) for seed in range(16)]
    assert {w.truth.variant.split(":")[0] for w in drawn} == {"drawn", "cast", "partly", "mean"}
    assert all(in_float32(w.suspect) for w in drawn)
    partly = [_on_grid(w.suspect) for w in drawn if w.truth.variant.startswith("partly")]
    assert all(0.3 < share < 1.0 for share in partly)
    assert any(0.05 < _on_grid(w.suspect) < 1.0 for w in drawn if w.truth.variant.startswith("mean"))
    merges = [null_world("float32-merge", seed) for seed in range(8)]
    assert all(in_float32(w.suspect) for w in merges)


def test_merges_of_another_kind_than_what_they_are_told_as_are_counted_as_that_kind() -> None:
    clean = {
        "kind": "float32-merge",
        "relation": "linear-merge",
        "status": "supported",
        "post_training": "not-detected",
        "replay": {"match": 0.9},
        "parents": {},
        "truth": {"notes": {"of": "missing-parent"}, "supported": {}},
    }
    assert false_events(clean) == ["false clean merge"]
    assert false_events({**clean, "truth": {"notes": {"of": "untrained-merge"}, "supported": {}}}) == []


def test_a_merge_that_was_changed_in_32_bits_is_off_its_grid_where_it_changed(family: Path) -> None:
    for seed in range(6):
        world = merge_world("wide-suspect", seed)
        assert in_float32(world.suspect)
        assert world.truth.change in WIDE_CHANGES
        assert world.truth.changed is not None
        assert 0.0 < world.truth.changed <= 1.0
