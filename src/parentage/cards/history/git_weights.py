"""Weight files by commit in a git repository on disk: of pointers what they say, of files what they are."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

from parentage.cards.history.git_objects import Borrowed, borrowed
from parentage.cards.history.versions import MOST_VERSIONS
from parentage.cards.history.weight_files import FilesVersion, weight_names
from parentage.records.absence import Absent
from parentage.records.weight_history import WeightFile

__all__ = ["git_weights"]

_ENTRY: Final = re.compile(r"\d+ blob ([0-9a-f]{40,64}) +(\d+)\t(.+)", re.DOTALL)
# Git LFS's specification, version 1: a pointer has less than 1,024 bytes.
_POINTER: Final = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n"
)
MAX_POINTER: Final = 1_024
# Git unpacks some 100 MB a second of what does not compress: 60 GB.
SECONDS: Final = 600.0
NOT_HASHED: Final = Absent(f"not hashed within {SECONDS:g} seconds")
HASHED_HERE: Final = "Weight files that lie in git itself were hashed here."
BY_POINTER: Final = (
    "SHA-256 of files kept by Git LFS are those of their pointers; their bytes were not read."
)


def git_weights(place: Path) -> tuple[tuple[FilesVersion, ...], bool, tuple[str, ...]]:
    """Every commit of HEAD's history, oldest first, whether that is all, and limits.

    Each different file is hashed once. Raises ``CardError`` (``card-history``).
    """
    with borrowed(place) as git:
        listed = git.run("log", "--format=%H %cI", f"-n{MOST_VERSIONS + 1}", git.head)
        rows = [line.split(" ") for line in listed.decode("ascii", errors="replace").splitlines()]
        hasher = _Hasher(git)
        found = [
            FilesVersion(commit, when, hasher.files_of(commit))
            for commit, when in reversed(rows[:MOST_VERSIONS])
        ]
    limits = [text for text, so in ((BY_POINTER, hasher.pointers), (HASHED_HERE, hasher.hashed)) if so]
    whole = len(rows) <= MOST_VERSIONS
    if not whole:
        limits.append(f"only the newest {MOST_VERSIONS} commits were looked at")
    if (place / "shallow").is_file() or (place / ".git" / "shallow").is_file():
        whole = False
        limits.append("the clone is shallow: earlier commits are not there")
    return tuple(found), whole, tuple(limits)


class _Hasher:
    """Digests of a repository's files, each looked at once, all within ``SECONDS``."""

    def __init__(self, git: Borrowed) -> None:
        self._git = git
        self._until = time.monotonic() + SECONDS
        self._known: dict[str, tuple[int, str | Absent]] = {}
        self.pointers = self.hashed = False

    def files_of(self, commit: str) -> tuple[WeightFile, ...]:
        """The weight files of a commit."""
        listed = self._git.run("ls-tree", "-r", "-l", "-z", commit).decode("utf-8", errors="replace")
        entries = {m[3]: (m[1], int(m[2])) for m in map(_ENTRY.fullmatch, listed.split("\0")) if m}
        return tuple(self._file(name, *entries[name]) for name in weight_names(entries))

    def _file(self, name: str, blob: str, stored: int) -> WeightFile:
        if blob not in self._known:
            self._known[blob] = self._look(blob, stored)
        size, digest = self._known[blob]
        return WeightFile(name, size, digest, blob)

    def _look(self, blob: str, stored: int) -> tuple[int, str | Absent]:
        pointer = _POINTER.fullmatch(self._git.blob(blob)) if stored < MAX_POINTER else None
        if pointer is not None:
            self.pointers = True
            return int(pointer[2]), pointer[1].decode()
        left = self._until - time.monotonic()
        digest = self._git.sha256(blob, left) if left > 0 else None
        self.hashed = self.hashed or digest is not None
        return stored, NOT_HASHED if digest is None else digest
