"""Progress that nobody watches."""

from __future__ import annotations

__all__ = ["silent"]


def silent(stage: str, done: int, total: int) -> None:
    """Say nothing."""
