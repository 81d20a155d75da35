"""What the error codes of model cards mean: a part of ``error_texts``."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CARDS"]

CARDS: Mapping[str, tuple[str, str]] = {
    "card-words": (
        "A file of further words to read cards with (`--words`) is not one: no table of claims, a pattern "
        "that is no regular expression, or one that is too long.",
        "[docs/cards.md](cards.md) shows the shape of such a file.",
    ),
}
