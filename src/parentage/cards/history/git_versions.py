"""Versions of a card in a git repository on disk.

The repository is hostile: its configuration could name programs that git would run. So git never sees it. A
new, empty repository of our own borrows its objects (gitrepository-layout(5), ``objects/info/alternates``),
and git reads commits and files by their digests; references are read here, as text.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from parentage.cards.history.versions import MAX_CARD, MOST_VERSIONS, TextVersion
from parentage.errors import CardError

__all__ = ["git_versions", "is_git"]

_HASH: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_REFERENCE: Final = re.compile(r"refs/[\w.\-/]{1,200}", re.ASCII)
MAX_REFERENCES: Final = 2**24
SECONDS: Final = 120


def is_git(place: Path) -> bool:
    """Whether a folder is a repository, or a work tree with one in it."""
    return any((p / "objects").is_dir() and (p / "HEAD").is_file() for p in (place, place / ".git"))


def git_versions(place: Path, name: str = "README.md") -> tuple[tuple[TextVersion, ...], tuple[str, ...]]:
    """Versions of the file, oldest first, as of HEAD; and what of them was left out.

    Raises ``CardError`` (``card-history``) where there is no repository, no git, or no such history.
    """
    folder = place / ".git" if (place / ".git" / "objects").is_dir() else place
    head = _head(folder)
    with _borrowing(folder, head) as environment:
        listed = _git(environment, "log", "--format=%H %cI", f"-n{MOST_VERSIONS + 1}", head, "--", name)
        rows = [line.split(" ") for line in listed.decode("ascii", errors="replace").splitlines()]
        limits: tuple[str, ...] = ()
        if len(rows) > MOST_VERSIONS:
            limits = (f"only the newest {MOST_VERSIONS} versions were read",)
        found = [TextVersion(h, when, _text(environment, h, name)) for h, when in rows[:MOST_VERSIONS]]
    return tuple(reversed(found)), limits


def _head(folder: Path) -> str:
    """The commit that HEAD names, through one reference at most."""
    text = _small(folder / "HEAD").strip()
    name = text.removeprefix("ref:").strip()
    if text.startswith("ref:") and _REFERENCE.fullmatch(name) and ".." not in name:
        loose = folder / name
        text = _small(loose).strip() if loose.is_file() else _packed(folder, name)
    if _HASH.fullmatch(text) is None:
        raise _no_history("its HEAD names no commit", folder)
    return text


def _packed(folder: Path, name: str) -> str:
    path = folder / "packed-refs"
    for line in (_small(path) if path.is_file() else "").splitlines():
        digest, _, reference = line.partition(" ")
        if reference == name:
            return digest
    return ""


def _small(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_REFERENCES).decode("ascii", errors="replace")
    except OSError as error:
        raise _no_history(f"cannot be read: {error.strerror}", path) from None


@contextmanager
def _borrowing(folder: Path, head: str) -> Iterator[dict[str, str]]:
    """The environment of a repository of our own, with nothing in it, that borrows another's objects."""
    objects = str((folder / "objects").resolve())
    if "\n" in objects or objects.startswith('"'):
        raise _no_history("its path cannot be borrowed from", folder)
    with tempfile.TemporaryDirectory(prefix="parentage-card-") as own:
        home = Path(own)
        for name in ("objects/info", "refs"):
            (home / name).mkdir(parents=True)
        (home / "HEAD").write_text("ref: refs/heads/none\n")
        (home / "objects" / "info" / "alternates").write_text(objects + "\n")
        if len(head) == 64:
            (home / "config").write_text(
                "[core]\nrepositoryformatversion = 1\n[extensions]\nobjectformat = sha256\n"
            )
        shallow = folder / "shallow"
        if shallow.is_file():
            kept = [h for h in _small(shallow).split() if _HASH.fullmatch(h)]
            (home / "shallow").write_text("".join(f"{h}\n" for h in kept))
        yield {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": own,
            "GIT_DIR": own,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "LC_ALL": "C",
        }


def _git(environment: dict[str, str], *arguments: str) -> bytes:
    program = shutil.which("git")
    if program is None:
        raise CardError(
            "git is not installed", code="card-history", hint="install git, or name the model on the hub"
        )
    try:
        done = subprocess.run(
            [program, *arguments], env=environment, capture_output=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise _no_history(f"git took more than {SECONDS} seconds", Path(environment["GIT_DIR"])) from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", errors="replace").strip()[:300]
        raise CardError(
            f"git cannot read its history: {said}", code="card-history", hint="fetch the repository again"
        )
    return done.stdout


def _text(environment: dict[str, str], revision: str, name: str) -> str:
    """The file at a commit, "" where the commit took it away or it is too large to be a card."""
    listed = _git(environment, "ls-tree", "-l", revision, "--", name).decode("utf-8", errors="replace")
    found = re.match(r"\d+ blob ([0-9a-f]+) +(\d+)\t", listed)
    if found is None or int(found[2]) > MAX_CARD:
        return ""
    return _git(environment, "cat-file", "blob", found[1]).decode("utf-8", errors="replace")


def _no_history(message: str, where: Path) -> CardError:
    return CardError(
        message, code="card-history", where=str(where), hint="name a clone or a mirror of the repository"
    )
