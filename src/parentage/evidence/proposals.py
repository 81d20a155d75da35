"""Parents unknown: candidates are looked at briefly, and the best explanation is proposed.

A proposal decides nothing. It says which of the candidates are worth a full measurement as parents and
which serve as controls; what was set aside is noted, with the reason.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations
from statistics import median

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor, align
from parentage.checkpoints.declared import declared_sources
from parentage.checkpoints.local import Checkpoint, open_checkpoint
from parentage.errors import ParentageError, UsageError
from parentage.evidence.candidate_places import declared_places, listed_places
from parentage.evidence.opening import MOST_PARENTS
from parentage.evidence.reading import read_sample
from parentage.records.absence import Absent

__all__ = ["Proposal", "propose"]

# A brief look: 16 runs of 256 in each of up to 24 matrices read 400 kB a model and tell a relative
# (raw weights correlate above .9) from a stranger (below .1) in every one of them.
SAMPLE = 4_096
MATRICES = 24
RELATED = 0.5
# A further parent must explain this share of what the others leave, in the median matrix. A model that
# has nothing to do with the suspect explains 1/4096 of it, a sibling in a tied embedding up to a tenth.
WORTH = 0.2


@dataclass(frozen=True, slots=True)
class Proposal:
    """Places: ``parents`` to explain by, ``controls`` among the rest, ``related``: both together."""

    parents: tuple[str, ...]
    controls: tuple[str, ...]
    related: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Deltas from the suspect by matrix, for a candidate that is related to it."""

    place: str
    deltas: dict[str, NDArray[np.float64]]
    distance: float


def propose(suspect: str, candidates: str | None, *, given: Sequence[str], seed: int) -> Proposal:
    """Look at ``candidates`` (a folder or a list), else at what the suspect's own files name.

    ``given`` are models that have a role already. Raises ``UsageError`` when nothing was named anywhere.
    """
    with open_checkpoint(suspect) as own:
        declared = declared_sources(own)
        places, notes = _places(suspect, candidates, declared, given)
        looked = []
        for place in places:
            found = _look(own, place, seed)
            if isinstance(found, Absent):
                notes.append(f"candidate {place}: set aside, {found.reason}")
            else:
                looked.append(found)
    related = sorted(looked, key=lambda c: (c.distance, c.place))
    parents = _best_set(related)
    rest = [c.place for c in related if c.place not in parents]
    if parents:
        notes.append(f"proposed as parents, of {len(places)} looked at: {', '.join(parents)}")
    return Proposal(tuple(parents), tuple(rest), tuple(c.place for c in related), tuple(notes))


def _places(
    suspect: str, candidates: str | None, declared: Sequence[str], given: Sequence[str]
) -> tuple[list[str], list[str]]:
    taken = {os.path.realpath(p) for p in (suspect, *given)}
    notes: list[str] = []
    if candidates is not None:
        found = list(listed_places(candidates))
    else:
        found = []
        for name, place in declared_places(suspect, declared):
            if place is None:
                notes.append(f"its own files name {name}, which is not beside it")
            else:
                notes.append(f"its own files name {name}, found at {place}")
                found.append(place)
        if not found:
            raise _nothing_named(declared)
    kept: dict[str, str] = {}
    for place in found:
        if os.path.realpath(place) not in taken:
            kept.setdefault(os.path.realpath(place), place)
    return list(kept.values()), notes


def _nothing_named(declared: Sequence[str]) -> UsageError:
    if declared:
        said = f"; its own files name {', '.join(declared[:4])}, which are not beside it"
    else:
        said = "; its own files name no source"
    return UsageError(
        "nothing to compare the suspect with" + said,
        code="usage-no-parents",
        hint="name parents with -p, or models to try with --candidates",
    )


def _look(own: Checkpoint, place: str, seed: int) -> _Candidate | Absent:
    with ExitStack() as stack:
        try:
            other = stack.enter_context(open_checkpoint(place))
            alignment = align(own, [other])
        except ParentageError as error:
            return Absent(f"{error.message} ({error.code})")
        groups = [g for g in alignment.groups if _is_matrix(g)]
        step = max(1, -(-len(groups) // MATRICES))
        correlations, distances = [], []
        deltas: dict[str, NDArray[np.float64]] = {}
        for group in groups[::step]:
            sample = read_sample(group, [own, other], sample=SAMPLE, seed=seed)
            theirs = sample.models[1]
            if theirs is None:
                continue
            mine, values = sample.suspect.values, theirs.values
            finite = np.isfinite(mine) & np.isfinite(values)
            spread = float(np.std(mine[finite])) if finite.any() else 0.0
            if spread == 0 or float(np.std(values[finite])) == 0:
                continue
            correlations.append(abs(float(np.corrcoef(mine[finite], values[finite])[0, 1])))
            delta = np.where(finite, np.where(finite, values, 0.0) - np.where(finite, mine, 0.0), 0.0)
            distances.append(math.sqrt(float(np.mean(delta * delta))) / spread)
            deltas[group.name] = delta / spread
    if not correlations:
        return Absent("it shares no matrix with the suspect")
    if median(correlations) < RELATED:
        return Absent(f"its weights are unrelated (correlation {median(correlations):.3f})")
    return _Candidate(place, deltas, median(distances))


def _is_matrix(group: AlignedTensor) -> bool:
    wide = len([n for n in group.suspect.shape if n > 1]) >= 2
    return group.suspect.dtype.is_float and wide


def _best_set(related: Sequence[_Candidate]) -> list[str]:
    """The pair whose line passes nearest to the suspect, and further parents while they are worth it."""
    if not related or related[0].distance == 0.0:
        return [c.place for c in related[:1]]
    if len(related) == 1:
        return [related[0].place]
    chosen = list(min(combinations(related, 2), key=lambda pair: (_left(pair), [c.place for c in pair])))
    rest = [c for c in related if c not in chosen]
    while rest and len(chosen) < MOST_PARENTS:
        left = _left(chosen)
        best = min(rest, key=lambda c: (_left([*chosen, c]), c.place))
        if left == 0 or _left([*chosen, best]) > (1 - WORTH) * left:
            break
        chosen.append(best)
        rest.remove(best)
    # The nearest to the suspect first; the reference of the differences, the farthest, last.
    return [c.place for c in sorted(chosen, key=lambda c: (c.distance, c.place))]


def _left(chosen: Sequence[_Candidate]) -> float:
    """What the best weights (of sum 1) leave unexplained: the median over matrices, in the weights'
    own variance. Least squares is biased by rounding as an estimate; as a ranking it serves."""
    shared = set.intersection(*(set(c.deltas) for c in chosen))
    found = [_unexplained([c.deltas[name] for c in chosen]) for name in sorted(shared)]
    return median(found) if found else math.inf


def _unexplained(deltas: Sequence[NDArray[np.float64]]) -> float:
    reference = deltas[-1]
    moves = np.stack([d - reference for d in deltas[:-1]], axis=1)
    solution, *_ = np.linalg.lstsq(moves, -reference, rcond=None)
    rest = reference + moves @ solution
    return float(np.mean(rest * rest))
