"""What ``parentage card`` and ``parentage dossier`` are told: names with values, names with dates."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from parentage.errors import UsageError

__all__ = ["dates", "pairs"]


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """``NAME=VALUE`` by name; ``UsageError`` (``usage-card``) for anything else."""
    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{option} takes NAME=VALUE, not {text!r}", code="usage-card")
        found[name] = value
    return found


def dates(texts: Sequence[str] | None) -> dict[str, str]:
    """Dates by name, "" for the model's own; ``UsageError`` (``usage-card``) for what is no date."""
    found = {}
    for text in texts or ():
        name, _, day = text.rpartition("=")
        try:
            found[name] = datetime.date.fromisoformat(day).isoformat()
        except ValueError:
            raise UsageError(
                f"--published takes [NAME=]YYYY-MM-DD, not {text!r}", code="usage-card"
            ) from None
    return found
