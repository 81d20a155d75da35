"""Qwen 3, dense and with experts: norms on queries and keys."""

from __future__ import annotations

from parentage.architectures.families.decoder import DECODER
from parentage.architectures.families.experts import EXPERTS
from parentage.architectures.families.family import Family

FAMILY = Family(
    id="qwen3",
    title="Qwen3",
    signs=("layers.*.self_attn.q_proj", "layers.*.self_attn.q_norm"),
    table={**DECODER, **EXPERTS},
    model_types=("qwen3", "qwen3_moe"),
)
