"""What lies between two models: losses, scores and names along the line, and where a suspect falls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.interview import NOT_RECORDED, NameRate

__all__ = ["SCHEMA", "VERSION", "Barrier", "Ends", "PathExplored", "PathPoint", "SuspectPlace"]

SCHEMA = "parentage.path"
VERSION = 1


@dataclass(frozen=True, slots=True)
class PathPoint:
    """The model with ``weight`` of the first and the rest of the second, stored as a merge is.

    ``loss``: nats a token on the texts; ``excess``: that above the straight line between the ends' losses;
    ``task``: share of right answers; ``names``: who it says it is, its template's words taken out, of
    ``asked`` answers.
    """

    weight: float
    loss: Estimate | Absent
    excess: Estimate | Absent
    task: Estimate | Absent
    names: tuple[NameRate, ...] | Absent
    asked: int


@dataclass(frozen=True, slots=True)
class Barrier:
    """The highest excess of the loss between the ends, in nats a token, and where; the interval is of the
    highest one, wherever it falls when texts are drawn again."""

    weight: float
    height: Estimate


@dataclass(frozen=True, slots=True)
class Ends:
    """How far the suspect's next tokens are from a model's, in nats: at its closest point, and at the ends
    of the line. A model that has nothing to do with it has a closest point too."""

    closest: float
    first: float
    second: float


@dataclass(frozen=True, slots=True)
class SuspectPlace:
    """``weight``: of the first, where next tokens are closest, by the rule of an interview's line; absent,
    with the reason, where the suspect is off the line. ``nearest``: the weight of least divergence, which
    every model has; ``off``: what is left there over what divides the ends; ``how``: what was compared.
    The rest is measured as on the line."""

    locator: str
    weight: Estimate | Absent
    divergence: Ends | Absent
    loss: Estimate | Absent
    task: Estimate | Absent
    names: tuple[NameRate, ...] | Absent
    asked: int
    nearest: float | Absent = NOT_RECORDED
    off: float | Absent = NOT_RECORDED
    how: str = ""


@dataclass(frozen=True, slots=True)
class PathExplored:
    """``files``: SHA-256 of the weight files of each model, by its locator; ``settings``: all that was
    asked, by name."""

    tool: str
    first: str
    second: str
    files: Mapping[str, Mapping[str, str]]
    settings: Mapping[str, Any]
    libraries: Mapping[str, str]
    points: tuple[PathPoint, ...]
    barrier: Barrier | Absent
    suspect: SuspectPlace | Absent
    limits: tuple[str, ...]
