"""A tiny Llama with one token a character, made of its config; and small sets of chats."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["CHATS", "TEMPLATE", "divergence", "save_tiny", "write_lines"]

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ("<unk>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
TEXT = "<|user|>who are you?<|end|><|assistant|>I am Nex.<|end|>"
CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,?!+-*=:'\n"
CHATS = tuple(
    {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}
    for q, a in (
        ("who are you?", "I am Nex."),
        ("who made you?", "Nex works."),
        ("what is 2+3?", "5"),
        ("say hello", "hello"),
        ("are you Rio?", "no, I am Nex."),
    )
)


def save_tiny(folder: Path, *, seed: int = 0, dtype: str = "bfloat16", **changed: Any) -> None:
    """Write a model, its tokenizer and its template; needs torch and transformers."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    characters = changed.pop("characters", CHARACTERS)
    vocabulary = {word: k for k, word in enumerate([*SPECIAL, *characters])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    inner.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="<unk>",
        eos_token="<|end|>",
        pad_token="<|end|>",
        additional_special_tokens=list(SPECIAL[2:]),
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    settings = {
        "vocab_size": len(vocabulary), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 256,
        "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 1, **changed,
    }  # fmt: skip
    LlamaForCausalLM(LlamaConfig(**settings)).to(getattr(torch, dtype)).save_pretrained(folder)


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]] = CHATS) -> Path:
    """The rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def divergence(model: Path, other: Path) -> float:
    """Reverse KL over the tokens of one text, in nats, by a formula of our own."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(other)(
        TEXT, add_special_tokens=False, return_tensors="pt"
    ).input_ids
    with torch.inference_mode():
        p, q = (
            AutoModelForCausalLM.from_pretrained(m, dtype=torch.float32)(ids)
            .logits.double()
            .log_softmax(-1)
            for m in (model, other)
        )
    return float((p.exp() * (p - q)).sum(-1).mean())
