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
from parentage.evidence.sampling.tiles import in_tiles
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

        def take(
            *models: Weights, limit: Cost = LOOK, turned: bool = True
        ) -> tuple[LookedAfar, list[Checkpoint]]:
            opened = []
            for number, weights in enumerate(models):
                path = tmp_path / f"{number}.safetensors"
                write_safetensors(path, stored(weights, DType.BF16))
                opened.append(stack.enter_context(open_checkpoint(path)))
                opened[-1].as_remote = True
            alignment = align(opened[0], opened[1:])
            sampling = in_tiles(SAMPLE, alignment.groups, opened)
            arguments = (alignment, opened, alignment.groups, sampling, limit)
            return look_afar(*arguments, turned=turned), opened

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


def test_units_that_are_moved_and_rescaled_beside_other_hidden_dimensions_are_put_back(
    look: Look, tuned: Weights
) -> None:
    found, (own, other) = look(world.turned_hidden(world.permuted(world.rescaled(tuned))), tuned)
    for group in found.alignment.groups:
        ref = group.others[0]
        assert isinstance(ref, TensorRef)
        pair = (own.read(group.suspect, 0, ref.elements), other.read(ref, 0, ref.elements))
        assert np.array_equal(*(to_float64(bits, DType.BF16) for bits in pair)), group.name


def whole_change(weights: Weights) -> Weights:
    return world.turned_hidden(world.permuted(world.rescaled(weights)))


@pytest.mark.parametrize("which", [0, 1], ids=["the suspect", "the other"])
@pytest.mark.parametrize(
    "change",
    [
        world.permuted,
        pytest.param(world.rescaled, marks=pytest.mark.slow),
        pytest.param(world.turned_hidden, marks=pytest.mark.slow),
        pytest.param(whole_change, marks=pytest.mark.slow),
    ],
)
def test_units_of_a_model_that_keeps_its_matrices_turned_are_put_back(
    change: Callable[[Weights], Weights], which: int, look: Look, tuned: Weights
) -> None:
    pair = [change(tuned), tuned]
    pair[which] = world.kept_turned(pair[which])
    found, (own, other) = look(*pair)
    assert found.orders
    for group in found.alignment.groups:
        ref = group.others[0]
        assert isinstance(ref, TensorRef)
        read = (own.read(group.suspect, 0, ref.elements), other.read(ref, 0, ref.elements))
        assert np.array_equal(*(to_float64(bits, DType.BF16) for bits in read)), group.name
    assert found.record.not_sought == ()
    assert 0 < found.spent.nbytes <= LOOK.nbytes


def test_turned_models_in_one_order_cost_nothing(look: Look, tuned: Weights) -> None:
    found, _ = look(world.kept_turned(world.tuned(tuned, 3)), tuned)
    assert (found.orders, found.spent, found.record.unlike) == ((), Cost(0, 0), 0)


def test_a_turned_stranger_is_never_found_reordered(look: Look, tuned: Weights) -> None:
    found, _ = look(world.kept_turned(world.permuted(world.base(20))), tuned)
    assert found.orders == ()
    assert found.record.unlike == 15


def test_a_version_that_left_turned_matrices_is_followed_where_its_evidence_says_so(
    look: Look, tuned: Weights
) -> None:
    found, _ = look(world.kept_turned(world.permuted(tuned)), tuned, turned=False)
    assert (found.orders, found.record.unlike) == ((), 0)


def small_gpt2(order: tuple[int, ...] = (0, 1, 2)) -> Weights:
    """Linear layers as [out, in]; layers in an order."""
    rng = np.random.default_rng(6)
    found: Weights = {"wte.embed.weight": rng.standard_normal((90, 128))}
    shapes = {"attn.c_proj": (128, 128), "mlp.c_fc": (512, 128), "mlp.c_proj": (128, 512)}
    layers = [{role: rng.standard_normal(shape) for role, shape in shapes.items()} for _ in order]
    for own, source in enumerate(order):
        found |= {f"h.{own}.{role}.weight": v for role, v in layers[source].items()}
    return found


@pytest.mark.parametrize("which", [0, 1], ids=["the suspect", "the other"])
def test_layers_of_a_turned_model_are_met_by_content(which: int, look: Look) -> None:
    pair = [small_gpt2((0, 2, 1)), small_gpt2()]
    pair[which] = world.kept_turned(pair[which])
    found, (own, other) = look(*pair)
    assert found.orders == ()
    # A square of 1,024 numbers of three matrices in each of three layers; whole rows of these small files.
    assert 0 < found.record.nbytes < 9 * (2 + 32) * 1_024
    assert found.record.not_sought == ()
    for group in found.alignment.groups:
        ref = group.others[0]
        assert isinstance(ref, TensorRef)
        read = (own.read(group.suspect, 0, ref.elements), other.read(ref, 0, ref.elements))
        assert np.array_equal(*read), group.name


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
