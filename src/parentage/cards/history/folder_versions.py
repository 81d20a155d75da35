"""Versions that somebody kept as folders, one beside the other: card and weight files of each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from parentage.cards.history.versions import MAX_CARD, TextVersion
from parentage.cards.history.weight_files import FilesVersion, weight_names
from parentage.checkpoints.local_files import LocalFile
from parentage.checkpoints.places import open_file, safe_file
from parentage.errors import CardError
from parentage.records.absence import Absent
from parentage.records.weight_history import WeightFile

__all__ = ["folder_versions", "folder_weights"]

CARD: Final = "README.md"
NO_COMMIT: Final = Absent("a folder is no commit")
AS_GIVEN: Final = (
    "Folders were taken in the order in which they were given; nothing tells when each was made."
)


def folder_versions(places: Sequence[str]) -> tuple[tuple[TextVersion, ...], tuple[str, ...]]:
    """The cards of the folders, in their order; "" where there is none."""
    found = [TextVersion(name, "", _text(Path(place))) for name, place in _named(places)]
    return tuple(found), (AS_GIVEN,)


def folder_weights(
    places: Sequence[str],
) -> tuple[tuple[FilesVersion, ...], bool, tuple[str, ...]]:
    """The weight files of the folders, hashed here. What lay between two folders is not known."""
    found = [FilesVersion(name, "", tuple(_files(Path(place)))) for name, place in _named(places)]
    return tuple(found), False, (AS_GIVEN,)


def _named(places: Sequence[str]) -> Iterator[tuple[str, str]]:
    for place in places:
        if not os.path.isdir(place):
            raise CardError(
                "of several places each must be a folder",
                code="card-history",
                where=place,
                hint="name folders, oldest first; or one clone, one mirror, or org/name",
            )
        yield Path(place).absolute().name, place


def _text(folder: Path) -> str:
    if not (folder / CARD).is_file():
        return ""
    with os.fdopen(open_file(safe_file(folder, CARD)), "rb") as stream:
        return stream.read(MAX_CARD).decode("utf-8", errors="replace")


def _files(folder: Path) -> Iterator[WeightFile]:
    listed = [p.name for p in folder.iterdir() if p.is_file()]
    for name in weight_names(listed):
        file = LocalFile(name, safe_file(folder, name))
        digest = hashlib.sha256()
        try:
            for _, block in file.blocks():
                digest.update(block)
        finally:
            file.close()
        yield WeightFile(name, file.size, digest.hexdigest(), NO_COMMIT)
