"""A mixture whose experts began as a dense model's feed-forward parts is told; other mixtures are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage import api
from parentage.records.report import Verdict
from tests.merging.models import write_model

Weights = dict[str, NDArray[np.float32]]
HIDDEN, INNER, LAYERS = 48, 64, 2
PARTS = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}


def dense(seed: int) -> Weights:
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (80, HIDDEN)}
    for k in range(LAYERS):
        p = f"model.layers.{k}"
        shapes |= {f"{p}.self_attn.{x}_proj.weight": (HIDDEN, HIDDEN) for x in "qkvo"}
        shapes |= {f"{p}.mlp.{x}_proj.weight": (INNER, HIDDEN) for x in ("gate", "up")}
        shapes |= {f"{p}.mlp.down_proj.weight": (HIDDEN, INNER), f"{p}.input_layernorm.weight": (HIDDEN,)}
        shapes |= {f"{p}.post_attention_layernorm.weight": (HIDDEN,)}
    shapes |= {"model.norm.weight": (HIDDEN,), "lm_head.weight": (80, HIDDEN)}
    return {n: rng.normal(0, 0.05, s).astype(np.float32) for n, s in shapes.items()}


def mixture(parents: list[Weights], experts: int, *, noise: float = 0.0, fused: bool = False) -> Weights:
    """Attention of the first parent, expert e from parent e modulo their number, a new router."""
    rng = np.random.default_rng(9)
    made = {n: w for n, w in parents[0].items() if ".mlp." not in n}
    for k in range(LAYERS):
        p = f"model.layers.{k}"
        made[f"{p}.block_sparse_moe.gate.weight"] = rng.normal(0, 0.02, (experts, HIDDEN)).astype(
            np.float32
        )
        each = {
            w: [
                parents[e % len(parents)][f"{p}.mlp.{dense_name}.weight"]
                + rng.normal(0, noise, parents[0][f"{p}.mlp.{dense_name}.weight"].shape).astype(np.float32)
                for e in range(experts)
            ]
            for w, dense_name in PARTS.items()
        }
        if fused:
            both = [np.concatenate([a, b]) for a, b in zip(each["w1"], each["w3"], strict=True)]
            made[f"{p}.block_sparse_moe.experts.gate_up_proj"] = np.stack(both)
            made[f"{p}.block_sparse_moe.experts.down_proj"] = np.stack(each["w2"])
        else:
            made |= {
                f"{p}.block_sparse_moe.experts.{e}.{w}.weight": each[w][e]
                for w in PARTS
                for e in range(experts)
            }
    return made


def by_transformers_5(suspect: Weights) -> Weights:
    """The names that mergekit-moe writes with transformers 5, as it was run on two small models."""
    return {n.replace(".block_sparse_moe.", ".mlp."): w for n, w in suspect.items()}


def verdict(tmp_path: Path, suspect: Weights, parents: dict[str, Weights]) -> Verdict:
    place = write_model(tmp_path / "moe", suspect, config={"model_type": "mixtral"})
    places = [str(write_model(tmp_path / n, w)) for n, w in parents.items()]
    return api.audit(str(place), parents=places, workers=1, digests=False).report.verdict


@pytest.mark.parametrize("fused", [False, True])
def test_experts_copied_from_one_dense_model_are_told(fused: bool, tmp_path: Path) -> None:
    parent = dense(1)
    found = verdict(tmp_path, mixture([parent], 4, fused=fused), {"D": parent})
    assert (found.relation, found.status) == ("upcycled-moe", "supported")
    assert "experts 0 to 3 of D" in found.sentence
    assert "are copies" in found.sentence


@pytest.mark.parametrize("names", ["mixtral", "transformers-5"])
def test_experts_of_several_models_are_told_apart(names: str, tmp_path: Path) -> None:
    one, other = dense(1), dense(2)
    suspect = mixture([one, other], 4, fused=names != "mixtral")
    suspect = suspect if names == "mixtral" else by_transformers_5(suspect)
    found = verdict(tmp_path, suspect, {"D": one, "E": other})
    assert (found.relation, found.status) == ("upcycled-moe", "supported")
    assert "experts 0 and 2 of D and experts 1 and 3 of E" in found.sentence


def test_experts_that_were_changed_since_began_as_the_dense_parts(tmp_path: Path) -> None:
    parent = dense(1)
    found = verdict(tmp_path, mixture([parent], 3, noise=0.01), {"D": parent})
    assert (found.relation, found.status) == ("upcycled-moe", "supported")
    assert "began as" in found.sentence
    assert any("What changed the experts since is not judged" in limit for limit in found.limits)


def test_a_mixture_with_experts_of_its_own_is_not_upcycled_from_a_model_with_its_attention(
    tmp_path: Path,
) -> None:
    parent, strange = dense(1), dense(2)
    suspect = mixture([strange], 4) | {n: w for n, w in parent.items() if ".mlp." not in n}
    assert verdict(tmp_path, suspect, {"D": parent}).relation != "upcycled-moe"


def test_one_strange_expert_keeps_a_mixture_from_being_named(tmp_path: Path) -> None:
    parent = dense(1)
    suspect = mixture([parent], 4)
    name = "model.layers.1.block_sparse_moe.experts.2.w2.weight"
    suspect[name] = np.random.default_rng(3).normal(0, 0.05, suspect[name].shape).astype(np.float32)
    assert verdict(tmp_path, suspect, {"D": parent}).relation != "upcycled-moe"
