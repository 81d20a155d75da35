"""Texts on the errors of dossiers and their archives."""

from __future__ import annotations

from typing import Final

__all__ = ["DOSSIER"]

_AGAIN: Final = "Do not rely on it; fetch the archive again from who made it."
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
    "dossier-sign": (
        "`--sign` was given without `--archive`: there is nothing to sign.",
        "Add `--archive dossier.zip`.",
    ),
    "usage-verify": (
        "`--key` or `--without-inputs` was given with an evidence file; both are for archives.",
        "Leave them out, or name an archive of a dossier.",
    ),
    "archive-differs": (
        "`parentage verify` derived something in an archive again, and it differs: the output says which "
        "step and where.",
        "Do not rely on the archive; ask who made it for it again. Another version of parentage may differ "
        "for that reason alone, which the output says.",
    ),
    "archive-not-zip": (
        "The file is no archive of a dossier.",
        "Name a file that `parentage dossier --archive` wrote.",
    ),
    "archive-compressed": (
        "A member of the archive is compressed. Archives of dossiers never are: no bomb fits in one.",
        _AGAIN,
    ),
    "archive-name": (
        "A member's name leads out of the archive's folder, or has signs that no member of a dossier has.",
        _AGAIN,
    ),
    "archive-twice": ("A member is in the archive twice, in the same or in other letters.", _AGAIN),
    "archive-too-many": ("The archive has more than 2,000 members.", _AGAIN),
    "archive-too-large": ("The archive is larger than 512 MiB, which no dossier is.", _AGAIN),
    "archive-cut": ("The archive ends within a member: it was cut short, or a size in it lies.", _AGAIN),
    "archive-layout": (
        "The archive's headers or its directory are not those of an archive of a dossier, or it has bytes "
        "that belong to no member. It may have been packed again by another program.",
        _AGAIN,
    ),
    "archive-manifest": ("The archive has no manifest, or lacks a member that it must have.", _AGAIN),
    "archive-member-changed": (
        "A member's bytes are not those that the manifest or the signature lists.",
        _AGAIN,
    ),
    "archive-member-missing": ("The manifest lists a member that is not in the archive.", _AGAIN),
    "archive-member-extra": ("The archive has a member that its manifest does not list.", _AGAIN),
}
