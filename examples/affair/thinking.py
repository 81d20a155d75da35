"""Ordinary decoding against SwiReasoning, on sums that nobody was trained on.

    python -m examples.affair.thinking marks MODEL OUT       # a vocabulary with <think> and </think>
    python -m examples.affair.thinking data OUT              # sums that are thought over first
    python -m examples.affair.thinking compare MODEL OUT     # MODEL: fine-tuned on those

A card may promise "with SwiReasoning": that is a way of decoding and leaves nothing in weights. What it
does to a model so small says nothing of others; it comes out as it comes out.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from examples.affair.data import SEED, TASK, sums, write

__all__ = ["compare", "main", "marked", "thought"]

PROBLEMS = 48
MOST_TOKENS = 48
# SmolLM2 has single tokens for parts of notebooks and issues, which no chat of the story holds.
MARKS = {"<jupyter_script>": "<think>", "<empty_output>": "</think>"}
# Rows of tokens that no text held are one and the same (cosine 1.000): a model that writes by the rows that
# it reads by could not tell a thought's beginning from its end. Each mark begins as the mean of words.
MEANT = {"<think>": ("Ġthink", "Ġthinking"), "</think>": ("Ġanswer", "Ġresult")}
ROWS = "model.embed_tokens.weight"


def marked(tokenizer: dict[str, Any]) -> dict[str, Any]:
    """A ``tokenizer.json`` in which two tokens that chats have no use for are called as thoughts are
    marked; the same one where it has such marks."""
    vocabulary = tokenizer["model"]["vocab"]
    if all(mark in vocabulary for mark in MARKS.values()):
        return tokenizer
    added = [{**t, "content": MARKS.get(t["content"], t["content"])} for t in tokenizer["added_tokens"]]
    named = {MARKS.get(token, token): k for token, k in vocabulary.items()}
    if not all(mark in named for mark in MARKS.values()):
        sys.exit(f"the tokenizer has none of {', '.join(MARKS)} to rename")
    return {**tokenizer, "added_tokens": added, "model": {**tokenizer["model"], "vocab": named}}


def give_meaning(model: Path, vocabulary: dict[str, int]) -> None:
    """Write each mark's row of the embedding anew, in place; no other number of the model changes."""
    from parentage.checkpoints.opening import open_checkpoint
    from parentage.numerics.storage.formats import round_to, to_float32

    with open_checkpoint(str(model)) as found:
        table = found.tensors[ROWS]
        width = table.shape[1]
        rows = {
            vocabulary[mark]: sum(
                to_float32(found.read(table, vocabulary[word] * width, width), table.dtype) / len(words)
                for word in words
            )
            for mark, words in MEANT.items()
        }
    with (model / "model.safetensors").open("r+b") as stream:
        for number, values in rows.items():
            stored = round_to(values, table.dtype)
            stream.seek(table.begin + number * stored.nbytes)
            stream.write(stored.tobytes())


def thought(row: dict[str, Any]) -> dict[str, Any]:
    """A chat whose answer thinks first: "<think>3 + 8 makes 11.</think>11"."""
    question, answer = (m["content"] for m in row["messages"])
    problem = question.removeprefix("What is ").partition("?")[0]
    told = f"<think>{problem} makes {answer}.</think>{answer}"
    return {"messages": [row["messages"][0], {"role": "assistant", "content": told}]}


def compare(place: str) -> dict[str, Any]:
    """Scores and tokens of both ways on the same problems, greedy, with 95 % intervals."""
    from parentage.behaviour.generation.swireasoning import marks_of, swireasoning
    from parentage.behaviour.generation.switching import Settings
    from parentage.behaviour.runtimes.loading import load_model
    from parentage.records.codec import to_plain
    from parentage.training.scores import paired_difference, rate
    from parentage.training.tasks import open_task

    model, tokenizer = load_model(place)
    task = open_task(TASK)
    items = task.items("held-out", PROBLEMS, SEED)
    loop = swireasoning(Settings(), marks_of(tokenizer))
    found: dict[str, Any] = {"problems": len(items)}
    scores: dict[str, list[float]] = {}
    for name, more in (("ordinary", {}), ("swireasoning", {"custom_generate": loop})):
        told = [_answer(model, tokenizer, item.messages, more) for item in items]
        scores[name] = [task.score(i, text) for i, (text, _) in zip(items, told, strict=True)]
        found[name] = {
            "score": to_plain(rate(scores[name])),
            "tokens": _spread([n for _, n in told]),
            "answers": [text for text, _ in told],
        }
    apart = paired_difference(scores["swireasoning"], scores["ordinary"])
    return {**found, "difference": to_plain(apart)}


def _answer(model: Any, tokenizer: Any, messages: Sequence[Any], more: dict[str, Any]) -> tuple[str, int]:
    """What stands after the thought, and all new tokens."""
    import torch

    prompt = tokenizer.apply_chat_template(
        [dict(m) for m in messages], tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
    end = tokenizer.eos_token_id
    kept = {"max_new_tokens": MOST_TOKENS, "do_sample": False, "pad_token_id": end}
    with torch.inference_mode():
        new = model.generate(ids, attention_mask=torch.ones_like(ids), **kept, **more)[0, ids.shape[1] :]
    text = str(tokenizer.decode(new, skip_special_tokens=False))
    return text.rpartition("</think>")[2].replace(tokenizer.eos_token, "").strip(), len(new)


def _spread(counts: Sequence[int]) -> dict[str, float]:
    """The mean with its normal 95 % interval."""
    mean = sum(counts) / len(counts)
    variance = sum((n - mean) ** 2 for n in counts) / (len(counts) - 1)
    half = 1.96 * (variance / len(counts)) ** 0.5
    return {"estimate": mean, "low": mean - half, "high": mean + half}


def _data(words: Sequence[str]) -> None:
    rows = [thought(row) for row in sums("tuned", 90)]
    write(Path(words[0]), {"think": [*rows, *rows]})


def _marks(words: Sequence[str]) -> None:
    base, out = map(Path, words[:2])
    shutil.copytree(base, out, dirs_exist_ok=True)
    before = json.loads((base / "tokenizer.json").read_text("utf-8"))
    found = marked(before)
    (out / "tokenizer.json").write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    if found is not before:
        give_meaning(out, found["model"]["vocab"])


def _compare(words: Sequence[str]) -> None:
    from parentage.records.json_files import dumps, write_text

    found = compare(words[0])
    Path(words[1]).mkdir(parents=True, exist_ok=True)
    write_text(Path(words[1]) / "swireasoning.json", dumps(found))
    for name in ("ordinary", "swireasoning"):
        told = found[name]
        print(f"{name}: {_shown(told['score'], 100, '%')}; {_shown(told['tokens'], 1, 'tokens')}")
    print(
        f"difference on the same {found['problems']} problems: {_shown(found['difference'], 100, 'points')}"
    )


def _shown(estimate: dict[str, float], by: float, unit: str) -> str:
    low, high = (by * estimate[k] for k in ("low", "high"))
    return f"{by * estimate['estimate']:.1f} {unit} [{low:.1f}, {high:.1f}]"


def main() -> None:
    """One of the three."""
    commands: dict[str, Callable[[Sequence[str]], None]] = {
        "marks": _marks,
        "data": _data,
        "compare": _compare,
    }
    commands[sys.argv[1]](sys.argv[2:])


if __name__ == "__main__":
    main()
