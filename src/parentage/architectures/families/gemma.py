"""Gemma 1 to 3: the head is the embedding; norms hold w where the map multiplies by 1 + w."""

from __future__ import annotations

from parentage.architectures.families.decoder import DECODER, table
from parentage.architectures.families.family import Family

FAMILY = Family(
    id="gemma",
    title="Gemma",
    signs=("layers.*.self_attn.q_proj", "layers.*.mlp.gate_proj"),
    table={**DECODER, **table(("pre_feedforward_layernorm", "post_feedforward_layernorm"))},
    model_types=("gemma", "gemma2", "gemma3", "gemma3_text"),
    tied=True,
)
