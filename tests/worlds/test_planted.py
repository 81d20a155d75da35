"""The planted worlds are what they claim: their truth does not rest on the code that is to find it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parentage.numerics.storage.formats import ordinal
from parentage.records.dtypes import DType
from tests.worlds.planted import matrices, stored, values_of
from tests.worlds.planted_bases import RUN_FOLDER, family_pieces, run_pieces, synthetic_base
from tests.worlds.planted_changes import (
    CHANGES,
    change_after,
    fine_tune,
    moved_by_steps,
    off_share,
    sibling_tunes,
)
from tests.worlds.planted_merges import FOREIGN, merged, truncated
from tests.worlds.planted_runs import simulate_run


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def _relative(after: np.ndarray, before: np.ndarray) -> float:
    return float(np.linalg.norm(after - before) / np.linalg.norm(before))


def test_fine_tunes_move_weights_by_a_tenth_of_a_percent_to_three(rng: np.random.Generator) -> None:
    base = synthetic_base(rng)
    for _ in range(10):
        tuned = fine_tune(rng, base)
        moved = [_relative(tuned[n], base[n]) for n in matrices(base)]
        assert max(moved) <= 0.031
        assert any(m >= 9e-4 for m in moved)


def test_siblings_share_the_cosine_that_was_asked_for(rng: np.random.Generator) -> None:
    base = synthetic_base(rng, count=4, size=16_000)
    first, second = sibling_tunes(rng, base, 2, 0.5)
    cosines = []
    for name in matrices(base):
        a, b = (t[name].ravel() - base[name].ravel() for t in (first, second))
        if a.any() and b.any():
            cosines.append(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    assert np.median(cosines) == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("dtype", [DType.BF16, DType.F16])
@pytest.mark.parametrize("share", [0.01, 0.48])
def test_a_sparse_change_moves_its_share_by_one_to_three_steps(
    rng: np.random.Generator, dtype: DType, share: float
) -> None:
    model = stored(synthetic_base(rng, count=4, size=16_000), dtype)
    moved = moved_by_steps(rng, model, share)
    for name in matrices(model):
        steps = np.abs(ordinal(moved[name].bits, dtype) - ordinal(model[name].bits, dtype))
        assert set(np.unique(steps)) <= {0, 1, 2, 3}
        assert np.mean(steps > 0) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("kind", ["dense", "t3", "rows", "low-rank"])
def test_a_later_change_has_the_size_that_was_asked_for(rng: np.random.Generator, kind: str) -> None:
    model = stored(synthetic_base(rng, count=4, size=16_000), DType.BF16)
    after = values_of(change_after(rng, model, kind, 0.05))
    before = values_of(model)
    for name in matrices(model):
        typical = np.median(np.abs(after[name] - before[name])) / np.std(before[name])
        assert 0.4 < typical / (0.6745 * 0.05) < 1.7


def test_one_layer_means_one_matrix(rng: np.random.Generator) -> None:
    model = stored(synthetic_base(rng), DType.BF16)
    after = change_after(rng, model, "one-layer", 0.01)
    assert sum((after[n].bits != model[n].bits).any() for n in model) == 1
    assert "one-layer" in CHANGES


def test_the_share_off_the_merge_counts_where_the_parents_differ(rng: np.random.Generator) -> None:
    base = synthetic_base(rng, count=4)
    a, b = stored(fine_tune(rng, base), DType.BF16), stored(base, DType.BF16)
    merge = merged((0.5, 0.5), (a, b), DType.BF16)
    assert off_share(merge, merge, a, b) == 0.0
    assert 0.05 < off_share(merge, moved_by_steps(rng, merge, 0.1), a, b) < 0.15


def test_a_run_moves_by_its_size_and_its_checkpoints_lie_on_the_way(rng: np.random.Generator) -> None:
    base = synthetic_base(rng, count=4)
    run = simulate_run(rng, base, (0.5,), size=0.01, dtype=DType.F32)
    for name in matrices(base):
        whole = _relative(run.checkpoints[1.0][name], base[name])
        half = _relative(run.checkpoints[0.5][name], base[name])
        assert 0.002 < half < whole < 0.05


def test_truncation_never_stores_a_larger_number(rng: np.random.Generator) -> None:
    weights = synthetic_base(rng)
    for name, value in values_of(truncated(weights, DType.BF16)).items():
        assert (np.abs(value) <= np.abs(weights[name])).all()
        assert (np.abs(value - weights[name]) < 0.01 * np.abs(weights[name])).all()


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_a_foreign_arithmetic_stays_near_its_blend_and_differs_from_the_plain_one(
    rng: np.random.Generator, name: str
) -> None:
    base = synthetic_base(rng, count=4)
    kept = [stored(w, DType.BF16) for w in (fine_tune(rng, base, size=0.02), base)]
    a, b = (values_of(m) for m in kept)
    odd = values_of(FOREIGN[name](rng, 0.6, a, b, DType.BF16))
    plain = values_of(merged((0.6, 0.4), kept, DType.BF16))
    assert any((odd[n] != plain[n]).any() for n in matrices(base))
    for n in matrices(base):
        assert _relative(odd[n], plain[n]) < 0.03


def test_pieces_of_the_family_are_cut_from_the_same_places(rng: np.random.Generator, family: Path) -> None:
    pieces = family_pieces(rng, elsewhere=True)
    for name in matrices(pieces["O"]):
        o, a, other = (pieces[m][name].ravel() for m in ("O", "A", "other"))
        assert np.corrcoef(o, a)[0, 1] > 0.99
        assert abs(np.corrcoef(o, other)[0, 1]) < 0.2


def test_pieces_of_the_real_run_are_the_fixtures_own_numbers(rng: np.random.Generator) -> None:
    assert (RUN_FOLDER / "end.safetensors").exists()
    pieces = run_pieces(rng, ("base", "end", "merge"))
    for name in matrices(pieces["base"]):
        blend = np.float32(0.6) * pieces["end"][name].astype(np.float32)
        blend = blend + np.float32(0.4) * pieces["base"][name].astype(np.float32)
        again = values_of(stored({name: blend.astype(np.float64)}, DType.BF16))[name]
        assert (again == pieces["merge"][name]).all()
