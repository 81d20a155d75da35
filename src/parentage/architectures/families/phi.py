"""Phi 1 to 4: a plain MLP (1, 2), or queries, keys and values in one and gate and up in one (3, 4)."""

from __future__ import annotations

from parentage.architectures.families.decoder import DECODER, table
from parentage.architectures.families.family import Family, Part

FAMILY = Family(
    id="phi",
    title="Phi",
    signs=("layers.*.self_attn.dense",),
    table={
        **DECODER,
        **table(("self_attn.dense", "mlp.fc1", "mlp.fc2")),
        "final_layernorm": Part(("final_layernorm",), linear=False),
    },
    model_types=("phi",),
)
FUSED = Family(
    id="phi3",
    title="Phi-3",
    signs=("layers.*.self_attn.qkv_proj",),
    table=DECODER,
    model_types=("phi3",),
)
