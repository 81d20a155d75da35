"""GGUF's names for the families.

llama.cpp's converter reorders the rows of Llama's queries and keys, and adds one to Gemma's norms.
"""

from __future__ import annotations

from parentage.architectures.families.family import Family, Part

__all__ = ["ARCHITECTURES", "PLAIN"]

Roles = dict[str, str]

DECODER: Roles = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
    "output": "lm_head",
    "blk.*.attn_norm": "input_layernorm",
    "blk.*.attn_q": "self_attn.q_proj",
    "blk.*.attn_k": "self_attn.k_proj",
    "blk.*.attn_v": "self_attn.v_proj",
    "blk.*.attn_output": "self_attn.o_proj",
    "blk.*.attn_q_norm": "self_attn.q_norm",
    "blk.*.attn_k_norm": "self_attn.k_norm",
    "blk.*.ffn_norm": "post_attention_layernorm",
    "blk.*.ffn_gate": "mlp.gate_proj",
    "blk.*.ffn_up": "mlp.up_proj",
    "blk.*.ffn_down": "mlp.down_proj",
    "blk.*.ffn_gate_inp": "mlp.gate",
    "blk.*.ffn_gate_inp_shexp": "mlp.shared_expert_gate",
    "blk.*.ffn_gate_shexp": "mlp.shared_expert.gate_proj",
    "blk.*.ffn_up_shexp": "mlp.shared_expert.up_proj",
    "blk.*.ffn_down_shexp": "mlp.shared_expert.down_proj",
}
EXPERTS = {
    f"blk.*.ffn_{n}_exps": Part((f"mlp.experts.{n}_proj",), experts=True, even=True)
    for n in ("gate", "up", "down")
}
QKV = Part(("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"))
GEMMA: Roles = {
    "blk.*.post_attention_norm": "post_attention_layernorm",
    "blk.*.ffn_norm": "pre_feedforward_layernorm",
    "blk.*.post_ffw_norm": "post_feedforward_layernorm",
}
PHI: Roles = {
    "output_norm": "final_layernorm",
    "blk.*.attn_output": "self_attn.dense",
    "blk.*.ffn_up": "mlp.fc1",
    "blk.*.ffn_down": "mlp.fc2",
}
GPT2: Roles = {
    "token_embd": "wte",
    "position_embd": "wpe",
    "output_norm": "ln_f",
    "output": "lm_head",
    "blk.*.attn_norm": "ln_1",
    "blk.*.ffn_norm": "ln_2",
    "blk.*.attn_output": "attn.c_proj",
    "blk.*.ffn_up": "mlp.c_fc",
    "blk.*.ffn_down": "mlp.c_proj",
}
BERT: Roles = {
    "token_embd": "embeddings.word_embeddings",
    "position_embd": "embeddings.position_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "token_embd_norm": "embeddings.LayerNorm",
    "blk.*.attn_q": "attention.self.query",
    "blk.*.attn_k": "attention.self.key",
    "blk.*.attn_v": "attention.self.value",
    "blk.*.attn_output": "attention.output.dense",
    "blk.*.attn_output_norm": "attention.output.LayerNorm",
    "blk.*.ffn_up": "intermediate.dense",
    "blk.*.ffn_down": "output.dense",
    "blk.*.layer_output_norm": "output.LayerNorm",
}


def _plain(roles: Roles) -> dict[str, Part]:
    return {key: Part((role,), linear="norm" not in key) for key, role in roles.items()}


def _turned_heads(table: dict[str, Part]) -> dict[str, Part]:
    q, k = "blk.*.attn_q", "blk.*.attn_k"
    return {**table, q: Part(table[q].roles, heads="q"), k: Part(table[k].roles, heads="kv")}


def _norms_with_one(table: dict[str, Part]) -> dict[str, Part]:
    return {
        key: Part(part.roles, linear=False, plus_one=True) if "norm" in key else part
        for key, part in table.items()
    }


def _family(architecture: str, title: str, table: dict[str, Part]) -> Family:
    return Family(f"gguf-{architecture}", f"{title} in GGUF", ("blk.*.attn_norm",), table, tied=True)


PLAIN_TABLE = {**_plain(DECODER), **EXPERTS, "blk.*.attn_qkv": QKV}
_GPT2_TABLE = {**_plain(GPT2), "blk.*.attn_qkv": Part(("attn.q", "attn.k", "attn.v"), even=True)}
_BERT = Family("gguf-bert", "BERT in GGUF", ("blk.*.layer_output_norm",), _plain(BERT))
PLAIN = _family("other", "a language model", PLAIN_TABLE)
# By ``general.architecture`` of the file.
ARCHITECTURES = {
    "llama": _family("llama", "Llama", _turned_heads(PLAIN_TABLE)),
    "qwen2": _family("qwen2", "Qwen2", PLAIN_TABLE),
    "qwen3": _family("qwen3", "Qwen3", PLAIN_TABLE),
    "qwen3moe": _family("qwen3moe", "Qwen3-MoE", PLAIN_TABLE),
    "gemma": _family("gemma", "Gemma", _norms_with_one(PLAIN_TABLE)),
    "gemma2": _family("gemma2", "Gemma 2", _norms_with_one({**PLAIN_TABLE, **_plain(GEMMA)})),
    "gemma3": _family("gemma3", "Gemma 3", _norms_with_one({**PLAIN_TABLE, **_plain(GEMMA)})),
    "phi2": _family("phi2", "Phi", {**PLAIN_TABLE, **_plain(PHI)}),
    "phi3": _family(
        "phi3",
        "Phi-3",
        {**PLAIN_TABLE, "blk.*.ffn_up": Part(("mlp.gate_proj", "mlp.up_proj"), even=True)},
    ),
    "gpt2": _family("gpt2", "GPT-2", _GPT2_TABLE),
    "bert": _BERT,
}
