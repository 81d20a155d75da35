"""Which elements are read: inside the tensor, spread over it, and the same wherever the tensor lies."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parentage.architectures.roles import TensorRole, role_of
from parentage.evidence.sampling.positions import (
    BLOCK,
    REMOTE_RUN,
    SamplePlan,
    Sampling,
    experts_of,
    new_elements,
    plan_sample,
)

UP = "model.language_model.layers.7.mlp.experts.gate_up_proj"
DOWN = "model.language_model.layers.7.mlp.experts.down_proj"
UP_SHAPE, DOWN_SHAPE = (512, 2048, 4096), (512, 4096, 1024)


@given(
    rows=st.integers(1, 5_000),
    columns=st.integers(1, 5_000),
    elements=st.integers(1, 200_000),
    run=st.sampled_from([1, BLOCK, REMOTE_RUN]),
    seed=st.integers(0, 2**32),
)
@example(rows=36, columns=456, elements=16384, run=256, seed=0)
def test_runs_lie_inside_and_do_not_meet(
    rows: int, columns: int, elements: int, run: int, seed: int
) -> None:
    plan = plan_sample("w", role_of("w"), (rows, columns), Sampling(elements, seed, run))
    assert plan.elements == plan.starts.size * plan.length
    assert plan.starts[0] >= 0
    assert plan.starts[-1] + plan.length <= rows * columns
    assert (np.diff(plan.starts) >= plan.length).all() or plan.whole
    assert plan.whole == (rows * columns <= max(elements, run))


@settings(deadline=None)
@given(
    rows=st.integers(1, 3_000),
    columns=st.integers(1, 3_000),
    elements=st.integers(1, 20_000),
    run=st.sampled_from([BLOCK, REMOTE_RUN]),
    seed=st.integers(0, 2**32),
)
def test_a_later_stage_keeps_what_was_read_and_adds_what_was_not(
    rows: int, columns: int, elements: int, run: int, seed: int
) -> None:
    further = (4 * elements, 16 * elements)
    role, shape = role_of("w"), (rows, columns)
    plans = [
        plan_sample("w", role, shape, Sampling(elements, seed, run, further, (("other", n),)))
        for n in range(3)
    ]
    assert np.array_equal(
        plans[0].starts, plan_sample("w", role, shape, Sampling(elements, seed, run)).starts
    )
    for before, after in pairwise(plans):
        new = new_elements(before, after)
        assert after.elements == new.size
        assert int(np.count_nonzero(~new)) == before.elements
        assert (np.diff(after.starts) >= after.length).all()
        assert after.starts[-1] + after.length <= rows * columns


def test_a_later_stage_reads_only_the_components_that_reached_it() -> None:
    sampling = Sampling(4096, 0, REMOTE_RUN, (16_384,), (("mlp", 1),))
    mlp, attention = "model.layers.0.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.weight"
    shape = (4096, 4096)
    assert plan_sample(attention, role_of(attention), shape, sampling).elements == 4096
    assert 3 * 4096 < plan_sample(mlp, role_of(mlp), shape, sampling).elements <= 16_384


def test_a_later_stage_visits_other_experts() -> None:
    seen: list[set[int]] = []
    for count in range(3):
        sampling = Sampling(4096, 0, REMOTE_RUN, (16_384, 65_536), (("experts", count),))
        plans = [
            (plan_sample(n, role_of(n), shape, sampling), n, shape)
            for n, shape in ((UP, UP_SHAPE), (DOWN, DOWN_SHAPE))
        ]
        experts = [experts_of(plan, role_of(n), shape) for plan, n, shape in plans]
        seen.append({int(e) for found in experts if found is not None for e in np.unique(found)})
    assert len(seen[0]) == 64
    assert seen[0] < seen[1] < seen[2]
    assert len(seen[1]) >= 128


def test_a_known_role_is_read_at_the_same_places_under_any_name() -> None:
    sampling, shape = Sampling(4096, 3, REMOTE_RUN), (4096, 4096)
    names = (
        "model.layers.4.self_attn.q_proj.weight",
        "language_model.model.layers.4.self_attn.q_proj.weight",
    )
    first, second = (plan_sample(n, role_of(n), shape, sampling) for n in names)
    assert np.array_equal(first.starts, second.starts)
    other = plan_sample(
        names[0].replace(".4.", ".5."), role_of(names[0].replace(".4.", ".5.")), shape, sampling
    )
    assert not np.array_equal(first.starts, other.starts)


def test_names_tell_unknown_roles_apart() -> None:
    role = TensorRole("other", "other", None)
    plans = [plan_sample(n, role, (4096, 4096), Sampling(4096, 0)) for n in ("x", "y")]
    assert not np.array_equal(plans[0].starts, plans[1].starts)


def test_few_runs_still_visit_64_experts_a_layer() -> None:
    sampling = Sampling(4096, 0, REMOTE_RUN)
    up = plan_sample(UP, role_of(UP), UP_SHAPE, sampling)
    down = plan_sample(DOWN, role_of(DOWN), DOWN_SHAPE, sampling)
    assert up.starts.size == down.starts.size == 16
    assert len(_seen(up, UP, UP_SHAPE)) == len(_seen(down, DOWN, DOWN_SHAPE)) == 32
    assert len(_seen(up, UP, UP_SHAPE) | _seen(down, DOWN, DOWN_SHAPE)) == 64


def _seen(plan: SamplePlan, name: str, shape: tuple[int, ...]) -> set[int]:
    found = experts_of(plan, role_of(name), shape)
    assert found is not None
    assert found.size == plan.elements
    return {int(e) for e in found}


def test_many_runs_are_spread_over_the_experts() -> None:
    plan = plan_sample(UP, role_of(UP), UP_SHAPE, Sampling(65_536, 0))
    assert len(_seen(plan, UP, UP_SHAPE)) >= 200


@pytest.mark.parametrize("experts", [1, 2, 3, 5, 8, 40])
def test_few_experts_are_no_trouble(experts: int) -> None:
    shape = (experts, 512, 512)
    plan = plan_sample(UP, role_of(UP), shape, Sampling(4096, 0, REMOTE_RUN))
    assert plan.starts[0] >= 0
    assert plan.starts[-1] + plan.length <= experts * 512 * 512
    assert 1 <= len(_seen(plan, UP, shape)) <= experts


def test_a_tensor_read_whole_shows_all_its_experts() -> None:
    plan = plan_sample(UP, role_of(UP), (8, 4, 4), Sampling(4096, 0))
    assert plan.whole
    assert _seen(plan, UP, (8, 4, 4)) == set(range(8))


EXPERT = "mtp.layers.0.mlp.experts.17.up_proj.weight"


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (EXPERT, (1024, 4096)),
        ("model.visual.blocks.3.attn.qkv.weight", (3456, 1152)),
        ("model.layers.1.linear_attn.in_proj_a.weight", (64, 4096)),
    ],
)
def test_where_two_runs_would_do_small_tensors_and_those_of_many_take_one(
    name: str, shape: tuple[int, int]
) -> None:
    plan = plan_sample(name, role_of(name), shape, Sampling(4096, 0, REMOTE_RUN))
    assert (plan.starts.size, plan.length, plan.elements) == (1, 4096, 4096)
    more = plan_sample(name, role_of(name), shape, Sampling(4 * REMOTE_RUN, 0, REMOTE_RUN))
    assert (more.starts.size, more.length) == (4, REMOTE_RUN)


def test_a_large_tensor_that_stands_alone_keeps_two_runs() -> None:
    name = "model.layers.3.self_attn.o_proj.weight"
    plan = plan_sample(name, role_of(name), (4096, 8192), Sampling(4096, 0, REMOTE_RUN))
    assert (plan.starts.size, plan.length) == (2, REMOTE_RUN)


def test_the_one_run_lies_elsewhere_under_another_seed() -> None:
    starts = {
        int(plan_sample(EXPERT, role_of(EXPERT), (1024, 4096), Sampling(4096, seed, REMOTE_RUN)).starts[0])
        for seed in range(20)
    }
    assert len(starts) == 20


@pytest.mark.parametrize("shape", [(512, 384), (64, 40_000), (30, 900), (16_384, 100)])
def test_tiles_lie_within_a_matrix_once_and_a_later_stage_keeps_them(shape: tuple[int, int]) -> None:
    name = "model.layers.3.mlp.down_proj.weight"
    sampling = Sampling(4_096, 7, REMOTE_RUN, (16_384,), tiled=frozenset([name]))
    first = plan_sample(name, role_of(name), shape, sampling)
    component = role_of(name).component
    second = plan_sample(name, role_of(name), shape, replace(sampling, reached=((component, 1),)))
    for plan, most in ((first, 4_096), (second, 16_384)):
        places = (plan.starts[:, None] + np.arange(plan.length)).reshape(-1)
        assert places.min() >= 0
        assert places.max() < shape[0] * shape[1]
        assert np.unique(places).size == plan.elements <= most
        # No run leaves its row: turned, it lies in as many rows of the file as it has numbers.
        assert (plan.starts // shape[1] == (plan.starts + plan.length - 1) // shape[1]).all()
    assert set(first.starts.tolist()) <= set(second.starts.tolist())
    assert second.elements > first.elements
    other = plan_sample(name, role_of(name), shape, replace(sampling, tiled=frozenset()))
    assert other.length == REMOTE_RUN or other.starts.size == 1
