"""The files of a model's folder, listed and hashed: what a label and a signature speak of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from parentage.checkpoints.formats.safetensors_header import shown
from parentage.checkpoints.local_files import LocalFile
from parentage.checkpoints.places import safe_file
from parentage.engines.threads import map_ordered
from parentage.errors import InputMissingError, LabelError

__all__ = ["GIT", "SIGNATURE", "checked_name", "digests_of", "sha256_of", "walk"]

SIGNATURE: Final = "model.sig"
# What a repository keeps beside a model, which no signature covers (as OpenSSF model-signing has it).
GIT: Final = (".git", ".gitattributes", ".github", ".gitignore")
MOST_FILES: Final = 100_000
MEBIBYTE: Final = 2**20
Progress = Callable[[str, int, int], None]


def checked_name(name: str) -> str:
    """A name that stays in the folder, as POSIX writes it; else ``LabelError`` (``label-malformed``)."""
    parts = PurePosixPath(name).parts
    good = parts and "\\" not in name and name == "/".join(parts) and not {"..", "/"} & set(parts)
    if not good or not name.isprintable():
        raise LabelError(
            f"a file is named {shown(name)!r}, which is no name of a file of this folder",
            code="label-malformed",
            hint="do not trust this label",
        )
    return name


def walk(folder: Path, ignored: Iterable[str] = ()) -> Iterator[str]:
    """Names of all files in and below the folder, sorted as paths; links to folders are not followed.

    Raises ``LabelError`` (``label-too-many-files``), ``InputMissingError``.
    """
    found = 0
    aside = frozenset(ignored)
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        here = Path(place).relative_to(folder)
        folders[:] = sorted(f for f in folders if (here / f).as_posix() not in aside)
        for name in sorted(names):
            relative = (here / name).as_posix()
            if relative in aside:
                continue
            found += 1
            if found > MOST_FILES:
                raise LabelError(
                    f"more than {MOST_FILES:,} files",
                    code="label-too-many-files",
                    where=str(folder),
                    hint="name the folder of one model",
                )
            yield relative


def _unreadable(error: OSError) -> None:
    raise InputMissingError(
        f"cannot be listed: {error.strerror}", code="input-unreadable", where=str(error.filename)
    ) from None


def digests_of(
    folder: Path, names: Iterable[str], *, workers: int, progress: Progress
) -> Mapping[str, str]:
    """SHA-256 in hexadecimal by name, of files that are there; those that are not are left out.

    Raises ``InputMissingError`` for what is there and no file of the folder's own.
    """
    there = [name for name in names if os.path.lexists(folder / name)]
    total = sum(_size(folder / n) for n in there) // MEBIBYTE
    done, found = 0, dict[str, str]()
    results = map_ordered(lambda name: sha256_of(folder, name), there, workers=workers)
    for name, (digest, size) in zip(there, results, strict=True):
        found[name] = digest
        done += size
        progress("hashing (MiB)", done // MEBIBYTE, total)
    return found


def sha256_of(folder: Path, name: str) -> tuple[str, int]:
    """SHA-256 in hexadecimal and bytes of one file; ``read-changed`` when it was modified meanwhile."""
    file = LocalFile(name, safe_file(folder, name))
    try:
        whole = hashlib.sha256()
        for _, block in file.blocks():
            whole.update(block)
        return whole.hexdigest(), file.size
    finally:
        file.close()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
