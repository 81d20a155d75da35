"""Experts in another order are put back in both layouts, and told; those in their order are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.report import Report
from tests.worlds.planted import Model, Truth, Weights, World, audited, stored
from tests.worlds.planted_merges import merged

EXPERTS, HIDDEN, INNER, LAYERS = 12, 32, 24, 2
FUSED = {"gate_up_proj": (2 * INNER, HIDDEN), "down_proj": (HIDDEN, INNER)}


def base(seed: int = 1) -> Weights:
    """Fused experts, their router and one matrix of attention in each layer."""
    rng = np.random.default_rng(seed)
    found: Weights = {}
    for k in range(LAYERS):
        layer = f"model.layers.{k}"
        for name, shape in FUSED.items():
            found[f"{layer}.mlp.experts.{name}"] = 0.02 * rng.standard_normal((EXPERTS, *shape))
        found[f"{layer}.mlp.gate.weight"] = 0.02 * rng.standard_normal((EXPERTS, HIDDEN))
        found[f"{layer}.self_attn.q_proj.weight"] = 0.02 * rng.standard_normal((64, HIDDEN))
        found[f"{layer}.self_attn.q_norm.weight"] = 1 + 0.1 * rng.standard_normal(16)
        found[f"{layer}.mlp.shared_expert.gate_proj.weight"] = 0.02 * rng.standard_normal((INNER, HIDDEN))
    return found


def tuned(weights: Weights) -> Weights:
    rng = np.random.default_rng(2)
    return {n: v + 4e-4 * rng.standard_normal(v.shape) for n, v in weights.items()}


def shuffled(weights: Weights, *, router: bool = True) -> Weights:
    """Every layer's experts, and the router's rows, in an order of its own."""
    found = dict(weights)
    for k in range(LAYERS):
        order: NDArray[np.int64] = np.random.default_rng(k + 5).permutation(EXPERTS)
        for name in [n for n in weights if n.startswith(f"model.layers.{k}.mlp.")]:
            if "experts." in name or (router and ".gate." in name):
                found[name] = weights[name][order]
    return found


def one_by_one(weights: Weights) -> Weights:
    """A tensor an expert."""
    found = {n: v for n, v in weights.items() if "experts." not in n}
    for name, value in weights.items():
        if "experts." not in name:
            continue
        stem = name.rpartition(".")[0]
        for e, own in enumerate(value):
            if name.endswith("down_proj"):
                found[f"{stem}.{e}.down_proj.weight"] = own
            else:
                found[f"{stem}.{e}.gate_proj.weight"] = own[:INNER]
                found[f"{stem}.{e}.up_proj.weight"] = own[INNER:]
    return found


def report(suspect: Model, **parents: Model) -> Report:
    return audited(World(suspect, tuple(parents.items()), (), Truth("", "", 0, False))).report


@pytest.mark.parametrize(
    ("apart", "other"),
    [
        (False, True),
        pytest.param(True, False, marks=pytest.mark.slow),
        pytest.param(False, False, marks=pytest.mark.slow),
        pytest.param(True, True, marks=pytest.mark.slow),
    ],
)
def test_a_copy_with_its_experts_in_another_order_is_a_copy_that_says_so(apart: bool, other: bool) -> None:
    weights = tuned(base())
    own = shuffled(weights)
    suspect = stored(one_by_one(own) if apart else own, DType.BF16)
    found = report(
        suspect,
        A=stored(one_by_one(weights) if other else weights, DType.BF16),
        O=stored(base(), DType.BF16),
    )
    assert (found.verdict.relation, found.verdict.status) == ("copy", "supported")
    assert [p.name for p in found.verdict.parents] == ["A.safetensors"]
    assert not isinstance(found.reorderings, Absent)
    told = {r.unit: r for r in found.reorderings if r.model == "A.safetensors"}
    assert set(told) == {"experts"}
    assert told["experts"].layers == (0, 1)
    assert told["experts"].one_order


def test_a_merge_with_its_experts_in_another_order_has_its_weights() -> None:
    parents = {"A": stored(tuned(base()), DType.BF16), "O": stored(base(), DType.BF16)}
    blend = merged((0.6, 0.4), tuple(parents.values()), DType.BF16)
    suspect = {}
    for k in range(LAYERS):
        order = np.random.default_rng(k + 5).permutation(EXPERTS)
        for name, tensor in blend.items():
            if name.startswith(f"model.layers.{k}."):
                moves = "experts." in name or ".mlp.gate." in name
                rows = tensor.bits.reshape(tensor.shape[0], -1)
                bits = np.ascontiguousarray(rows[order] if moves else rows).reshape(-1)
                suspect[name] = type(tensor)(tensor.dtype, tensor.shape, bits)
    found = report(suspect, **parents)
    assert (found.verdict.relation, found.verdict.status) == ("linear-merge", "supported")
    weight = found.verdict.parents[0].weight
    assert not isinstance(weight, Absent)
    assert weight.low <= 0.6 <= weight.high


def test_a_router_that_keeps_its_order_is_told() -> None:
    weights = tuned(base())
    suspect = stored(shuffled(weights, router=False), DType.BF16)
    found = report(suspect, A=stored(weights, DType.BF16))
    assert not isinstance(found.reorderings, Absent)
    (told,) = found.reorderings
    assert told.unit == "experts"
    assert all(f"model.layers.{k}.mlp.gate.weight" not in str(told) for k in range(LAYERS))


def test_unrelated_experts_keep_their_numbers() -> None:
    found = report(stored(base(8), DType.BF16), A=stored(tuned(base()), DType.BF16))
    assert isinstance(found.reorderings, Absent)
    assert (found.verdict.relation, found.verdict.status) != ("copy", "supported")
