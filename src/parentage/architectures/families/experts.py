"""Mixtures of experts: one tensor an expert, or all experts of a layer in one."""

from __future__ import annotations

from parentage.architectures.families.decoder import table
from parentage.architectures.families.family import Part

__all__ = ["EXPERTS", "MIXTRAL_EXPERTS"]

GATE, UP, DOWN = (f"mlp.experts.{n}_proj" for n in ("gate", "up", "down"))
FUSED_UP = Part((GATE, UP), experts=True, even=True)
FUSED_DOWN = Part((DOWN,), experts=True, even=True)

EXPERTS = {
    "layers.*.mlp.experts.*.gate_proj": Part((GATE,)),
    "layers.*.mlp.experts.*.up_proj": Part((UP,)),
    "layers.*.mlp.experts.*.down_proj": Part((DOWN,)),
    "layers.*.mlp.experts.gate_up_proj": FUSED_UP,
    "layers.*.mlp.experts.down_proj": FUSED_DOWN,
    **table(("mlp.gate", "mlp.shared_expert_gate")),
    **table(tuple(f"mlp.shared_expert.{n}_proj" for n in ("gate", "up", "down"))),
}
# Mixtral's w1 is the gate, w3 the way up, w2 the way down.
MIXTRAL_EXPERTS = {
    "layers.*.block_sparse_moe.experts.*.w1": Part((GATE,)),
    "layers.*.block_sparse_moe.experts.*.w3": Part((UP,)),
    "layers.*.block_sparse_moe.experts.*.w2": Part((DOWN,)),
    "layers.*.block_sparse_moe.experts.gate_up_proj": FUSED_UP,
    "layers.*.block_sparse_moe.experts.down_proj": FUSED_DOWN,
    "layers.*.block_sparse_moe.gate": Part(("mlp.gate",)),
}
