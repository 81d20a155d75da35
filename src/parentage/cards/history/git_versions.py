"""Versions of a card in a git repository on disk."""

from __future__ import annotations

import re
from pathlib import Path

from parentage.cards.history.git_objects import Borrowed, borrowed
from parentage.cards.history.versions import MAX_CARD, MOST_VERSIONS, TextVersion

__all__ = ["git_versions"]


def git_versions(place: Path, name: str = "README.md") -> tuple[tuple[TextVersion, ...], tuple[str, ...]]:
    """Versions of the file, oldest first, as of HEAD; and what of them was left out.

    Raises ``CardError`` (``card-history``) where there is no repository, no git, or no such history.
    """
    with borrowed(place) as git:
        listed = git.run("log", "--format=%H %cI", f"-n{MOST_VERSIONS + 1}", git.head, "--", name)
        rows = [line.split(" ") for line in listed.decode("ascii", errors="replace").splitlines()]
        limits: tuple[str, ...] = ()
        if len(rows) > MOST_VERSIONS:
            limits = (f"only the newest {MOST_VERSIONS} versions were read",)
        found = [TextVersion(h, when, _text(git, h, name)) for h, when in rows[:MOST_VERSIONS]]
    return tuple(reversed(found)), limits


def _text(git: Borrowed, revision: str, name: str) -> str:
    """The file at a commit, "" where the commit took it away or it is too large to be a card."""
    listed = git.run("ls-tree", "-l", revision, "--", name).decode("utf-8", errors="replace")
    found = re.match(r"\d+ blob ([0-9a-f]+) +(\d+)\t", listed)
    if found is None or int(found[2]) > MAX_CARD:
        return ""
    return git.blob(found[1]).decode("utf-8", errors="replace")
