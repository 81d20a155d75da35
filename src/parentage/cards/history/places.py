"""The history of a card from where it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.cards.claims.vocabulary import Vocabulary
from parentage.cards.history.changes import history_of
from parentage.cards.history.git_versions import git_versions, is_git
from parentage.cards.history.hub_versions import hub_versions
from parentage.cards.history.versions import TextVersion
from parentage.checkpoints.locators import PlaceKind, place_kind
from parentage.errors import CardError
from parentage.records.card_report import CardHistory
from parentage.records.card_sources import Versions, VersionText

if TYPE_CHECKING:
    from parentage.checkpoints.remote.remote_session import RemoteSession

__all__ = ["card_history", "card_versions"]


def card_history(
    place: str, rules: Sequence[Vocabulary], session: RemoteSession | None = None
) -> CardHistory:
    """What changed between the versions that :func:`card_versions` reads."""
    found = card_versions(place, session)
    versions = [TextVersion(v.revision, v.when, v.text) for v in found.versions]
    return history_of(place, versions, rules, found.limits)


def card_versions(place: str, session: RemoteSession | None = None) -> Versions:
    """Read a git repository's folder, or a model on the hub; else ``CardError`` (``card-history``)."""
    if place_kind(place) is PlaceKind.HUB and session is not None:
        versions, limits = hub_versions(place, session)
    elif is_git(Path(place)):
        versions, limits = git_versions(Path(place))
    else:
        raise CardError(
            "it is neither a git repository nor a model on the hub",
            code="card-history",
            where=place,
            hint="name a clone, a mirror (git clone --mirror), or org/name",
        )
    return Versions(place, tuple(VersionText(v.revision, v.when, v.text) for v in versions), tuple(limits))
