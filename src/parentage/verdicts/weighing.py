"""What one hypothesis says of itself after the evidence has been weighed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from parentage.records.estimate import Estimate

__all__ = ["Status", "Weighing"]


class Status(StrEnum):
    """The three answers; undetermined is a good one."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Weighing:
    """A relation, whether the evidence carries it, and the reason in one sentence.

    ``models`` are the indices that the relation is to; ``excluded`` pairs (relation, why) of rivals;
    ``live`` rivals that the evidence cannot exclude; ``against`` why this relation does not hold.
    ``weights``: of ``models``, where the weighing itself says them; ``afterwards``: what was done to the
    blend then; ``given``: what it takes as known that the evidence does not show.
    """

    relation: str
    status: Status
    sentence: str = ""
    models: tuple[int, ...] = ()
    excluded: tuple[tuple[str, str], ...] = ()
    live: tuple[tuple[str, str], ...] = ()
    limits: tuple[str, ...] = field(default=())
    against: str = ""
    weights: tuple[Estimate, ...] = ()
    afterwards: str = ""
    given: tuple[str, ...] = ()
