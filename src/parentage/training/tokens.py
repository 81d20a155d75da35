"""Examples as ids, with the tokens that are learnt marked; the template is rendered in the sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from parentage.behaviour.templates.rendering import render_prompts, render_turns
from parentage.behaviour.templates.sources import ChatTemplate, read_templates
from parentage.errors import UsageError
from parentage.records.absence import Absent
from parentage.training.data import DataFile, Example

__all__ = ["IGNORED", "Row", "Rows", "prompt_texts", "tokenised"]

# torch's cross entropy and transformers leave this label out.
IGNORED: Final = -100
# Rendered by one process of the sandbox, whose seconds are bounded.
AT_ONCE: Final = 400


@dataclass(frozen=True, slots=True)
class Row:
    """``labels``: the ids that are learnt, at their own places; IGNORED elsewhere."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """``cut``: examples that lost tokens to the longest length; ``left_out``: that lost all they taught."""

    rows: tuple[Row, ...]
    cut: int
    left_out: int


def tokenised(
    data: DataFile, model: str, tokenizer: Any, max_length: int, *, all_tokens: bool = False
) -> Rows:
    """Rows to learn from. ``all_tokens``: what the user says is learnt as well.

    Raises ``TemplateError``, and ``UsageError`` (``data-nothing-left``, ``data-template``).
    """
    texts = _rendered(data.examples, model)
    found, cut = [], 0
    for example in data.examples:
        row = (
            _chat(tokenizer, *texts[example.line], all_tokens)
            if example.messages
            else _plain(tokenizer, example, all_tokens)
        )
        cut += len(row.ids) > max_length
        found.append(Row(row.ids[:max_length], row.labels[:max_length]))
    # The first token is predicted from nothing.
    rows = tuple(r for r in found if any(label != IGNORED for label in r.labels[1:]))
    if not rows:
        raise UsageError(
            f"no example has anything left to learn within {max_length:,} tokens",
            code="data-nothing-left",
            where=data.name,
            hint="a longer --max-length",
        )
    return Rows(rows, cut, len(found) - len(rows))


def _template(model: str) -> ChatTemplate:
    return read_templates(model)[0]


def _rendered(examples: Sequence[Example], model: str) -> dict[int, tuple[str, list[tuple[int, int]]]]:
    """(text, spans of characters that the assistant wrote) by line."""
    chats = [e for e in examples if e.messages]
    template = _template(model) if chats else None
    found = {}
    for start in range(0, len(chats), AT_ONCE):
        part = chats[start : start + AT_ONCE]
        assert template is not None
        made = render_turns(template, [e.messages for e in part])
        for example, turns in zip(part, made, strict=True):
            if isinstance(turns, Absent):
                raise _no_rendering(model, example.line, turns.reason)
            found[example.line] = (turns.text, list(turns.spans))
    return found


def _no_rendering(model: str, line: int, why: str) -> UsageError:
    return UsageError(
        f"line {line} cannot be rendered by the chat template: {why}",
        code="data-template",
        where=model,
        hint="give such data as prompt and completion, which use no template",
    )


def _chat(tokenizer: Any, text: str, spans: list[tuple[int, int]], all_tokens: bool) -> Row:
    made = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = tuple(made["input_ids"])
    if all_tokens:
        return Row(ids, ids)
    marks = [any(a <= start < end <= b for a, b in spans) for start, end in made["offset_mapping"]]
    return Row(ids, tuple(i if m else IGNORED for i, m in zip(ids, marks, strict=True)))


def _plain(tokenizer: Any, example: Example, all_tokens: bool) -> Row:
    before = tuple(tokenizer(example.prompt, add_special_tokens=True)["input_ids"])
    after = tuple(tokenizer(example.completion, add_special_tokens=False)["input_ids"])
    if tokenizer.eos_token_id is not None:
        after = (*after, tokenizer.eos_token_id)
    known = before if all_tokens else (IGNORED,) * len(before)
    return Row((*before, *after), (*known, *after))


def prompt_texts(examples: Sequence[Example], model: str) -> tuple[str, ...]:
    """Each prompt as the model is given it, to be tokenised without special tokens.

    Raises ``TemplateError``, ``UsageError`` (``data-template``).
    """
    return tuple(_prompts(examples, model))


def _prompts(examples: Sequence[Example], model: str) -> Iterator[str]:
    template = _template(model)
    for start in range(0, len(examples), AT_ONCE):
        part = examples[start : start + AT_ONCE]
        made = render_prompts(template, [("shipped", e.messages) for e in part])
        for example, text in zip(part, made, strict=True):
            if isinstance(text, Absent):
                raise _no_rendering(model, example.line, text.reason)
            yield text
