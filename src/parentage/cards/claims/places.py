"""Where a card lies: a Markdown file, a model's folder, or a repository on the hub."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from parentage.cards.claims.licences import MOST_TEXT
from parentage.cards.claims.names_beside import names_beside
from parentage.checkpoints.licence_names import is_licence_file
from parentage.checkpoints.locators import PlaceKind, hub_model, place_kind
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.places import open_file
from parentage.errors import CardError, CheckpointError
from parentage.records.absence import Absent
from parentage.records.card import NO_CARD_REVISION
from parentage.records.card_sources import LicenceText

if TYPE_CHECKING:
    from parentage.checkpoints.remote.remote_session import RemoteSession

__all__ = ["CARD_FILE", "FoundCard", "find_card"]

CARD_FILE: Final = "README.md"
MAX_BYTES: Final = 16 * 2**20
# A model has one or two; a folder of thousands is none.
MOST_LICENCES: Final = 12


@dataclass(frozen=True, slots=True)
class FoundCard:
    """A card's text and what lies beside it: config, licences, and the names that other files declare."""

    locator: str
    text: str
    name: str | None = None
    revision: str | Absent = NO_CARD_REVISION
    config: Mapping[str, Any] = field(default_factory=dict)
    declared: tuple[str, ...] = ()
    licences: tuple[LicenceText, ...] = ()
    limits: tuple[str, ...] = ()


def find_card(locator: str, session: RemoteSession | None = None) -> FoundCard:
    """Read a card; of weights only headers are read, and none where there are none.

    Raises ``CardError`` (``card-absent``) where the place holds no card, and what opening a model raises.
    """
    path = Path(locator)
    kind = place_kind(locator)
    if kind is PlaceKind.LOCAL and path.suffix.lower() in (".md", ".markdown", ".txt", ".html"):
        return FoundCard(locator, _read(path))
    if kind is PlaceKind.LOCAL and path.is_dir() and not (path / CARD_FILE).exists():
        raise _absent(locator)
    try:
        with open_checkpoint(locator, session=session) as model:
            if CARD_FILE not in model.files:
                raise _absent(locator)
            text = model.read_text(CARD_FILE, MAX_BYTES)
            revision = model.revision or Absent("the place knows of no revisions")
            name = hub_model(locator).repository if kind is PlaceKind.HUB else None
            names, limits = _chosen(model.files)
            licences = tuple(LicenceText(n, model.read_text(n, MOST_TEXT)) for n in names)
            beside = model.config or {}, names_beside(model), licences, limits
            return FoundCard(locator, text, name, revision, *beside)
    except CheckpointError as error:
        # A folder with a card and no weights is still a card; anything else wrong with weights is told.
        if kind is not PlaceKind.LOCAL or error.code not in ("no-weights", "format-not-read"):
            raise
        licences, limits = _licences_in(path)
        return FoundCard(locator, _read(path / CARD_FILE), licences=licences, limits=limits)


def _chosen(names: Iterable[str]) -> tuple[list[str], tuple[str, ...]]:
    """Licence files that are read, the shortest names first, and what is said of the others."""
    found = sorted(filter(is_licence_file, names), key=lambda n: (len(n), n))
    left = len(found) - MOST_LICENCES
    limit = f"only {MOST_LICENCES} of {len(found):,} licence files beside the card were read"
    return found[:MOST_LICENCES], (limit,) if left > 0 else ()


def _licences_in(folder: Path) -> tuple[tuple[LicenceText, ...], tuple[str, ...]]:
    """Of a folder without weights, which is no checkpoint."""
    names, limits = _chosen(p.name for p in folder.iterdir() if p.is_file() and not p.is_symlink())
    return tuple(LicenceText(n, _read(folder / n, MOST_TEXT)) for n in names), limits


def _read(path: Path, most: int = MAX_BYTES) -> str:
    with os.fdopen(open_file(path), "rb") as stream:
        return stream.read(most).decode("utf-8", errors="replace")


def _absent(locator: str) -> CardError:
    return CardError(
        f"there is no {CARD_FILE}",
        code="card-absent",
        where=locator,
        hint="name a card's file, or a model's folder or repository that has one",
    )
