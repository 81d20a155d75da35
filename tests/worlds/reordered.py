"""A small decoder with grouped heads, and what leaves its outputs alone: units moved and rescaled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.worlds.planted import Weights

__all__ = [
    "HIDDEN", "LAYERS", "NEURONS", "base", "kept_turned", "permuted", "rescaled", "tuned", "turned_hidden",
]  # fmt: skip

LAYERS, HIDDEN, NEURONS, HEADS, PAIRS, WIDE = 2, 128, 320, 8, 4, 16
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


def base(seed: int = 0) -> Weights:
    """Every matrix is larger than the first sample of a tensor."""
    rng = np.random.default_rng(seed)
    found = {"model.embed_tokens.weight": 0.02 * rng.standard_normal((400, HIDDEN))}
    for k in range(LAYERS):
        found |= {
            f"model.layers.{k}.{role}.weight": 0.02 * rng.standard_normal(shape)
            for role, shape in SHAPES.items()
        }
        found[f"model.layers.{k}.input_layernorm.weight"] = 1 + 0.2 * rng.standard_normal(HIDDEN)
    return found


def tuned(weights: Weights, seed: int = 1) -> Weights:
    """A fine-tune of 2 %."""
    rng = np.random.default_rng(seed)
    return {n: v + 4e-4 * rng.standard_normal(v.shape) for n, v in weights.items()}


def permuted(weights: Weights, seed: int = 9) -> Weights:
    """Groups of heads, the queries in them, and neurons: each layer in orders of its own."""
    rng = np.random.default_rng(seed)
    found = {n: v.copy() for n, v in weights.items()}
    for k in range(LAYERS):
        groups, each = rng.permutation(PAIRS), HEADS // PAIRS
        queries = _blocks(np.concatenate([g * each + rng.permutation(each) for g in groups]))
        pairs, neurons = _blocks(groups), rng.permutation(NEURONS)
        rows = {"self_attn.q_proj": queries, "self_attn.k_proj": pairs, "self_attn.v_proj": pairs}
        rows |= {"mlp.gate_proj": neurons, "mlp.up_proj": neurons}
        for name, order in rows.items():
            found[f"model.layers.{k}.{name}.weight"] = weights[f"model.layers.{k}.{name}.weight"][order]
        for name, order in (("self_attn.o_proj", queries), ("mlp.down_proj", neurons)):
            whole = weights[f"model.layers.{k}.{name}.weight"]
            found[f"model.layers.{k}.{name}.weight"] = np.ascontiguousarray(whole[:, order])
    return found


def kept_turned(weights: Weights) -> Weights:
    """The same model with every linear layer as [in, out]."""
    linear = (n for n, v in weights.items() if v.ndim == 2 and "embed" not in n)
    return weights | {n: np.ascontiguousarray(weights[n].T) for n in linear}


def _blocks(heads: Order) -> Order:
    return np.asarray((heads[:, None] * WIDE + np.arange(WIDE)).ravel(), np.int64)


def rescaled(weights: Weights, factor: float = 4.0) -> Weights:
    """Neurons larger on the way up and smaller on the way down; some of them negated."""
    found = {n: v.copy() for n, v in weights.items()}
    by = np.where(np.arange(NEURONS) % 2, factor, 1.0) * np.where(np.arange(NEURONS) % 5, 1.0, -1.0)
    for k in range(LAYERS):
        found[f"model.layers.{k}.mlp.up_proj.weight"] *= by[:, None]
        found[f"model.layers.{k}.mlp.down_proj.weight"] /= by
    return found


def turned_hidden(weights: Weights) -> Weights:
    """One order of the hidden dimensions through the whole model."""
    order = np.random.default_rng(4).permutation(HIDDEN)
    writes = ("o_proj.weight", "down_proj.weight", "layernorm.weight")
    return {n: v[order] if n.endswith(writes) else v[:, order] for n, v in weights.items()}
