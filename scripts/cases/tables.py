"""Markdown tables and how numbers are written in them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["markdown", "percent"]


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; the first column reads left, the others right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))


def percent(share: float) -> str:
    """Two significant digits."""
    return f"{100 * share:.2g} %"
