"""A model is asked a task's problems, and what it answers is kept: measured once, whatever comes after."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from parentage.training.ledger import Ledger
from parentage.training.models import Model
from parentage.training.problems import Item, Task

__all__ = ["Answered", "ask"]


@dataclass(frozen=True, slots=True)
class Answered:
    """``readings``: the answer that each text gives, as the task reads it; ``scores``: from 0 to 1."""

    texts: tuple[str, ...]
    readings: tuple[str, ...]
    scores: tuple[float, ...]


def ask(
    ledger: Ledger,
    name: str,
    task: Task,
    items: Sequence[Item],
    model: Callable[[], Model],
) -> Answered:
    """Answers to all of ``items``, from the ledger where it has them under ``name``.

    ``model`` is called only where it must be asked. Problems are asked together or not at all, for a
    batch's company moves the last bits of its numbers.
    """
    digest = hashlib.sha256("".join(i.key for i in items).encode()).hexdigest()[:16]
    key = f"{name}|{task.name}|{digest}"
    if key not in ledger:
        chats = [item.messages for item in items]
        ledger.note(key, {"answers": model().answers(chats, task.most_tokens)})
    texts = tuple(str(t) for t in ledger[key]["answers"])
    pairs = list(zip(items, texts, strict=True))
    return Answered(
        texts,
        tuple(task.read(item, text) for item, text in pairs),
        tuple(task.score(item, text) for item, text in pairs),
    )
