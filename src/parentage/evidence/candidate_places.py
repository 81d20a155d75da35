"""Where candidates for parents may lie: a folder, a list, or names in the suspect's own files.

What a suspect's files name is a claim by whoever wrote them, so a name leads no farther than the folder
that the suspect itself lies in: plain names only, and no link out of there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from parentage.errors import UsageError

__all__ = ["declared_places", "listed_places"]

MOST_CANDIDATES = 256
MOST_BYTES = 2**20


def listed_places(given: str) -> tuple[str, ...]:
    """The models in a folder, or those that a text file names one a line (``#`` begins a comment).

    Paths in a list are taken from the list's own folder. Raises ``UsageError`` when there are none.
    """
    path = Path(given)
    try:
        found = _in_folder(path) if path.is_dir() else _in_list(path)
    except (OSError, ValueError):
        raise UsageError(
            "the candidates cannot be read",
            code="usage-candidates",
            where=given,
            hint="name a folder of models, or a text file with one path a line",
        ) from None
    if not found:
        raise UsageError(
            "no candidate is there",
            code="usage-candidates",
            where=given,
            hint="name a folder of models, or a text file with one path a line",
        )
    if len(found) > MOST_CANDIDATES:
        raise UsageError(
            f"{len(found):,} candidates; at most {MOST_CANDIDATES} can be tried at once",
            code="usage-candidates",
            where=given,
            hint="name the likeliest ones in a list",
        )
    return tuple(found)


def _in_folder(folder: Path) -> list[str]:
    entries = sorted(folder.iterdir(), key=lambda p: p.name)
    if any(p.name.endswith(".safetensors.index.json") for p in entries) or any(
        p.name == "model.safetensors" for p in entries
    ):
        return [str(folder)]
    return [str(p) for p in entries if _is_model(p)]


def _is_model(path: Path) -> bool:
    if path.name.endswith(".safetensors"):
        return path.is_file()
    try:
        return path.is_dir() and any(p.name.endswith(".safetensors") for p in path.iterdir())
    except OSError:
        return False


def _in_list(path: Path) -> list[str]:
    with path.open("rb") as stream:
        text = stream.read(MOST_BYTES).decode("utf-8")
    lines = [line.split("#", 1)[0].strip() for line in text.splitlines()]
    return [str(path.parent / line) for line in lines if line]


def declared_places(suspect: str, names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """(name, place) for each name that the suspect's files declare; None where nothing is beside it."""
    path = Path(suspect).absolute()
    beside = (path if path.is_dir() else path.parent).parent
    for name in names:
        yield name, _beside(beside, name)


def _beside(folder: Path, name: str) -> str | None:
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return None
    home = os.path.realpath(folder)
    for tail in (parts, parts[-1:]):
        for place in (folder.joinpath(*tail), folder.joinpath(*tail).with_name(f"{tail[-1]}.safetensors")):
            inside = os.path.realpath(place).startswith(home + os.sep)
            if inside and _is_model(place):
                return str(place)
    return None
