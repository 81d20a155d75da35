"""GPT-2: linear maps stored [in, out], queries, keys and values in one; the head is the embedding."""

from __future__ import annotations

from collections.abc import Mapping

from parentage.architectures.families.decoder import table
from parentage.architectures.families.family import Family, Part, Shape

QKV = ("attn.q", "attn.k", "attn.v")


def turned(shapes: Mapping[str, Shape]) -> bool:
    """Four times as many columns as rows, or (rewritten with plain linear maps) the reverse?"""
    for name, shape in shapes.items():
        if name.endswith(".mlp.c_fc.weight") and len(shape) == 2 and shape[0] != shape[1]:
            return shape[1] > shape[0]
    return False


FAMILY = Family(
    id="gpt2",
    title="GPT-2",
    signs=("h.*.attn.c_proj", "h.*.mlp.c_fc"),
    table={
        "wte": Part(("wte",), linear=False),
        "wpe": Part(("wpe",), linear=False),
        "ln_f": Part(("ln_f",), linear=False),
        "lm_head": Part(("lm_head",), linear=False),
        "h.*.attn.c_attn": Part(QKV, even=True),
        **{f"h.*.{role}": Part((role,)) for role in QKV},
        **table(("attn.c_proj", "mlp.c_fc", "mlp.c_proj", "ln_1", "ln_2"), "h.*."),
    },
    model_types=("gpt2",),
    turned=turned,
    tied=True,
)
