"""Known adapters over one base, combined with weights: which weights, and does the combination replay?

Where models are given as a base with an adapter each, the factors are known exactly, and so is what each
adapter would add. Estimates propose a way of combining and its numbers; the plainest numbers within their
error are replayed whole, and what is not replayed is not said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from parentage.evidence.recognition.adapters.cut_back import by_changes, seen_of
from parentage.evidence.recognition.adapters.drawn import by_chance
from parentage.evidence.recognition.adapters.proposals import by_factors, looked_at, related, summed
from parentage.evidence.recognition.adapters.replays import Counts, counted, ranges_of
from parentage.evidence.recognition.adapters.sets import AdapterSet, Combined, sets_of
from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.records.recognition import Finding

__all__ = ["ADAPTERS", "KIND"]

KIND: Final = "adapters"


def _find(context: Context) -> tuple[Finding, ...]:
    for found in sets_of(context):
        explained = _explained(found, context)
        if explained is not None:
            return (explained,)
    return ()


def _explained(found: AdapterSet, context: Context) -> Finding | None:
    """The first recipe that gives every element of every matrix; None where there is none."""
    if not found.targets:
        return None
    for recipe in _recipes(found, context):
        counts = counted(found, recipe, context)
        if counts is not None:
            return _finding(found, recipe, counts, context)
    return None


def _recipes(found: AdapterSet, context: Context) -> Iterator[Combined]:
    looked = looked_at(found, context)
    yield from summed(looked)
    if len(found.models) < 2 or not related(looked):
        return
    seen = seen_of(found, context)
    # What training left has full rank, and no combination has.
    if seen is None or not seen.thin:
        return
    factored = seen.rank <= max(found.ranks)
    if factored:
        yield from by_factors(looked)
    yield from by_changes(looked, seen)
    if factored:
        yield from by_chance(looked, context)


def _finding(found: AdapterSet, recipe: Combined, counts: Counts, context: Context) -> Finding:
    touched = {t.name for t in found.targets}
    first = found.models[0]
    elsewhere = [
        t.name
        for t in context.tensors
        if t.name not in touched and first in t.present and t.equal[first - 1] < t.finite
    ]
    measures: dict[str, Any] = {
        "method": recipe.method,
        "arithmetic": recipe.profile,
        "weights": list(recipe.weights),
        "shared": dict(recipe.shared),
        "ranges": [list(r) for r in ranges_of(found, recipe, context)],
        "ranks": list(found.ranks),
        "scalings": [_scaling_of(found, k) for k in range(len(found.models))],
        "informative": counts.informative,
        "matches": counts.matches,
        "adjacent": counts.adjacent,
        "replayed": len(counts.tensors),
        "left": counts.left,
        "elsewhere": len(elsewhere),
    }
    if recipe.seed is not None:
        measures["seed"] = recipe.seed
    return Finding(KIND, (0, *found.models), counts.tensors, measures)


def _scaling_of(found: AdapterSet, k: int) -> float:
    """Of the first matrix that the adapter changes."""
    return next(how.scaling for t in found.targets if (how := t.how[k]) is not None)


def _nothing(context: Context) -> Iterable[Candidate]:
    return ()


ADAPTERS: Final = Recogniser(KIND, _nothing, find=_find)
