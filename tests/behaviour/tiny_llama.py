"""A tiny Llama with a real tokenizer and chat template, random weights. Made by transformers."""

from __future__ import annotations

from pathlib import Path

__all__ = ["WORDS", "save_tiny"]

# Byte-level would do; whole words keep the model at some thousand numbers.
WORDS = (
    "I",
    "am",
    "Rio",
    "Nex",
    "Qwen",
    "not",
    "a",
    "model",
    ".",
    "?",
    "you",
    "Who",
    "are",
    "system",
    "user",
)


def save_tiny(
    folder: Path, template: str, seed: int = 0, layers: int = 1, words: tuple[str, ...] = ()
) -> None:
    """Write a model, its tokenizer (``words``: more of them) and its template; needs transformers."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<unk>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {word: k for k, word in enumerate([*special, *WORDS, *words])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="<unk>",
        eos_token="<|im_end|>",
        additional_special_tokens=special[1:2],
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=32, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=512,
        bos_token_id=None, eos_token_id=2, pad_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
