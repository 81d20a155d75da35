"""Qwen 3.5 with experts: linear attention in three layers of four, further tokens (``mtp``), images."""

from __future__ import annotations

from parentage.architectures.families.decoder import DECODER, table
from parentage.architectures.families.experts import EXPERTS
from parentage.architectures.families.family import Family, Part

LINEAR = (
    "in_proj_qkv",
    "in_proj_z",
    "in_proj_a",
    "in_proj_b",
    "out_proj",
    "norm",
    "conv1d",
    "A_log",
    "dt_bias",
)
MTP = ("pre_fc_norm_embedding", "pre_fc_norm_hidden", "fc")

FAMILY = Family(
    id="qwen3.5-moe",
    title="Qwen3.5-MoE",
    signs=("layers.*.linear_attn.in_proj_qkv",),
    table={
        **DECODER,
        **EXPERTS,
        **table(tuple(f"linear_attn.{name}" for name in LINEAR)),
        **{name: Part((name,), linear=name == "fc") for name in MTP},
    },
    model_types=("qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5", "qwen3_5_text", "qwen3_next"),
)
