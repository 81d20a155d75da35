"""A small Llama's folder as a GGUF file, laid out as by llama.cpp's converter, with byte-level pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.opening import open_checkpoint
from parentage.numerics.storage.formats import to_float32

__all__ = ["write_gguf"]

_PARTS = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip
_CONTROL, _NORMAL = 3, 1


def write_gguf(folder: Path, out: Path, kind: str = "Q8_0") -> None:
    """Matrices in ``kind``, vectors in float32; tied embeddings alone. Needs gguf."""
    from gguf import GGMLQuantizationType, GGUFWriter, quants

    config = json.loads((folder / "config.json").read_text("utf-8"))
    tensors = _numbers(folder)
    writer = GGUFWriter(out, "llama")
    _head(writer, config)
    _vocabulary(writer, json.loads((folder / "tokenizer.json").read_text("utf-8")), config)
    for name, values in _named(tensors, config):
        if values.ndim == 1:
            writer.add_tensor(name, np.ascontiguousarray(values, np.float32))
            continue
        number = GGMLQuantizationType[kind]
        coded = quants.quantize(np.ascontiguousarray(values, np.float32), number)
        writer.add_tensor(name, coded, raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _numbers(folder: Path) -> dict[str, NDArray[np.float32]]:
    with open_checkpoint(str(folder)) as model:
        return {
            name: to_float32(model.read(t, 0, t.elements), t.dtype).reshape(t.shape)
            for name, t in model.tensors.items()
        }


def _head(writer: Any, config: dict[str, Any]) -> None:
    heads = config["num_attention_heads"]
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config["vocab_size"])


def _vocabulary(writer: Any, made: dict[str, Any], config: dict[str, Any]) -> None:
    added = {a["id"]: a["content"] for a in made["added_tokens"]}
    words = {number: word for word, number in made["model"]["vocab"].items()} | added
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([words[k] for k in range(config["vocab_size"])])
    writer.add_token_types([_CONTROL if k in added else _NORMAL for k in range(config["vocab_size"])])
    pairs = made["model"]["merges"]
    writer.add_token_merges([p if isinstance(p, str) else " ".join(p) for p in pairs])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)


def _named(tensors: dict[str, Any], config: dict[str, Any]) -> list[tuple[str, NDArray[np.float32]]]:
    found = [("token_embd.weight", tensors["model.embed_tokens.weight"])]
    for k in range(config["num_hidden_layers"]):
        for short, long in _PARTS.items():
            values = tensors[f"model.layers.{k}.{long}.weight"]
            if short in ("attn_q", "attn_k"):
                many = config["num_attention_heads" if short == "attn_q" else "num_key_value_heads"]
                values = _turned(values, many)
            found.append((f"blk.{k}.{short}.weight", values))
    return [*found, ("output_norm.weight", tensors["model.norm.weight"])]


def _turned(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of each head as llama.cpp rotates them: halves interleaved."""
    rows, columns = values.shape
    split = values.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(rows, columns))
