"""BERT and what kept its names (RoBERTa, MiniLM, sentence encoders)."""

from __future__ import annotations

from parentage.architectures.families.decoder import table
from parentage.architectures.families.family import Family, Part

QKV = tuple(f"attention.self.{n}" for n in ("query", "key", "value"))
IN_A_LAYER = (
    *QKV,
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)
EMBEDDINGS = ("word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm")

FAMILY = Family(
    id="bert",
    title="BERT",
    signs=("encoder.layer.*.attention.self.query",),
    table={
        **table(IN_A_LAYER, "encoder.layer.*."),
        "encoder.layer.*.attention.self.qkv": Part(QKV, even=True),
        **{f"embeddings.{n}": Part((f"embeddings.{n}",), linear=False) for n in EMBEDDINGS},
        "pooler.dense": Part(("pooler.dense",)),
    },
    model_types=("bert", "roberta", "xlm-roberta"),
)
