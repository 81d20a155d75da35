"""The history of a card from where it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.cards.claims.vocabulary import Vocabulary
from parentage.cards.history.changes import history_of
from parentage.cards.history.git_versions import git_versions, is_git
from parentage.cards.history.hub_versions import hub_versions
from parentage.checkpoints.locators import PlaceKind, place_kind
from parentage.errors import CardError
from parentage.records.card_report import CardHistory

if TYPE_CHECKING:
    from parentage.checkpoints.remote.remote_session import RemoteSession

__all__ = ["card_history"]


def card_history(
    place: str, rules: Sequence[Vocabulary], session: RemoteSession | None = None
) -> CardHistory:
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
    return history_of(place, versions, rules, limits)
