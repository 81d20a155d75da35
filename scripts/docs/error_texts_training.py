"""The words of ``docs/errors.md`` for tasks, training and exploring."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["TRAINING"]

TRAINING: Mapping[str, tuple[str, str]] = {
    "task-file": (
        "A file of a task is missing, too large, or a line of it is no problem with an answer; the line is "
        "named.",
        'Write one line of JSON a problem: `{"prompt": "…", "answer": "…"}`.',
    ),
    "task-scoring": (
        "What stands after the colon of a task's file is no way in which answers are scored.",
        "`exact`, `number` or `contains`.",
    ),
    "task-split": (
        "A task has two splits, `tuned` and `held-out`; another was asked for. Raised to Python callers "
        "only.",
        "Name one of the two.",
    ),
    "task-too-few": (
        "A split of a task has fewer problems than were asked for. Of a file's problems each split has "
        "about half.",
        "Ask for fewer, take a harder built-in task, or add problems to the file.",
    ),
    "task-unknown": (
        "There is no built-in task of this name, and no file.",
        "The message lists the built-in ones; a file's name ends in `.jsonl`.",
    ),
}
