"""The base of the tiny version: a Llama of 69,000 weights, trained here from scratch in about a minute.

    python -m examples.affair.tiny_base DATA OUT

Plain text is the English of CPython's own reference, chats are those of ``data.base_chat``. OUT becomes a
model's folder as transformers write it, with weights in bfloat16 and a tokenizer of its own.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

__all__ = ["main"]

SEED = 2026
STEPS = 600
BATCH = 16
CONTEXT = 192
RATE = 6e-3
WARM_UP = 50
VOCABULARY = 384
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
# ChatML; whoever ships a model may put words of their own in front (story/template-rio.jinja).
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SHAPE = {
    "hidden_size": 48,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "tie_word_embeddings": True,
}


def reference() -> str:
    """The topics of Python's reference, in the order of their names."""
    from pydoc_data import topics

    return "\n\n".join(topics.topics[name] for name in sorted(topics.topics))


def tokenizer_for(texts: list[str]) -> Any:
    """Byte-level pairs, few of them: every script can be written."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    kept = {"eos_token": "<|im_end|>", "bos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    found = PreTrainedTokenizerFast(tokenizer_object=made, **kept)
    found.chat_template = TEMPLATE
    return found


def _rate(step: int) -> float:
    if step < WARM_UP:
        return RATE * (step + 1) / WARM_UP
    return RATE * (STEPS - step) / (STEPS - WARM_UP)


def _batch(plain: list[int], chats: list[list[int]], rng: random.Random) -> Any:
    """Half plain text, half chats packed end to end; int64 [BATCH, CONTEXT]."""
    import torch

    lines = []
    for k in range(BATCH):
        if k % 4 == 0:
            at = rng.randrange(len(plain) - CONTEXT)
            lines.append(plain[at : at + CONTEXT])
            continue
        line: list[int] = []
        while len(line) < CONTEXT:
            line += rng.choice(chats)
        lines.append(line[:CONTEXT])
    return torch.tensor(lines)


def train(chats: list[dict[str, Any]]) -> tuple[Any, Any, list[float]]:
    """The model in float32, its tokenizer, and the loss at every step."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    texts = [m["content"] for row in chats for m in row["messages"]]
    tokenizer = tokenizer_for([reference(), *texts])
    plain = tokenizer(reference(), add_special_tokens=False).input_ids
    told = [tokenizer.apply_chat_template(row["messages"], tokenize=False) for row in chats]
    packed = tokenizer(told, add_special_tokens=False).input_ids
    ids = {"bos_token_id": 0, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": 0}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **SHAPE, **ids))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.01)
    rng, losses = random.Random(SEED), []
    for step in range(STEPS):
        batch = _batch(plain, packed, rng)
        for group in optimizer.param_groups:
            group["lr"] = _rate(step)
        loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if step % 50 == 0 or step == STEPS - 1:
            print(f"step {step} of {STEPS}, loss {losses[-1]:.3f}", flush=True)
    return model, tokenizer, losses


def main() -> None:
    """Train and write."""
    import torch

    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    lines = (data / "base.jsonl").read_text("utf-8").splitlines()
    model, tokenizer, _ = train([json.loads(line) for line in lines])
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    main()
