"""How callers hear what is being done: the stage, how much of it is done, and of how much."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "silent"]


Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """No progress."""
