"""Whole steps before a blend or after it: which are likelier, on planted steps of either kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize

from parentage.evidence.replaying.later_change import measure_revision_leads
from parentage.evidence.replaying.replays import Operands, Recipe
from parentage.methods.linear import arithmetic
from parentage.numerics.deciding.revision import (
    MOST_STEPS,
    either_way,
    reach_before,
    step_log_likelihood,
)
from parentage.numerics.storage.formats import from_ordinal, ordinal, round_to, to_float64
from parentage.records.dtypes import DType

Bits = NDArray[np.unsignedinteger]
N = 6_000


@given(st.floats(1e-3, 1.5))
def test_steps_before_reach_as_far_as_steps_after_or_as_far_as_is_worth_the_time(weight: float) -> None:
    before = reach_before(weight)
    assert 1 <= before <= 64
    assert before == 64 or before * weight >= 2 * MOST_STEPS - 1e-6


@given(st.integers(1, 20), st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=8), st.floats(-2.0, 2.0))
def test_no_step_beyond_those_given_leads_to_where_offsets_are_told_apart(
    most: int, places: list[float], weight: float
) -> None:
    """Whatever a parent's steps are worth and wherever in its cell an element lies: a step more than are
    given never comes back within the reach."""

    def offsets(steps: int) -> NDArray[np.int64]:
        k = np.arange(-steps, steps + 1)[:, None]
        here = np.array(places)[None, :]
        return np.asarray(np.floor(weight * k + here) - np.floor(here), dtype=np.int64)

    reach = either_way(offsets(most))
    beyond = np.abs(offsets(4 * most))[np.abs(np.arange(-4 * most, 4 * most + 1)) > most]
    assert np.all((reach >= -1) & (reach <= MOST_STEPS))
    assert np.all(beyond > reach[None, :])


def _moved(bits: Bits, steps: NDArray[np.int64]) -> Bits:
    return from_ordinal(ordinal(bits, DType.BF16) + steps, DType.BF16)


def _steps(rng: np.random.Generator, share: float) -> NDArray[np.int64]:
    size = rng.integers(1, 4, N) * rng.choice([-1, 1], N)
    return np.where(rng.random(N) < share, size, 0)


def _trained(rng: np.random.Generator, bits: Bits, sigma: float) -> Bits:
    """Moved by what training in higher precision adds, and stored again: small numbers by many steps."""
    return round_to(to_float64(bits, DType.BF16) + rng.normal(0.0, sigma, N), DType.BF16)


def _leads(
    weight: float, share: float, *, before: bool, seed: int, dense: bool = False, shared: float = 0.0
) -> tuple[float, ...]:
    """Leads where one parent (``before``) or the stored blend was moved: by whole steps, or ``dense``ly by
    normal numbers of standard deviation ``share``. ``shared``: of the elements, those in which the parents
    were equal before."""
    rng = np.random.default_rng(seed)
    second = round_to(rng.normal(0.0, 0.02, N), DType.BF16)
    first = round_to(to_float64(second, DType.BF16) + rng.normal(0.0, 4e-4, N), DType.BF16)
    if shared:
        first = np.where(rng.random(N) < shared, second, first)

    def moved(bits: Bits) -> Bits:
        return _trained(rng, bits, share) if dense else _moved(bits, _steps(rng, share))

    given_ = moved(first) if before else first
    recipe = Recipe((1, 2), (weight, 1.0 - weight), arithmetic("fp32-sum"), "as-stored")

    def blend(*parents: Bits) -> Bits:
        values = [to_float64(p, DType.BF16).astype(np.float32) for p in parents]
        return recipe.arithmetic.apply(recipe.weights, values, out_dtype=DType.BF16)

    suspect = blend(first, second)
    if not before:
        suspect = moved(suspect)
    parents = np.stack([to_float64(p, DType.BF16) for p in (given_, second)])
    informative = parents[0] != parents[1]
    rows = (np.arange(N) // 64).astype(np.int32)
    values = to_float64(suspect, DType.BF16)
    return measure_revision_leads(Operands(parents, values, suspect, DType.BF16, informative, rows), recipe)


@pytest.mark.parametrize("weight", [0.25, 0.5, 0.6, 0.75])
@pytest.mark.parametrize("share", [0.1, 0.48])
def test_steps_after_the_blend_lead_for_every_parent(weight: float, share: float) -> None:
    assert min(_leads(weight, share, before=False, seed=1)) > 10.0


@pytest.mark.parametrize("weight", [0.05, 0.95])
@pytest.mark.parametrize("seed", [1, 4])
def test_steps_after_the_blend_lead_where_one_parent_is_a_twentieth(weight: float, seed: int) -> None:
    """What lies beyond the reach of the light parent's steps counts: left out, steps wide enough to lead
    there explained any change."""
    assert min(_leads(weight, 0.1, before=False, seed=seed)) > 10.0


@pytest.mark.parametrize("weight", [0.05, 0.25, 0.5, 0.6, 0.75])
@pytest.mark.parametrize("share", [0.1, 0.48])
def test_steps_of_the_first_parent_before_it_do_not(weight: float, share: float) -> None:
    assert _leads(weight, share, before=True, seed=2)[0] < 0.0


@pytest.mark.parametrize("weight", [0.05, 0.25, 0.5, 0.75, 0.95])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_dense_revision_of_the_first_parent_is_not_told_as_a_change_of_the_blend(
    weight: float, seed: int
) -> None:
    """What training adds is of one size, and of many sizes in grid steps: counted with one distribution for
    all elements, a revision led as a later change at a weight of .95."""
    for sigma in (2e-5, 5e-5, 2e-4):
        assert _leads(weight, sigma, before=True, seed=seed, dense=True)[0] < 0.0


@pytest.mark.parametrize("weight", [0.25, 0.5, 0.75])
def test_a_dense_change_after_the_blend_leads_for_every_parent(weight: float) -> None:
    assert min(_leads(weight, 5e-5, before=False, seed=1, dense=True)) > 10.0


@pytest.mark.parametrize("weight", [0.25, 0.5, 0.75, 0.95])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_revision_that_moved_what_the_parents_shared_is_told_by_what_they_share(
    weight: float, seed: int
) -> None:
    """Where the suspect holds what the other parent holds, though a blend of the parents on the table does
    not: fine-tunes leave half of the numbers as they were. Not asked for, a hundredth of the numbers
    moved led as a later change in two of fifteen such merges."""
    assert _leads(weight, 0.02, before=True, seed=seed, shared=0.5)[0] < -10.0
    # Of the 3,000 informative numbers some 300 change: at .95 too few to tell.
    least = 10.0 if weight < 0.9 else 0.0
    assert min(_leads(weight, 0.1, before=False, seed=seed, shared=0.5)) > least


def test_one_parent_alone_is_asked_too() -> None:
    rng = np.random.default_rng(1)
    bits = round_to(rng.normal(0.0, 0.02, N), DType.BF16)
    parents = to_float64(bits, DType.BF16)[None, :]
    recipe = Recipe((1,), (1.0,), arithmetic("fp32-sum"), "as-stored")
    told = np.ones(N, dtype=bool)
    operands = Operands(parents, parents[0], bits, DType.BF16, told, np.zeros(N, np.int32))
    assert measure_revision_leads(operands, recipe) == pytest.approx((0.0,), abs=1.0)


def test_the_mixture_is_the_likeliest_one() -> None:
    """Against a general optimiser, on ambiguous columns."""
    rng = np.random.default_rng(3)
    explained = rng.random((7, 400)) < np.array([0.05, 0.1, 0.2, 0.6, 0.2, 0.1, 0.05])[:, None]
    far = ~explained.any(axis=0) & (rng.random(400) < 0.8)
    hits = np.stack([*(explained[3 - m : 4 + m].sum(axis=0) / (2 * m + 1) for m in range(4)), far])

    def loss(logits: NDArray[np.float64]) -> float:
        shares = np.exp(logits - logits.max())
        mass = (1 - 1e-3) * (shares / shares.sum()) @ hits + 1e-3 / (2 * MOST_STEPS + 1)
        return -float(np.log(mass).sum())

    best = min(float(optimize.minimize(loss, rng.normal(size=5)).fun) for _ in range(5))
    assert step_log_likelihood(explained, far[None, :]) == pytest.approx(-best, abs=0.6)


def test_what_no_step_explains_costs_the_same_under_both() -> None:
    nothing = np.zeros((5, 10), dtype=bool)
    more = np.zeros((41, 10), dtype=bool)
    assert step_log_likelihood(nothing, nothing[:1]) == step_log_likelihood(more, nothing[:1])
