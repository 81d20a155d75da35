"""Names that most language models since Llama share; a family adds its own."""

from __future__ import annotations

from parentage.architectures.families.family import Part

__all__ = ["ATTENTION", "DECODER", "GATED_MLP", "table"]


def table(names: tuple[str, ...], prefix: str = "layers.*.") -> dict[str, Part]:
    """Each name is its own role; under ``layers.*.`` unless ``prefix`` says otherwise."""
    return {prefix + name: Part((name,), linear=not _is_norm(name)) for name in names}


def _is_norm(name: str) -> bool:
    return "norm" in name.lower() or name.startswith("ln_")


OUTSIDE = {
    "embed_tokens": Part(("embed_tokens",), linear=False),
    "norm": Part(("norm",), linear=False),
    "lm_head": Part(("lm_head",), linear=False),
}
ATTENTION = {
    **table(("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")),
    "layers.*.self_attn.qkv_proj": Part(("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
    **table(("self_attn.q_norm", "self_attn.k_norm")),
}
GATED_MLP = {
    **table(("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")),
    "layers.*.mlp.gate_up_proj": Part(("mlp.gate_proj", "mlp.up_proj"), even=True),
}
NORMS = table(("input_layernorm", "post_attention_layernorm"))
DECODER = {**OUTSIDE, **ATTENTION, **GATED_MLP, **NORMS}
