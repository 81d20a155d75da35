"""The weight files by revision from where they are kept, and their history beside that of the card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parentage.cards.history.folder_versions import folder_weights
from parentage.cards.history.git_objects import is_git
from parentage.cards.history.git_weights import git_weights
from parentage.cards.history.hub_versions import hub_weights
from parentage.cards.history.places import no_such_history
from parentage.cards.history.weight_files import FilesVersion, change_between, versions_of
from parentage.checkpoints.locators import PlaceKind, place_kind
from parentage.records.absence import Absent
from parentage.records.card_report import CardHistory
from parentage.records.weight_history import Moment, RevisionFiles, WeightHistory, WeightSources

if TYPE_CHECKING:
    from parentage.checkpoints.remote.remote_session import RemoteSession

__all__ = ["weight_history", "weight_sources"]

AS_BEFORE: Final = Absent("listed as in the revision before")


def weight_sources(places: Sequence[str], session: RemoteSession | None = None) -> WeightSources:
    """Of a clone, a model on the hub, or several folders, oldest first.

    Raises ``CardError`` (``card-history``), ``ReadError``.
    """
    (place, *more) = places
    if more:
        revisions, whole, limits = folder_weights(places)
    elif place_kind(place) is PlaceKind.HUB and session is not None:
        revisions, whole, limits = hub_weights(place, session)
    elif is_git(Path(place)):
        revisions, whole, limits = git_weights(Path(place))
    else:
        raise no_such_history(place)
    kept = tuple(
        RevisionFiles(r.revision, r.when, AS_BEFORE if k and revisions[k - 1].files == r.files else r.files)
        for k, r in enumerate(revisions)
    )
    return WeightSources(", ".join(places), kept, whole, limits)


def weight_history(sources: WeightSources, card: CardHistory) -> WeightHistory:
    """When weight files changed, beside when the card did; ``card``: its history, of the same places."""
    revisions = tuple(_revisions(sources))
    versions, limits = versions_of(revisions), sources.limits
    if not versions:
        limits = (*limits, f"no weight file is in any of {len(revisions):,} revisions")
    known = sources.whole and all(v.change != "unknown" for v in versions)
    moments = tuple(_moments(revisions, card))
    return WeightHistory(sources.place, len(revisions), known, versions, moments, limits)


def _revisions(sources: WeightSources) -> Iterator[FilesVersion]:
    before: FilesVersion | None = None
    for one in sources.revisions:
        same = () if before is None else before.files
        before = FilesVersion(one.revision, one.when, same if isinstance(one.files, Absent) else one.files)
        yield before


def _moments(revisions: Sequence[FilesVersion], card: CardHistory) -> Iterator[Moment]:
    """Revisions at which the card or the weights changed, oldest first."""
    told = [v.sha256 for v in card.versions]
    cards = {v.revision for k, v in enumerate(card.versions) if not k or told[k - 1] != v.sha256}
    before: FilesVersion | None = None
    for one in revisions:
        weights, _ = change_between(() if before is None else before.files, one.files)
        before = one
        if one.revision in cards or weights not in ("none", "same"):
            changes = [c for c in card.changes if c.revision == one.revision]
            yield Moment(
                one.revision,
                one.when,
                weights,
                one.revision in cards,
                sum(c.what in ("came", "changed", "went") for c in changes),
                tuple(c.text for c in changes if c.what == "claim-came"),
                tuple(c.text for c in changes if c.what == "claim-went"),
            )
