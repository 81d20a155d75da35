"""What a tensor does, read from its name: role, component, layer."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["TensorRole", "role_of"]


@dataclass(frozen=True, slots=True)
class TensorRole:
    """``role`` is fine (``attention.q``), ``component`` coarse (``attention``); ``layer`` None outside."""

    role: str
    component: str
    layer: int | None


# First match wins. Families: Llama, Mistral, Qwen2/3/3.5-MoE, Mixtral, Gemma, Phi, GPT-2, BERT.
_RULES: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), role, component)
    for pattern, role, component in (
        (r"position_ids$|inv_freq$|masked_bias$|num_batches_tracked$", "buffer", "other"),
        (r"(^|\.)visual\.|vision_tower|vision_model", "vision", "vision"),
        (r"(^|\.)mtp\.", "mtp", "mtp"),
        (
            r"(layernorm|layer_norm|LayerNorm|(^|[._])norm\d*|ln_\w+|[qk]_norm)\.(weight|bias)$",
            "norm",
            "norm",
        ),
        (r"embed_tokens|word_embeddings|wte\.|tok_embeddings", "embedding.token", "embedding"),
        (r"position_embeddings|wpe\.", "embedding.position", "embedding"),
        (r"token_type_embeddings", "embedding.type", "embedding"),
        (r"lm_head|^output\.weight|cls\.predictions", "head", "head"),
        (r"linear_attn\.(\w+)", "linear-attention", "linear-attention"),
        (r"experts?\.(\d+\.)?(gate_up|gate|up|w1|w3)", "experts.up", "experts"),
        (r"(?<!shared_)experts?\.(\d+\.)?(down|w2)", "experts.down", "experts"),
        (r"shared_expert", "shared-expert", "shared-expert"),
        (r"(mlp|block_sparse_moe)\.(gate|router)\.", "router", "router"),
        (r"(q_proj|self\.query|\.wq)\b", "attention.q", "attention"),
        (r"(k_proj|self\.key|\.wk)\b", "attention.k", "attention"),
        (r"(v_proj|self\.value|\.wv)\b", "attention.v", "attention"),
        (r"(qkv_proj|c_attn|query_key_value)", "attention.qkv", "attention"),
        (
            r"(o_proj|out_proj|attention\.output\.dense|attn\.c_proj|\.wo\b)",
            "attention.o",
            "attention",
        ),
        (r"(gate_proj|feed_forward\.w1)", "mlp.gate", "mlp"),
        (r"gate_up_proj", "mlp.gate-up", "mlp"),
        (r"(up_proj|fc1|c_fc|intermediate\.dense|feed_forward\.w3)", "mlp.up", "mlp"),
        (r"(down_proj|fc2|mlp\.c_proj|output\.dense|feed_forward\.w2)", "mlp.down", "mlp"),
        (r"pooler", "pooler", "pooler"),
    )
)
_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")


def role_of(name: str) -> TensorRole:
    """The role of a tensor; ``other`` for a name that no rule knows."""
    match = _LAYER.search(name)
    layer = int(match.group(1)) if match and len(match.group(1)) < 7 else None
    for pattern, role, component in _RULES:
        if pattern.search(name):
            return TensorRole(role, component, layer)
    return TensorRole("other", "other", layer)
