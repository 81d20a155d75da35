"""Mixtral: Mistral's attention, experts w1, w2 and w3; in transformers 5 all experts of a layer in one."""

from __future__ import annotations

from parentage.architectures.families.decoder import DECODER
from parentage.architectures.families.experts import EXPERTS, MIXTRAL_EXPERTS
from parentage.architectures.families.family import Family

FAMILY = Family(
    id="mixtral",
    title="Mixtral",
    signs=("layers.*.block_sparse_moe.gate",),
    table={**DECODER, **EXPERTS, **MIXTRAL_EXPERTS},
    model_types=("mixtral",),
)
# As a program that holds transformers 5's own modules writes them, mergekit-moe among others.
STACKED = Family(
    id="mixtral",
    title="Mixtral",
    signs=("layers.*.mlp.experts.gate_up_proj", "layers.*.mlp.gate", "layers.*.self_attn.q_proj"),
    table={**DECODER, **EXPERTS},
    model_types=("mixtral",),
)
