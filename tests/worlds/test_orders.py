"""Neurons, heads and hidden dimensions in another order: undone, told, and not found where none are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.report import Reordering, Report
from parentage.reports.html import render as render_html
from parentage.reports.terminal import render_text
from tests.worlds.planted import Model, Truth, Weights, World, audited, stored, values_of
from tests.worlds.planted_merges import merged

LAYERS, HIDDEN, NEURONS, HEADS, PAIRS, WIDE = 3, 64, 96, 8, 4, 8
SHAPES = {
    "self_attn.q_proj": (HEADS * WIDE, HIDDEN),
    "self_attn.k_proj": (PAIRS * WIDE, HIDDEN),
    "self_attn.v_proj": (PAIRS * WIDE, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HEADS * WIDE),
    "mlp.gate_proj": (NEURONS, HIDDEN),
    "mlp.up_proj": (NEURONS, HIDDEN),
    "mlp.down_proj": (HIDDEN, NEURONS),
}
Order = NDArray[np.int64]
UNITS = {"neurons", "queries and keys", "values"}


def base(seed: int = 0) -> Weights:
    rng = np.random.default_rng(seed)
    found = {"model.embed_tokens.weight": 0.02 * rng.standard_normal((300, HIDDEN))}
    for k in range(LAYERS):
        found |= {
            f"model.layers.{k}.{role}.weight": 0.02 * rng.standard_normal(shape)
            for role, shape in SHAPES.items()
        }
        found[f"model.layers.{k}.input_layernorm.weight"] = 1 + 0.2 * rng.standard_normal(HIDDEN)
    return found


def tuned(weights: Weights, seed: int = 1) -> Weights:
    rng = np.random.default_rng(seed)
    return {n: v + 4e-4 * rng.standard_normal(v.shape) for n, v in weights.items()}


def changed(weights: Weights, change: Callable[[str, Weights, np.random.Generator], None]) -> Weights:
    """A copy, changed layer by layer."""
    found = {n: v.copy() for n, v in weights.items()}
    rng = np.random.default_rng(9)
    for k in range(LAYERS):
        change(f"model.layers.{k}.", found, rng)
    return found


def heads_order(rng: np.random.Generator) -> tuple[Order, Order]:
    """Groups of queries change places with their key and value, and within a group the queries."""
    groups = rng.permutation(PAIRS)
    each = HEADS // PAIRS
    queries = np.concatenate([g * each + rng.permutation(each) for g in groups])
    return _blocks(queries), _blocks(groups)


def _blocks(heads: Order) -> Order:
    return np.asarray((heads[:, None] * WIDE + np.arange(WIDE)).ravel(), np.int64)


def permute(layer: str, weights: Weights, rng: np.random.Generator) -> None:
    """Heads and neurons in another order."""
    queries, pairs = heads_order(rng)
    neurons = rng.permutation(NEURONS)
    rows = {"q_proj": queries, "k_proj": pairs, "v_proj": pairs, "gate_proj": neurons, "up_proj": neurons}
    for name in [n for n in weights if n.startswith(layer)]:
        part = name.split(".")[-2]
        if part in rows:
            weights[name] = weights[name][rows[part]]
        elif part in ("o_proj", "down_proj"):
            weights[name] = weights[name][:, queries if part == "o_proj" else neurons]


def rescale(layer: str, weights: Weights, rng: np.random.Generator, factor: float = 4.0) -> None:
    """Half of the neurons larger on the way up and smaller on the way down; some of them negated."""
    by = np.where(np.arange(NEURONS) % 2, factor, 1.0) * np.where(np.arange(NEURONS) % 5, 1.0, -1.0)
    weights[f"{layer}mlp.up_proj.weight"] *= by[:, None]
    weights[f"{layer}mlp.down_proj.weight"] /= by


def turn_hidden(weights: Weights) -> Weights:
    """One order of the hidden dimensions through the whole model."""
    order = np.random.default_rng(4).permutation(HIDDEN)
    writes = ("o_proj.weight", "down_proj.weight", "layernorm.weight")
    return {n: v[order] if n.endswith(writes) else v[:, order] for n, v in weights.items()}


def report(suspect: Model, parents: dict[str, Model], controls: dict[str, Model] | None = None) -> Report:
    world = World(suspect, tuple(parents.items()), tuple((controls or {}).items()), Truth("", "", 0, False))
    return audited(world).report


def found_in(found: Report, model: str) -> dict[str, Reordering]:
    assert not isinstance(found.reorderings, Absent)
    return {r.unit: r for r in found.reorderings if r.model == f"{model}.safetensors"}


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return {"A": stored(tuned(base()), DType.BF16), "O": stored(base(), DType.BF16)}


def test_a_copy_with_heads_and_neurons_in_another_order_is_a_copy_that_says_so(
    models: dict[str, Model],
) -> None:
    suspect = stored(changed(values_of(models["A"]), permute), DType.BF16)
    found = report(suspect, {"A": models["A"]}, {"O": models["O"]})
    assert (found.verdict.relation, found.verdict.status) == ("copy", "supported")
    assert "once its reordered neurons, queries and keys and values are put back" in found.verdict.sentence
    units = found_in(found, "A")
    assert set(units) == UNITS
    assert units["neurons"].layers == (0, 1, 2)
    assert units["neurons"].units == LAYERS * NEURONS
    assert 0 < units["neurons"].moved <= LAYERS * NEURONS
    assert all(u.one_order for u in units.values())
    assert "In another order" in render_text(found)
    assert "in another place" in render_html(found)


def test_a_merge_in_another_order_is_a_merge_with_its_weights(models: dict[str, Model]) -> None:
    blend = merged((0.6, 0.4), (models["A"], models["O"]), DType.BF16)
    suspect = stored(changed(values_of(blend), permute), DType.BF16)
    found = report(suspect, {"A": models["A"], "O": models["O"]})
    assert (found.verdict.relation, found.verdict.status) == ("linear-merge", "supported")
    weight = found.verdict.parents[0].weight
    assert not isinstance(weight, Absent)
    assert weight.low <= 0.6 <= weight.high
    assert any("another place than in A" in limit for limit in found.verdict.limits)


def test_the_hidden_dimensions_of_a_whole_model_are_put_back_too(models: dict[str, Model]) -> None:
    both = turn_hidden(changed(values_of(models["A"]), permute))
    found = report(stored(both, DType.BF16), {"A": models["A"]}, {"O": models["O"]})
    assert found.verdict.relation == "copy"
    assert {"hidden", "neurons"} <= set(found_in(found, "A"))


def test_powers_of_two_and_signs_are_undone_exactly(models: dict[str, Model]) -> None:
    suspect = stored(changed(values_of(models["A"]), rescale), DType.BF16)
    found = report(suspect, {"A": models["A"]}, {"O": models["O"]})
    assert found.verdict.relation == "copy"
    neurons = found_in(found, "A")["neurons"]
    assert (neurons.moved, neurons.scaled) == (0, 0)
    assert neurons.multiplied == LAYERS * sum(k % 2 or k % 5 == 0 for k in range(NEURONS))


def test_other_factors_are_told_and_not_undone(models: dict[str, Model]) -> None:
    by_three = changed(values_of(models["A"]), lambda layer, w, rng: rescale(layer, w, rng, 3.0))
    found = report(stored(by_three, DType.BF16), {"A": models["A"]}, {"O": models["O"]})
    assert found.verdict.relation not in ("copy", "cast-copy")
    assert found_in(found, "A")["neurons"].scaled == LAYERS * NEURONS // 2
    assert any("times another factor: not undone" in limit for limit in found.verdict.limits)


def test_orders_that_do_not_fit_each_other_are_told_so(models: dict[str, Model]) -> None:
    def misfit(layer: str, weights: Weights, rng: np.random.Generator) -> None:
        for part in ("gate", "up"):
            name = f"{layer}mlp.{part}_proj.weight"
            weights[name] = weights[name][rng.permutation(NEURONS)]

    suspect = stored(changed(values_of(models["A"]), misfit), DType.BF16)
    found = report(suspect, {"A": models["A"]}, {"O": models["O"]})
    assert not found_in(found, "A")["neurons"].one_order
    assert any("it would not compute the same" in limit for limit in found.verdict.limits)


def test_nothing_is_reordered_in_a_plain_fine_tune(models: dict[str, Model]) -> None:
    found = report(models["A"], {"O": models["O"]}, {"B": stored(tuned(base(), 2), DType.BF16)})
    assert isinstance(found.reorderings, Absent)


@pytest.mark.parametrize("seed", range(20, 26))
def test_a_stranger_is_never_found_reordered(seed: int, models: dict[str, Model]) -> None:
    stranger = stored(changed(base(seed), permute), DType.BF16)
    found = report(stranger, {"A": models["A"]}, {"O": models["O"]})
    assert found.verdict.relation == "independent"
    assert isinstance(found.reorderings, Absent)


def test_a_rotated_copy_reads_as_independent_and_the_report_says_that_rotations_are_not_undone(
    models: dict[str, Model],
) -> None:
    rotation, _ = np.linalg.qr(np.random.default_rng(6).standard_normal((HIDDEN, HIDDEN)))
    writes = ("o_proj.weight", "down_proj.weight")
    rotated = {
        n: v if v.ndim == 1 else rotation.T @ v if n.endswith(writes) else v @ rotation
        for n, v in values_of(models["A"]).items()
    }
    found = report(stored(rotated, DType.BF16), {"A": models["A"]}, {"O": models["O"]})
    assert found.verdict.relation in ("independent", "undetermined")
    assert isinstance(found.reorderings, Absent)
    assert any(
        "rotated bases are not undone: a copy disguised so would read as independent" in limit
        for limit in found.verdict.limits
    )


def test_evidence_of_an_order_is_derived_again(models: dict[str, Model], tmp_path: Path) -> None:
    write_safetensors(
        tmp_path / "s.safetensors", stored(changed(values_of(models["A"]), permute), DType.BF16)
    )
    write_safetensors(tmp_path / "a.safetensors", models["A"])
    result = api.audit(
        str(tmp_path / "s.safetensors"), parents=[str(tmp_path / "a.safetensors")], full=True
    )
    api.save_evidence(result.evidence, tmp_path / "evidence.json")
    assert api.load_evidence(tmp_path / "evidence.json") == result.evidence
    assert api.verify(tmp_path / "evidence.json").holds


@pytest.mark.real
def test_a_real_model_with_heads_and_neurons_in_another_order_is_a_copy(
    family: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    tensors: dict[str, StoredTensor] = {}
    with open_checkpoint(family / "O") as o:
        values = {n: o.read(n, 0, r.elements).reshape(r.shape) for n, r in o.tensors.items()}
        for k in range(6):
            neurons = rng.permutation(1536)
            heads = (rng.permutation(12)[:, None] * 32 + np.arange(32)).ravel()
            for name in [n for n in values if f".layer.{k}." in n]:
                part = name.split(f".layer.{k}.")[1]
                if part.startswith("intermediate.dense"):
                    values[name] = values[name][neurons]
                elif part == "output.dense.weight":
                    values[name] = values[name][:, neurons]
                elif part.startswith("attention.self."):
                    values[name] = values[name][heads]
                elif part == "attention.output.dense.weight":
                    values[name] = values[name][:, heads]
        for name, ref in o.tensors.items():
            bits = np.ascontiguousarray(values[name]).ravel()
            tensors[name] = StoredTensor(ref.dtype, tuple(ref.shape), bits)
    write_safetensors(tmp_path / "model.safetensors", tensors, {"format": "pt"})
    found = api.audit(
        str(tmp_path),
        parents=[str(family / "O")],
        controls=[str(family / "A")],
        sample=4_096,
        digests=False,
    ).report
    assert (found.verdict.relation, found.verdict.status) == ("copy", "supported")
    assert [p.name for p in found.verdict.parents] == ["O"]
    assert not isinstance(found.reorderings, Absent)
    of_o = {r.unit: r for r in found.reorderings if r.model == "O"}
    assert set(of_o) == UNITS
    assert of_o["neurons"].units == 6 * 1536
    assert all(r.one_order for r in found.reorderings)
