"""Mistral: Llama's names."""

from __future__ import annotations

from parentage.architectures.families.decoder import DECODER
from parentage.architectures.families.family import Family

FAMILY = Family(
    id="mistral",
    title="Mistral",
    signs=("layers.*.self_attn.q_proj", "layers.*.mlp.gate_proj"),
    table=DECODER,
    model_types=("mistral", "ministral"),
)
