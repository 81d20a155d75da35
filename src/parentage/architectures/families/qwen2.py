"""Qwen 2 and 2.5: Llama's names, with biases on queries, keys and values."""

from __future__ import annotations

from parentage.architectures.families.decoder import DECODER
from parentage.architectures.families.family import Family

FAMILY = Family(
    id="qwen2",
    title="Qwen2",
    signs=("layers.*.self_attn.q_proj", "layers.*.mlp.gate_proj"),
    table=DECODER,
    model_types=("qwen2",),
)
