"""The pattern that chance leaves, as it is saved: what is explained, at which rates, and what would be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np

from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.thinned.looking import Look, parts_of
from parentage.evidence.recognition.thinned.masks_drawn import Drawn
from parentage.methods.estimates.masks import Spread
from parentage.methods.estimates.participation import Parts, outcomes
from parentage.methods.estimates.readings import Reading
from parentage.methods.estimates.structures import outcomes_of, told_by
from parentage.numerics.shares.intervals_binomial import clopper_pearson
from parentage.records.recognition import Finding

__all__ = ["KIND", "pattern_of"]

KIND: Final = "thinned-by-chance"
LEVEL: Final = 0.95


def pattern_of(
    context: Context, look: Look, spreads: Sequence[Spread | None], drawn: Drawn | str
) -> Finding:
    """Counts over the tensors that were read, for the suspect, its mirror and every control."""
    found = look.thinned
    parents = [_parent(look, j, spread) for j, spread in enumerate(spreads)]
    chance = [j for j, s in enumerate(spreads) if s is not None]
    known = [s for s in spreads if s is not None]
    apart = [
        abs(found.dependence(j, k, [s or known[0] for s in spreads])) for j, k in combinations(chance, 2)
    ]
    measures: dict[str, Any] = {
        "dtype": look.dtype.value,
        "told": sum(r.told.told for r in found.readings),
        "explained": sum(r.told.explained for r in found.readings),
        "elements": sum(r.parts.base.size for r in found.readings),
        "unexplained": sum(int(np.count_nonzero(~r.outcome.explained)) for r in found.readings),
        "mirrored": sum(_mirrored(r) for r in found.readings),
        "averaged": found.averages,
        "elected": "unknown" if found.elected is None else found.elected,
        "mixed": sum(r.told.mixed for r in found.readings),
        "alike": sum(r.told.alike for r in found.readings),
        "parents": parents,
        "dependence": max(apart, default=0.0),
        "controls": [_control(context, look, k) for k in context.controls],
        "seed": drawn.seed if isinstance(drawn, Drawn) else drawn,
    }
    return Finding(KIND, look.operands, look.names, measures)


def _mirrored(reading: Reading) -> int:
    """Elements that the same sets explain with every change turned round: what chance would explain."""
    structure = reading.structure
    mirror = outcomes(reading.parts, -structure.table, np.array(structure.slack))
    found = reading.parts.changed & mirror.apart & mirror.allowed[1:].any(axis=0)
    return int(np.count_nonzero(found))


def _parent(look: Look, j: int, spread: Spread | None) -> dict[str, Any]:
    lone = [r.structure.lone[j] for r in look.thinned.readings]
    shares = [r.structure.shares[j] for r in look.thinned.readings if r.structure.shares is not None]
    told: dict[str, Any] = {"coefficients": lone, "shares": shares, "whole": spread is None}
    if spread is None:
        return told
    tests = look.thinned.randomness(j, spread)
    low, high = clopper_pearson(tests.stayed, tests.trials, level=LEVEL)
    return told | {
        "trials": tests.trials,
        "stayed": tests.stayed,
        "rate": [tests.stayed / tests.trials, low, high],
        "density": list(spread.density),
        "epsilon": list(spread.epsilon),
        "p_ranks": tests.ranks,
        "p_neighbours": tests.neighbours,
    }


def _control(context: Context, look: Look, control: int) -> dict[str, int]:
    """The control on the suspect's path: its elements that would tell, and those that the sets explain."""
    told = explained = 0
    for name, reading in zip(look.names, look.thinned.readings, strict=True):
        parts = _of(context, look, name, control)
        if parts is not None:
            counted = told_by(parts, reading.structure, outcomes_of(parts, reading.structure))
            told, explained = told + counted.told, explained + counted.explained
    return {"model": control, "told": told, "explained": explained}


def _of(context: Context, look: Look, name: str, subject: int) -> Parts | None:
    found = parts_of(context, name, look.operands, look.dtype, subject=subject)
    return None if found is None else found[0]
