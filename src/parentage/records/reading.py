"""How a model was read in stages, and why it was read no further."""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate

__all__ = ["ONE_STAGE", "ComponentReading", "Reading"]

ONE_STAGE = Absent("read in one stage")


@dataclass(frozen=True, slots=True)
class ComponentReading:
    """One component (attention, mlp, …) at the last stage that it was read in.

    ``stages``: how many; ``tensors``: tensors of it; ``tested``: matrices drawn from it for which e-values
    were computed, of which one weight explains ``exact`` without rest. ``for_blend``, ``for_free``,
    ``for_one``: natural logarithms of e-values against "fewer than half of the matrices tested are" stored
    blends, blends that were never stored, changes of one parent alone; products over the stages.
    ``weight``: of the first parent of ``pair``. ``outcome``: what was answered, ``open`` where nothing was.
    """

    component: str
    stages: int
    tensors: int
    pair: tuple[int, ...]
    tested: int
    exact: int
    for_blend: float
    for_free: float
    for_one: float
    weight: Estimate | Absent
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """``stages``: elements of a tensor at each; ``level``: the chance, for the whole model together, that
    any component is said to be what it is not, where an e-value decided; ``needed``: the logarithm that an
    e-value had to reach for that. ``ended``: why reading stopped."""

    stages: tuple[int, ...]
    level: float
    needed: float
    components: tuple[ComponentReading, ...]
    ended: str
