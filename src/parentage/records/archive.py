"""The archive of a dossier, version 1: what is in it, and what checking it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parentage.records.absence import Absent
from parentage.records.report_parts import one_of
from parentage.records.verification import ValueDifference, Verification

__all__ = [
    "CHECK_SCHEMA",
    "CHECK_VERSION",
    "SCHEMA",
    "STATUSES",
    "VERSION",
    "ArchiveCheck",
    "Manifest",
    "Member",
    "PinnedInput",
    "Step",
]

SCHEMA = "parentage.archive"
VERSION = 1
CHECK_SCHEMA = "parentage.archive-check"
CHECK_VERSION = 1
STATUSES = ("agrees", "differs", "not-rederived")


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive; ``what``: in words."""

    name: str
    sha256: str
    size: int
    what: str


@dataclass(frozen=True, slots=True)
class PinnedInput:
    """A model that was read, pinned and not held; ``digests``: SHA-256 by file name."""

    name: str
    role: str
    locator: str
    revision: str | Absent
    digests: Mapping[str, str | Absent]


@dataclass(frozen=True, slots=True)
class Manifest:
    """``versions``: of the tool and of the libraries that it computed with. Members sorted by name."""

    tool: Mapping[str, Any]
    versions: Mapping[str, str]
    suspect: str
    members: tuple[Member, ...]
    inputs: tuple[PinnedInput, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One derivation: ``what`` from what, whether it agrees, and where it does not."""

    what: str
    status: str
    detail: str
    differences: tuple[ValueDifference, ...] = ()

    def __post_init__(self) -> None:
        one_of(self.status, STATUSES, "steps.status")


@dataclass(frozen=True, slots=True)
class ArchiveCheck:
    """What was derived again and what could not be; ``signed_by``: the key's fingerprint, once checked."""

    suspect: str
    made_by: Mapping[str, Any]
    derived_by: Mapping[str, Any]
    members: int
    signed_by: str | Absent
    steps: tuple[Step, ...]
    evidence: Verification | Absent
    limits: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything that was derived again agrees."""
        return all(step.status != "differs" for step in self.steps)
