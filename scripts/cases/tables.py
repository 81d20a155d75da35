"""Markdown tables and how numbers are written in them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["markdown", "percent", "signed"]


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; the first column reads left, the others right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))


def percent(share: float) -> str:
    """Two significant digits."""
    return f"{100 * share:.2g} %"


def signed(value: float) -> str:
    """Four decimals with a sign; what rounds to nothing has none below zero."""
    return f"{round(value, 4) + 0.0:+.4f}"
