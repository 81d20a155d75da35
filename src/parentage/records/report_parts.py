"""Parts of a report that stand for themselves: what happened afterwards, and how much was looked at."""

from __future__ import annotations

from dataclasses import dataclass

from parentage.errors import EvidenceError
from parentage.records.absence import Absent
from parentage.records.alignment import NO_LOOK, OrderLook
from parentage.records.estimate import Estimate
from parentage.records.findings import NOT_MEASURED

__all__ = [
    "Coverage",
    "ExcludedCause",
    "ExpertsSeen",
    "NetworkCost",
    "NotExamined",
    "PostTraining",
    "one_of",
]

POST_TRAINING_STATUSES = ("detected", "not-detected", "undetermined")


def one_of(value: str, known: tuple[str, ...], where: str) -> None:
    """Raise ``EvidenceError`` (``report-status``) for a word that is none of those known."""
    if value not in known:
        raise EvidenceError(f"{value!r} is none of {', '.join(known)}", code="report-status", where=where)


@dataclass(frozen=True, slots=True)
class ExcludedCause:
    """Something else that could leave the same residual. Absent: it cannot be excluded."""

    cause: str
    why_excluded: str | Absent


@dataclass(frozen=True, slots=True)
class ExpertsSeen:
    """Experts of which elements were replayed, layer by layer: ``examined`` of ``experts`` in ``layers``
    layers. ``changed``: those with elements off the replay, as (layer, expert)."""

    layers: int
    experts: int
    examined: int
    changed: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PostTraining:
    """Whether something happened after the explanation; ``sigma_relative`` is σ over the standard
    deviation of the weights, ``changed_share`` the share of elements off the replay."""

    status: str
    sigma_relative: Estimate | Absent
    changed_share: Estimate | Absent
    rivals: tuple[ExcludedCause, ...] = ()
    would_have_seen: str | Absent = NOT_MEASURED
    experts: ExpertsSeen | Absent = NOT_MEASURED

    def __post_init__(self) -> None:
        one_of(self.status, POST_TRAINING_STATUSES, "post_training.status")


@dataclass(frozen=True, slots=True)
class NotExamined:
    """Something that was not looked at, and why."""

    tensor: str
    reason: str


NO_NETWORK = Absent("nothing came over a network, or the report was made from saved evidence")


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """What reading over a network took, of all models: headers, listings and repeated requests included.

    It differs from run to run, so evidence does not hold it. ``resolves``: requests that asked where a file
    lies; they are among the ``requests``.
    """

    bytes_received: int
    requests: int
    resolves: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was looked at; elements are the suspect's, bytes are of all models.

    ``bytes_read`` were read by the measures, some more than once. ``order_look``: beside the sample, for
    units in another order, where models are read by range.
    """

    tensors: int
    tensors_examined: int
    elements: int
    elements_examined: int
    bytes_read: int
    not_examined: tuple[NotExamined, ...] = ()
    network: NetworkCost | Absent = NO_NETWORK
    order_look: OrderLook | Absent = NO_LOOK
