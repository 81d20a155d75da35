"""Mixtral: Mistral's attention, experts w1, w2 and w3."""

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
