"""Weight files by revision, and what the card said when they changed and when they did not."""

from __future__ import annotations

from dataclasses import dataclass

from parentage.errors import EvidenceError
from parentage.records.absence import Absent

__all__ = [
    "CHANGES",
    "NO_WEIGHTS",
    "Moment",
    "RevisionFiles",
    "WeightFile",
    "WeightHistory",
    "WeightSources",
    "WeightVersion",
]

NO_WEIGHTS = Absent("no history of the weights was given")
# "unknown": files of one size of which no digest is known on one side.
CHANGES = ("none", "first", "same", "changed", "gone", "unknown")


def _known(change: str, where: str) -> None:
    if change not in CHANGES:
        raise EvidenceError(
            f"{change!r} is none of {', '.join(CHANGES)}", code="report-status", where=where
        )


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A weight file at a revision: ``size`` in bytes, its SHA-256, and git's id of the object it is."""

    name: str
    size: int
    sha256: str | Absent
    object_id: str | Absent


@dataclass(frozen=True, slots=True)
class RevisionFiles:
    """The weight files of one revision; absent where they are listed just as in the revision before."""

    revision: str
    when: str
    files: tuple[WeightFile, ...] | Absent


@dataclass(frozen=True, slots=True)
class WeightSources:
    """The weight files of every revision that was looked at, oldest first.

    ``whole``: every revision that there is was looked at.
    """

    place: str
    revisions: tuple[RevisionFiles, ...]
    whole: bool
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WeightVersion:
    """A revision at which weight files came, changed or went; ``when`` as the revision says.

    ``altered``: names of files that are new or have other bytes than before, or are gone.
    """

    revision: str
    when: str
    change: str
    files: tuple[WeightFile, ...]
    altered: tuple[str, ...]

    def __post_init__(self) -> None:
        _known(self.change, "weights.versions.change")


@dataclass(frozen=True, slots=True)
class Moment:
    """A revision at which card or weights changed: what the weights did, what the card did.

    ``weights`` of ``CHANGES``. ``sentences`` came, changed or went; claims are "kind value".
    """

    revision: str
    when: str
    weights: str
    card_changed: bool
    sentences: int
    claims_came: tuple[str, ...]
    claims_went: tuple[str, ...]

    def __post_init__(self) -> None:
        _known(self.weights, "weights.moments.weights")


@dataclass(frozen=True, slots=True)
class WeightHistory:
    """Versions of the weight files, oldest first, of ``revisions`` looked at.

    ``whole``: every revision that there is was looked at, and every change is known.
    """

    place: str
    revisions: int
    whole: bool
    versions: tuple[WeightVersion, ...]
    moments: tuple[Moment, ...]
    limits: tuple[str, ...] = ()

    @property
    def replaced(self) -> tuple[WeightVersion, ...]:
        """Versions at which weight files that were there before got other bytes."""
        return tuple(v for v in self.versions if v.change == "changed")

    @property
    def first(self) -> WeightVersion | None:
        """The first revision with weights."""
        return next((v for v in self.versions if v.files), None)
