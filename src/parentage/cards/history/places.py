"""The history of a card from where it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.cards.claims.vocabulary import Vocabulary
from parentage.cards.history.changes import history_of
from parentage.cards.history.folder_versions import folder_versions
from parentage.cards.history.git_objects import is_git
from parentage.cards.history.git_versions import git_versions
from parentage.cards.history.hub_versions import hub_versions
from parentage.cards.history.versions import TextVersion
from parentage.checkpoints.locators import PlaceKind, place_kind
from parentage.errors import CardError
from parentage.records.card_report import CardHistory
from parentage.records.card_sources import Versions, VersionText

if TYPE_CHECKING:
    from parentage.checkpoints.remote.remote_session import RemoteSession

__all__ = ["card_history", "card_versions", "no_such_history"]


def card_history(
    places: str | Sequence[str], rules: Sequence[Vocabulary], session: RemoteSession | None = None
) -> CardHistory:
    """What changed between the versions that :func:`card_versions` reads."""
    found = card_versions(places, session)
    versions = [TextVersion(v.revision, v.when, v.text) for v in found.versions]
    return history_of(found.place, versions, rules, found.limits)


def card_versions(places: str | Sequence[str], session: RemoteSession | None = None) -> Versions:
    """Read a git repository's folder, a model on the hub, or several folders, oldest first.

    Raises ``CardError`` (``card-history``) for anything else.
    """
    place, *more = [places] if isinstance(places, str) else places
    if more:
        versions, limits = folder_versions((place, *more))
    elif place_kind(place) is PlaceKind.HUB and session is not None:
        versions, limits = hub_versions(place, session)
    elif is_git(Path(place)):
        versions, limits = git_versions(Path(place))
    else:
        raise no_such_history(place)
    texts = tuple(VersionText(v.revision, v.when, v.text) for v in versions)
    return Versions(", ".join((place, *more)), texts, tuple(limits))


def no_such_history(place: str) -> CardError:
    """What is said of a place that keeps no versions."""
    return CardError(
        "it is neither a git repository nor a model on the hub",
        code="card-history",
        where=place,
        hint="name a clone, a mirror (git clone --mirror), org/name, or several folders, oldest first",
    )
