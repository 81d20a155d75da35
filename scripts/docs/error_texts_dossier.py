"""Texts on the errors of dossiers and their archives."""

from __future__ import annotations

from typing import Final

__all__ = ["DOSSIER"]

DOSSIER: Final[dict[str, tuple[str, str]]] = {
    "dossier-interview": (
        "`parentage dossier` was told to read kept answers and to ask, or has a panel beside nobody, or "
        "the kept answers are no file `.jsonl`, no folder of such, and no saved interview `.json`.",
        "Give `--interview` or `--ask`, one of them, and `--panel` beside it.",
    ),
    "dossier-panel": (
        "A saved interview holds its panel's readings already; another panel cannot be set beside it.",
        "Leave `--panel` out, or name the files of answers (`.jsonl`) with `--interview`.",
    ),
}
