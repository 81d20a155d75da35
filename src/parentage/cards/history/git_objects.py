"""A git repository on disk, read without trusting it.

The repository is hostile: its configuration could name programs that git would run. So git never sees it. A
new, empty repository of our own borrows its objects (gitrepository-layout(5), ``objects/info/alternates``),
and git reads commits and files by their digests; references are read here, as text.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from parentage.errors import CardError

__all__ = ["Borrowed", "borrowed", "is_git"]

_HASH: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_REFERENCE: Final = re.compile(r"refs/[\w.\-/]{1,200}", re.ASCII)
MAX_REFERENCES: Final = 2**24
SECONDS: Final = 120
BLOCK: Final = 2**20


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A repository of our own that borrows another's objects; ``head`` is the other's commit."""

    head: str
    environment: Mapping[str, str]

    def run(self, *arguments: str) -> bytes:
        """What git prints; ``CardError`` (``card-history``) where it fails or takes too long."""
        try:
            done = subprocess.run(
                [_program(), *arguments],
                env=self.environment,
                capture_output=True,
                check=False,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise _no_history(f"git took more than {SECONDS} seconds", "") from None
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", errors="replace").strip()[:300]
            raise _no_history(f"git cannot read its history: {said}", "")
        return done.stdout

    def blob(self, name: str) -> bytes:
        """A file's bytes, by its id; whoever asks has looked at its size."""
        return self.run("cat-file", "blob", name)

    def sha256(self, name: str, seconds: float) -> str | None:
        """Of a file's bytes, streamed; ``None`` where git did not give all of them in that time."""
        process = subprocess.Popen(
            [_program(), "cat-file", "blob", name],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        clock = threading.Timer(seconds, process.kill)
        clock.start()
        digest = hashlib.sha256()
        try:
            assert process.stdout is not None
            while block := process.stdout.read(BLOCK):
                digest.update(block)
        finally:
            clock.cancel()
            process.kill()
            process.communicate()
        return digest.hexdigest() if process.returncode == 0 else None


def is_git(place: Path) -> bool:
    """Whether a folder is a repository, or a work tree with one in it."""
    return any((p / "objects").is_dir() and (p / "HEAD").is_file() for p in (place, place / ".git"))


@contextmanager
def borrowed(place: Path) -> Iterator[Borrowed]:
    """Open a repository's objects for a while. Raises ``CardError`` (``card-history``)."""
    folder = place / ".git" if (place / ".git" / "objects").is_dir() else place
    head = _head(folder)
    objects = str((folder / "objects").resolve())
    if "\n" in objects or objects.startswith('"'):
        raise _no_history("its path cannot be borrowed from", folder)
    with tempfile.TemporaryDirectory(prefix="parentage-card-") as own:
        _furnish(Path(own), folder, objects, head)
        yield Borrowed(head, _environment(own))


def _furnish(home: Path, folder: Path, objects: str, head: str) -> None:
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


def _environment(own: str) -> dict[str, str]:
    return {
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


def _program() -> str:
    program = shutil.which("git")
    if program is None:
        raise CardError(
            "git is not installed", code="card-history", hint="install git, or name the model on the hub"
        )
    return program


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


def _no_history(message: str, where: Path | str) -> CardError:
    return CardError(
        message, code="card-history", where=str(where), hint="name a clone or a mirror of the repository"
    )
