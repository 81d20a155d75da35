"""Orders of units in models that are read by range: found from little, within a purse, and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from parentage.architectures.alignment import align
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.formats.safetensors_writer import write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.costs import Cost
from parentage.evidence.sampling.orders_afar import LOOK, LookedAfar, look_afar
from parentage.evidence.sampling.positions import REMOTE_RUN, Sampling
from parentage.numerics.storage.formats import to_float64
from parentage.records.dtypes import DType
from parentage.records.tensors import TensorRef
from tests.worlds import reordered as world
from tests.worlds import test_expert_orders as experts
from tests.worlds.planted import Weights, stored

SAMPLE = Sampling(4_096, 0, REMOTE_RUN)
Look = Callable[..., tuple[LookedAfar, list[Checkpoint]]]


@pytest.fixture
def look(tmp_path: Path) -> Iterator[Look]:
    """A look at models that lie here and are read as though they lay on a network."""
    with ExitStack() as stack:

        def take(*models: Weights, limit: Cost = LOOK) -> tuple[LookedAfar, list[Checkpoint]]:
            opened = []
            for number, weights in enumerate(models):
                path = tmp_path / f"{number}.safetensors"
                write_safetensors(path, stored(weights, DType.BF16))
                opened.append(stack.enter_context(open_checkpoint(path)))
                opened[-1].as_remote = True
            alignment = align(opened[0], opened[1:])
            return look_afar(alignment, opened, alignment.groups, SAMPLE, limit), opened

        yield take


@pytest.fixture(scope="module")
def tuned() -> Weights:
    return world.tuned(world.base())


@pytest.mark.parametrize("change", [world.permuted, world.rescaled, world.turned_hidden])
def test_what_was_moved_or_rescaled_is_put_back_in_every_bit(
    change: Callable[[Weights], Weights], look: Look, tuned: Weights
) -> None:
    found, (own, other) = look(change(tuned), tuned)
    for group in found.alignment.groups:
        ref = group.others[0]
        assert isinstance(ref, TensorRef)
        pair = (own.read(group.suspect, 0, ref.elements), other.read(ref, 0, ref.elements))
        # Zeros of both signs are one value.
        assert np.array_equal(*(to_float64(bits, DType.BF16) for bits in pair)), group.name
    assert found.record.not_sought == ()
    assert 0 < found.spent.nbytes <= LOOK.nbytes


def test_units_that_are_moved_and_rescaled_in_a_turned_model_are_put_back(
    look: Look, tuned: Weights
) -> None:
    found, (own, other) = look(world.turned_hidden(world.permuted(world.rescaled(tuned))), tuned)
    for group in found.alignment.groups:
        ref = group.others[0]
        assert isinstance(ref, TensorRef)
        pair = (own.read(group.suspect, 0, ref.elements), other.read(ref, 0, ref.elements))
        assert np.array_equal(*(to_float64(bits, DType.BF16) for bits in pair)), group.name


@pytest.mark.parametrize(
    ("apart", "router"),
    [(False, True), (False, False), (True, True), pytest.param(True, False, marks=pytest.mark.slow)],
)
def test_experts_in_another_order_are_put_back_in_both_layouts(
    apart: bool, router: bool, look: Look
) -> None:
    weights = experts.tuned(experts.base())
    moved = experts.shuffled(weights, router=router)
    found, (own, other) = look(experts.one_by_one(moved) if apart else moved, weights)
    assert {f.unit for f in found.orders if "experts." in f.group.name} == {"experts"}
    for group in found.alignment.groups:
        ref = group.others[0]
        assert isinstance(ref, TensorRef)
        pair = (own.read(group.suspect, 0, ref.elements), other.read(ref, 0, ref.elements))
        assert np.array_equal(*pair), group.name
    # The router shows the order, or some numbers of every expert; others of the layer follow on the sample.
    assert len(found.record.not_sought) == 0
    assert found.record.on_sample >= experts.LAYERS


def test_experts_of_strangers_are_left_in_their_order_and_not_taken_for_neurons(look: Look) -> None:
    strangers = experts.one_by_one(experts.base(8))
    found, _ = look(strangers, experts.one_by_one(experts.tuned(experts.base())))
    assert found.orders == ()
    assert found.record.unlike > 0


def test_experts_in_one_order_cost_nothing(look: Look) -> None:
    found, _ = look(experts.tuned(experts.base()), experts.base())
    assert (found.orders, found.spent) == ((), Cost(0, 0))


def test_models_in_one_order_cost_nothing(look: Look, tuned: Weights) -> None:
    found, _ = look(world.tuned(tuned, 3), tuned, world.base())
    assert found.orders == ()
    assert found.spent == Cost(0, 0)
    assert found.record.unlike == 0


@pytest.mark.parametrize("seed", [20, 21])
def test_a_stranger_is_never_found_reordered(seed: int, look: Look, tuned: Weights) -> None:
    found, _ = look(world.permuted(world.base(seed)), tuned)
    assert found.orders == ()
    assert found.record.unlike == 15
    assert found.spent.nbytes > 0


def test_a_purse_that_is_too_small_is_kept_and_what_was_not_sought_is_told(
    look: Look, tuned: Weights
) -> None:
    limit = Cost(200_000, 4_000)
    found, _ = look(world.permuted(tuned), tuned, limit=limit)
    assert found.record.nbytes <= limit.nbytes
    assert found.record.not_sought
    assert found.record.needed > 0
    told = {f.group.name for f in found.orders} | set(found.record.not_sought)
    assert len(told) == found.record.unlike


def test_an_order_of_one_matrix_alone_is_found_from_its_rows(look: Look, tuned: Weights) -> None:
    name = "model.layers.0.self_attn.q_proj.weight"
    order = np.random.default_rng(3).permutation(world.HIDDEN)
    found, _ = look({**tuned, name: tuned[name][order]}, tuned)
    (only,) = found.orders
    assert only.group.name == name
    assert only.rows is not None
    assert np.array_equal(only.rows.order, order)
    assert found.record.on_sample == 0
