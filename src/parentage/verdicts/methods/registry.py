"""What judges the recognition pass, in order: replayed methods, then one judge for each kind of finding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from parentage.verdicts.beside.tensors import TensorReading
from parentage.verdicts.methods.mixed import weigh_mixed
from parentage.verdicts.methods.replayed import weigh_replayed
from parentage.verdicts.methods.thinned import weigh_thinned
from parentage.verdicts.readings import Readings
from parentage.verdicts.weighing import Weighing

__all__ = ["JUDGES", "weigh_methods"]

# One line a judge.
JUDGES: Final[tuple[Callable[[Readings, Sequence[TensorReading]], Weighing | None], ...]] = (
    weigh_mixed,
    weigh_replayed,
    weigh_thinned,
)


def weigh_methods(readings: Readings, tensors: Sequence[TensorReading]) -> tuple[Weighing | None, ...]:
    """Every judge's weighing, in order."""
    return tuple(judge(readings, tensors) for judge in JUDGES)
