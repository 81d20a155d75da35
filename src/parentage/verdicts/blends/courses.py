"""How the weight varies over a model: not at all, by component, evenly with depth, or otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

import numpy as np
from scipy.optimize import linprog

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.report import Heterogeneity
from parentage.verdicts.beside.tensors import TensorReading
from parentage.verdicts.blends.weights import CERTAIN, tensor_weights
from parentage.verdicts.readings import Readings
from parentage.verdicts.sentences import listing

__all__ = ["heterogeneity"]

BLENDS = ("exact", "blend", "changed")
# Groups that a sentence names; more are told as a range.
MOST_NAMED = 6
# Fewer layers than this lie on some straight line by themselves.
LEAST_LAYERS = 3


@dataclass(frozen=True, slots=True)
class _Range:
    """What all tensors of a group allow for the first parent's weight."""

    low: float
    high: float
    middle: float

    @property
    def possible(self) -> bool:
        return self.low <= self.high


Known = Sequence[tuple[TensorReading, Estimate]]
K = TypeVar("K", bound=Hashable)


def heterogeneity(
    readings: Readings, tensors: Sequence[TensorReading], parents: Sequence[int]
) -> Heterogeneity | Absent:
    """One weight for all, one a component, a course over depth, or one a tensor."""
    known = _known(tensors, parents)
    if len(known) < 2:
        return Absent("fewer than two tensors carry a weight")
    estimates = [e.estimate for _, e in known]
    low, high = min(estimates), max(estimates)
    pattern, sentence = _pattern(known, readings.name(parents[0]))
    return Heterogeneity(pattern, sentence, low, high)


def _known(tensors: Sequence[TensorReading], parents: Sequence[int]) -> Known:
    """Tensors with a weight that saw their parents as most did: as another cast shows them they may fit
    any weight."""
    rows = [(t, tensor_weights(t, parents)[0]) for t in tensors if t.kind in BLENDS]
    known = [(t, e) for t, e in rows if isinstance(e, Estimate)]
    casts = Counter(_cast(t) for t, _ in known)
    usual = casts.most_common(1)[0][0] if casts else ""
    return [(t, e) for t, e in known if _cast(t) in ("", usual)]


def _cast(reading: TensorReading) -> str:
    if reading.weight_set is not None:
        return reading.weight_set.cast
    return "" if reading.mixture is None else reading.mixture.cast


def _pattern(known: Known, parent: str) -> tuple[str, str]:
    whole = _ranges(known, lambda _: "")[""]
    if whole.possible:
        return "one-weight", "One weight fits every tensor."
    components = _ranges(known, lambda t: t.tensor.component)
    if _tells(components, known):
        return "by-component", f"The weight of {parent} differs by component: {_named(components)}."
    course = _course(known)
    if course:
        return course[0], f"The weight of {parent} {course[1]}."
    courses = _courses(known)
    if courses:
        return "by-component-and-depth", f"The weight of {parent} {courses}."
    if all(e.level != CERTAIN for _, e in known):
        sentence = "The tensors' intervals do not all overlap; their spread is part of the interval."
        return "varies", sentence
    return "by-tensor", "The weight differs from tensor to tensor."


def _ranges(known: Known, key: Callable[[TensorReading], K]) -> dict[K, _Range]:
    groups: dict[K, list[Estimate]] = {}
    for reading, estimate in known:
        groups.setdefault(key(reading), []).append(estimate)
    return {
        k: _Range(max(e.low for e in g), min(e.high for e in g), median(e.estimate for e in g))
        for k, g in groups.items()
    }


def _tells(groups: dict[K, _Range], known: Known) -> bool:
    """Do groups explain it, more than one and fewer than tensors?"""
    return 1 < len(groups) < len(known) and all(r.possible for r in groups.values())


def _layer(reading: TensorReading) -> int:
    """-1 for what lies outside the stack."""
    return -1 if isinstance(reading.tensor.layer, Absent) else reading.tensor.layer


def _course(known: Known) -> tuple[str, str] | None:
    """One weight a layer: rising or falling evenly, or as it comes."""
    layers = _ranges(known, _layer)
    if not _tells(layers, known):
        return None
    stack = {k: r for k, r in layers.items() if k >= 0}
    straight = _straight(stack)
    if straight is not None:
        return "gradient", f"{straight}{_outside(layers)}"
    if len(layers) > MOST_NAMED:
        ends = [r.middle for r in stack.values()]
        return "by-depth", f"differs by layer, from {min(ends):.4g} to {max(ends):.4g}{_outside(layers)}"
    named = listing([f"{r.middle:.4g} in layer {k}" for k, r in sorted(stack.items())])
    return "by-depth", f"differs by layer: {named}{_outside(layers)}"


def _outside(layers: dict[int, _Range]) -> str:
    return f"; {layers[-1].middle:.4g} outside the layers" if -1 in layers else ""


def _straight(stack: dict[int, _Range]) -> str | None:
    """``rises evenly with depth, from .2 in layer 0 to .8 in layer 5``, where a line passes all ranges."""
    if len(stack) < LEAST_LAYERS:
        return None
    places = np.array(sorted(stack), dtype=np.float64)
    found = [stack[int(k)] for k in places]
    above = np.column_stack([np.ones(places.size), places])
    limits = np.concatenate([[r.high for r in found], [-r.low for r in found]])
    line = linprog(np.zeros(2), A_ub=np.vstack([above, -above]), b_ub=limits, bounds=(None, None))
    if line.x is None or not line.success:
        return None
    start, slope = float(line.x[0]), float(line.x[1])
    word = "rises" if slope > 0 else "falls"
    first, last = (start + slope * float(k) for k in (places[0], places[-1]))
    return (
        f"{word} evenly with depth, from {first:.4g} in layer {places[0]:.0f} "
        f"to {last:.4g} in layer {places[-1]:.0f}"
    )


def _courses(known: Known) -> str:
    """Each component's own course over depth: one weight, or evenly rising or falling; else nothing."""
    words = []
    for component in sorted({t.tensor.component for t, _ in known}):
        own = [(t, e) for t, e in known if t.tensor.component == component]
        whole, layers = _ranges(own, lambda _: "")[""], _ranges(own, _layer)
        straight = None if -1 in layers else _straight(layers)
        if not whole.possible and straight is None:
            return ""
        words.append(f"{f'is {whole.middle:.4g}' if whole.possible else straight} in {component}")
    return listing(words)


def _named(groups: dict[str, _Range]) -> str:
    if len(groups) > MOST_NAMED:
        ends = [r.middle for r in groups.values()]
        return f"between {min(ends):.4g} and {max(ends):.4g}"
    return listing([f"{r.middle:.4g} in {name}" for name, r in sorted(groups.items())])
