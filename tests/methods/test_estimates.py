"""What explains a merge of thinned task vectors, read from planted merges and from what is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parentage.methods.estimates.masks import Kept, by_rank, by_size, rank_in_row
from parentage.methods.estimates.participation import Parts, added, averaged, outcomes
from parentage.methods.estimates.randomness import covariance, randomness
from parentage.methods.estimates.ratios import peak, ratios
from parentage.methods.estimates.structures import (
    Structure,
    Told,
    kept_by,
    outcomes_of,
    structures,
    told_by,
)
from parentage.records.dtypes import DType
from tests.methods.thinned import family, finetuned, parts_of, planted

BOTH = pytest.mark.parametrize("dtype", [DType.BF16, DType.F32])
HALF, THIRD = {"weight": 0.6, "density": 0.5}, {"weight": 0.3, "density": 0.3}
SIZES = (1.0, 0.4)


def explaining(parts: Parts) -> tuple[Structure, Told] | None:
    """The first structure that explains every element that tells."""
    for found in structures(parts):
        told = told_by(parts, found, outcomes_of(parts, found))
        if told.told == told.explained > 0:
            return found, told
    return None


def test_a_ratio_that_is_shared_stands_out_and_one_that_is_not_does_not() -> None:
    draws = np.random.default_rng(3)
    d = draws.normal(0, 1, 4000)
    change = np.where(draws.random(4000) < 0.05, 0.7 * d, draws.normal(0, 1, 4000))
    found = peak(*ratios(d, change - 1e-4, change + 1e-4, 2.0**-24))
    assert found is not None
    assert found.low <= 0.7 <= found.high
    assert 150 < found.count < 260
    alone = draws.normal(0, 1, 4000)
    assert peak(*ratios(d, alone - 1e-4, alone + 1e-4, 2.0**-24)) is None


def test_the_sets_of_two_parents_are_worked_out_by_hand() -> None:
    assert added((2.0, 3.0)).tolist() == [[0, 0], [2, 0], [0, 3], [2, 3]]
    assert np.allclose(averaged((3.0, 1.0), 2.0), [[0, 0], [2, 0], [0, 2], [1.5, 0.5]])
    base, deltas = np.array([1.0, 1.0, 1.0]), np.array([[0.25, 0.25, 0.0], [0.5, 0.5, 0.5]])
    stored = np.array([1.25, 1.8, 1.5])
    parts = Parts(base, deltas, stored - 1e-3, stored + 1e-3, DType.F32, 2.0**-24)
    found = outcomes(parts, added((1.0, 1.0)))
    assert found.explained.tolist() == [True, False, True]
    # The third element: the first parent did not move it, and is in no set.
    assert found.sets()[[0, 2]].tolist() == [1, 2]


@BOTH
@pytest.mark.parametrize(
    ("name", "averages", "elected", "shared"),
    [
        ("ties", True, True, {}),
        ("ties", False, True, {"normalize": False}),
        ("dare_linear", False, False, {}),
        ("dare_ties", True, True, {"normalize": True}),
        ("breadcrumbs", False, False, {}),
    ],
)
def test_how_task_vectors_were_put_together_is_told(
    name: str, averages: bool, elected: bool, shared: dict[str, Any], dtype: DType
) -> None:
    reader = family(SIZES, dtype)
    parts = parts_of(reader, planted(name, reader, (HALF, THIRD), **shared))
    explained = explaining(parts)
    assert explained is not None
    found, told = explained
    assert (found.averages, told.elected) == (averages, elected)
    if found.shares is not None:
        assert abs(found.shares[0] - 2 / 3) < 0.01
    if name == "breadcrumbs" or shared == {"normalize": False}:
        assert np.allclose(found.lone, (0.6, 0.3), rtol=0.01)


@BOTH
def test_what_is_no_such_merge_is_explained_by_no_sets(dtype: DType) -> None:
    reader = family(SIZES, dtype)
    for bits in (
        finetuned(reader),
        finetuned(reader, share=0.02),
        finetuned(reader, of=1, size=0.5),
        finetuned(reader, of=1, size=0.5, share=0.3),
        planted("task_arithmetic", reader, ({"weight": 0.6}, {"weight": 0.4}), normalize=True),
    ):
        parts = parts_of(reader, bits)
        explained = explaining(parts)
        if explained is not None:
            # Weights that explain all: then no parent was thinned out.
            found, told = explained
            outcome = outcomes_of(parts, found)
            kept = [kept_by(parts, found, outcome, j, elected=told.elected) for j in range(2)]
            assert not any(k.dropped.any() and k.kept.any() for k in kept)


@BOTH
def test_the_largest_elements_stay_in_ties_and_both_tails_go_in_breadcrumbs(dtype: DType) -> None:
    reader = family(SIZES, dtype)
    n = reader.elements
    for name, first, last in (("ties", n - int(0.5 * n), n), ("breadcrumbs", None, n - int(0.1 * n))):
        rows = ({**HALF, "gamma": 0.1}, {**THIRD, "gamma": 0.1}) if name == "breadcrumbs" else (HALF, THIRD)
        parts = parts_of(reader, planted(name, reader, rows))
        explained = explaining(parts)
        assert explained is not None
        found, told = explained
        kept = kept_by(parts, found, outcomes_of(parts, found), 0, elected=told.elected)
        window = by_size(kept)
        assert window is not None
        bottom = n - int(0.5 * n) - int(0.1 * n) if first is None else first
        assert window.first[0] <= bottom <= window.first[1]
        assert window.last[0] <= last <= window.last[1]
        assert window.open_above is (name == "ties")


@BOTH
def test_chance_and_rank_are_told_apart(dtype: DType) -> None:
    reader = family((1.0,), dtype)
    row = reader.shape[-1]
    for name, more, epsilon in (("dare_linear", {}, 0.0), ("della_linear", {"epsilon": 0.2}, 0.2)):
        parts = parts_of(reader, planted(name, reader, ({**HALF, **more},)))
        explained = explaining(parts)
        assert explained is not None
        found, told = explained
        kept = kept_by(parts, found, outcomes_of(parts, found), 0, elected=told.elected)
        assert by_size(kept) is None
        spread = by_rank(kept, rank_in_row(kept.size, row))
        assert spread is not None
        assert spread.density[1] <= 0.5 <= spread.density[2]
        assert spread.epsilon[1] <= epsilon <= spread.epsilon[2]
        assert (spread.epsilon[1] > 0) is (epsilon > 0)


def masks(rule: Any, n: int = 20_480) -> tuple[Kept, Any]:
    """A mask over numbers with ranks: element i stays where ``rule(rank, i, uniform)``."""
    draws = np.random.default_rng(5)
    ranks = draws.random(n)
    kept = rule(ranks, np.arange(n), draws.random(n))
    return Kept(ranks, kept, ~kept, np.ones(n, np.bool_)), ranks


def test_chance_passes_every_test_of_chance() -> None:
    known, ranks = masks(lambda rank, i, u: u < 0.4 + 0.1 * (2 * rank - 1))
    spread = by_rank(known, ranks)
    assert spread is not None
    assert spread.density[1] <= 0.4 <= spread.density[2]
    assert 0 < spread.epsilon[1] <= 0.1 <= spread.epsilon[2]
    found = randomness([known], [ranks], [256], spread)
    assert found.trials == 20_480
    assert min(found.ranks, found.neighbours) > 1e-3


@pytest.mark.parametrize(
    ("rule", "uneven"),
    [
        (lambda rank, i, u: rank > 0.45 + 0.1 * u, "ranks"),
        (lambda rank, i, u: (i // 256) % 2 == 0, "neighbours"),
        (lambda rank, i, u: u < np.where((i // 256) % 2 == 0, 0.45, 0.55), "neighbours"),
    ],
)
def test_what_is_not_chance_fails_the_test_of_what_it_follows(rule: Any, uneven: str) -> None:
    known, ranks = masks(rule)
    spread = by_rank(known, ranks)
    assert spread is not None
    found = randomness([known], [ranks], [256], spread)
    assert getattr(found, uneven) < 1e-6


def test_two_masks_that_are_one_are_dependent() -> None:
    known, ranks = masks(lambda rank, i, u: u < 0.4)
    other, _ = masks(lambda rank, i, u: np.random.default_rng(8).random(i.size) < 0.4)
    p = np.full(ranks.size, 0.4)
    total, variance = covariance(known, known, p, p)
    assert total > 20 * variance**0.5
    total, variance = covariance(known, other, p, p)
    assert abs(total) < 5 * variance**0.5


def test_equal_magnitudes_share_their_rank() -> None:
    ranks = rank_in_row(np.array([3.0, 1.0, 1.0, 2.0, 2.0, 2.0, 0.0, 5.0]), 4)
    assert np.allclose(ranks, [1.0, 1 / 6, 1 / 6, 2 / 3, 0.5, 0.5, 0.0, 1.0])
