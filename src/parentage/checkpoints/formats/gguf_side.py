"""What a GGUF file says beside its weights: architecture, tokens, chat template, in the words of the files
that lie beside other formats.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from parentage.checkpoints.formats.gguf_values import Numbers, Value

__all__ = ["config_of", "metadata_of", "side_files_of"]

# Longer values are files of their own, or lists.
SHOWN_VALUE = 1024
MOST_WORDS = 64
# Key after the architecture's name to the usual name in config.json.
_CONFIG = {
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "expert_count": "num_experts",
    "context_length": "max_position_embeddings",
    "vocab_size": "vocab_size",
}
TEMPLATE, TOKENS = "tokenizer.chat_template", "tokenizer.ggml.tokens"


def metadata_of(values: Mapping[str, Value]) -> dict[str, str]:
    """Short values as text, in their order; lists of words joined."""
    found = {}
    for name, value in values.items():
        text = _text(value)
        if text is not None and len(text) <= SHOWN_VALUE:
            found[name] = text
    return found


def config_of(values: Mapping[str, Value]) -> dict[str, Any]:
    """Entries that config.json would have; empty where no architecture is named."""
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str):
        return {}
    found: dict[str, Any] = {"model_type": architecture}
    for key, usual in _CONFIG.items():
        value = values.get(f"{architecture}.{key}")
        if type(value) is int:
            found[usual] = value
    tokens = values.get(TOKENS)
    if "vocab_size" not in found and isinstance(tokens, tuple):
        found["vocab_size"] = len(tokens)
    return found


def side_files_of(values: Mapping[str, Value]) -> dict[str, bytes]:
    """The chat template, and the vocabulary as a JSON list, under the names that such files have."""
    found = {}
    template, tokens = values.get(TEMPLATE), values.get(TOKENS)
    if isinstance(template, str):
        found["chat_template.jinja"] = template.encode()
    if isinstance(tokens, tuple) and all(isinstance(t, str) for t in tokens):
        found["tokenizer.ggml.tokens.json"] = json.dumps(tokens, ensure_ascii=False).encode()
    return found


def _text(value: Value) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else None
    if isinstance(value, Numbers):
        return None
    words = [v for v in value[:MOST_WORDS] if isinstance(v, str)]
    return ", ".join(words) if len(words) == len(value) else None
