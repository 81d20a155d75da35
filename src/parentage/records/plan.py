"""What an audit would read: the plan of ``audit --dry-run``, made from headers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parentage.records.absence import Absent
from parentage.records.evidence import NotExamined

__all__ = [
    "NO_LOOKS",
    "SCHEMA",
    "VERSION",
    "AuditPlan",
    "PlannedComponent",
    "PlannedLooks",
    "PlannedModel",
    "PlannedProcessor",
    "PlannedReading",
    "PlannedStage",
]

NOT_ESTIMATED = Absent("plans of this version estimated no processor time")
NO_LOOKS = Absent("nothing but the sample is read of models on this machine, or it was not estimated")
SCHEMA = "parentage.plan"
VERSION = 1


@dataclass(frozen=True, slots=True)
class PlannedReading:
    """Bytes and requests over a network; nothing for a local model."""

    nbytes: int
    requests: int


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """One model. ``stored``: bytes of its weight files; ``opening``: headers and side files, as a first
    opening takes; ``reading``: of the first stage. ``role`` may be ``candidate``: looked at briefly, and
    read so only if it is proposed."""

    name: str
    role: str
    locator: str
    revision: str | Absent
    remote: bool
    files: int
    tensors: int
    stored: int
    opening: PlannedReading
    reading: PlannedReading


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """Everything up to one stage, were all components read so far. ``elements``: of a tensor at most;
    ``total``: of all models, their opening included; ``fits``: within the budget."""

    elements: int
    total: PlannedReading
    fits: bool


@dataclass(frozen=True, slots=True)
class PlannedComponent:
    """Tensors of one component that would be read, the suspect's elements in them, and those read."""

    component: str
    tensors: int
    elements: int
    elements_read: int


@dataclass(frozen=True, slots=True)
class PlannedLooks:
    """What may be read over a network beside the sample, at most: to compare ``layers`` whose numbers
    differ, to find ``orders`` of units where matrices are unlike, and whole tensors for merge ``methods``
    where no blend explains everything."""

    layers: PlannedReading
    orders: PlannedReading
    methods: PlannedReading


@dataclass(frozen=True, slots=True)
class PlannedProcessor:
    """Seconds of one core, estimated: of the first stage's measures, of hashing files on this machine, and
    of replaying every element (0 where that is not asked for)."""

    measures: float
    digests: float
    full_pass: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.measures + self.digests + self.full_pass


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """``seconds_network``: by the measured rates of docs/places.md at 50 ms of latency; ``memory``: bytes,
    by what was measured of such audits; ``spent``: what making this plan took; ``processor``: an estimate
    by rates of one machine."""

    tool: Mapping[str, str]
    asked: Mapping[str, Any]
    models: tuple[PlannedModel, ...]
    components: tuple[PlannedComponent, ...]
    stages: tuple[PlannedStage, ...]
    budget: str | Absent
    not_read: tuple[NotExamined, ...]
    seconds_network: float
    memory: int
    spent: PlannedReading
    notes: tuple[str, ...]
    processor: PlannedProcessor | Absent = NOT_ESTIMATED
    looks: PlannedLooks | Absent = NO_LOOKS
