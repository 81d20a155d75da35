"""A brief look at one candidate: is it related to the suspect, and where does it lie from it?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor, align
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.remote_limits import SharedSession
from parentage.errors import ParentageError
from parentage.evidence.between.distances import coding_noise
from parentage.evidence.sampling.fetching import fetch
from parentage.evidence.sampling.positions import Sampling, seeded_rng
from parentage.evidence.sampling.reading import ModelSlice, read_sample, recast
from parentage.evidence.sampling.tiles import too_dear
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import round_to
from parentage.records.absence import Absent

__all__ = ["LOOKED_AT", "RELATED", "Look", "look_at"]

# 16 runs of 256 in each of up to 24 matrices read 400 kB a model and tell a relative (raw weights
# correlate above .9) from a stranger (below .1) in every one of them.
LOOKED_AT = 4_096
MATRICES = 24
RELATED = 0.5
# In standard deviations of the weights: nothing that is related is so far, and squares stay finite.
LARGEST = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """``deltas``: candidate minus suspect by matrix, float32 [n], in standard deviations of the
    suspect's weights there. ``correlation`` of raw weights and ``distance`` (root mean square of the
    deltas) are medians over matrices. ``same``: every number equals the suspect's, as the suspect
    stores it. ``floors``: by matrix, the mean square that storing the suspect has put between it and
    whatever it was computed from, in the deltas' unit."""

    place: str
    deltas: Mapping[str, NDArray[np.float32]]
    floors: Mapping[str, float]
    correlation: float
    distance: float
    same: bool

    @property
    def related(self) -> bool:
        """Whether the raw weights are alike."""
        return self.correlation >= RELATED


def look_at(own: Checkpoint, place: str, sampling: Sampling, shared: SharedSession) -> Look | Absent:
    """Compare samples of the matrices that both have; Absent: they cannot be compared, and why.

    Looks that are to be combined take one ``sampling`` of ``LOOKED_AT`` elements a matrix.
    """
    with ExitStack() as stack:
        try:
            other = stack.enter_context(open_checkpoint(place, session=shared.of(place)))
            groups = [g for g in align(own, [other], by_content=True).groups if _is_matrix(g)]
            cheap = [g for g in groups if not too_dear(g, (own, other))]
            chosen = list(_spread(own, cheap, sampling.seed))
            fetch(chosen, [own, other], sampling)
            read = [_Matrix.read(g, own, other, sampling) for g in chosen]
        except ParentageError as error:
            return Absent(f"{error.message} ({error.code})")
    found = {m.name: m for m in read if m is not None}
    if not found:
        return Absent("it shares no matrix with the suspect")
    return Look(
        place,
        {name: m.delta for name, m in found.items()},
        {name: m.floor for name, m in found.items()},
        median(m.correlation for m in found.values()),
        median(_size(m.delta) for m in found.values()),
        all(m.same for m in found.values()),
    )


def _is_matrix(group: AlignedTensor) -> bool:
    wide = len([n for n in group.suspect.shape if n > 1]) >= 2
    return group.suspect.dtype.is_float and wide


def _spread(own: Checkpoint, groups: list[AlignedTensor], seed: int) -> Iterator[AlignedTensor]:
    """The first matrices, in an order that depends on the suspect alone: candidates that have other
    parts of it are still seen on the same ones."""
    names = list(own.tensors)
    order = seeded_rng(seed, "candidates").permutation(len(names))
    rank = {names[k]: n for n, k in enumerate(order)}
    yield from sorted(groups, key=lambda g: rank[g.name])[:MATRICES]


@dataclass(frozen=True, slots=True)
class _Matrix:
    name: str
    delta: NDArray[np.float32]
    floor: float
    correlation: float
    same: bool

    @staticmethod
    def read(
        group: AlignedTensor, own: Checkpoint, other: Checkpoint, sampling: Sampling
    ) -> _Matrix | None:
        sample = read_sample(group, [own, other], sampling)
        second = sample.models[1]
        if second is None:
            return None
        finite = np.isfinite(sample.suspect.values) & np.isfinite(second.values)
        mine, theirs = sample.suspect.values[finite], second.values[finite]
        spread = float(np.std(mine)) if mine.size else 0.0
        if spread == 0 or float(np.std(theirs)) == 0:
            return None
        same = bool(np.array_equal(recast(theirs, sample.suspect.effective), mine))
        # What is not finite takes no part, at the same length for every candidate.
        delta = np.zeros(finite.size, np.float32)
        delta[finite] = 0.0 if same else np.clip((theirs - mine) / spread, -LARGEST, LARGEST)
        floor = _rounding(mine, sample.suspect) / spread**2
        return _Matrix(group.name, delta, floor, abs(float(np.corrcoef(mine, theirs)[0, 1])), same)


def _rounding(values: NDArray[np.float64], stored: ModelSlice) -> float:
    """The mean square of an error that is uniform over each value's rounding cell."""
    if stored.encoding:
        return coding_noise(values) / max(values.size, 1)
    cells = rounding_cells(round_to(values, stored.effective), stored.effective)
    return float(np.mean(np.square(cells.high - cells.low))) / 12


def _size(delta: NDArray[np.float32]) -> float:
    return math.sqrt(float(np.mean(np.square(delta, dtype=np.float64))))
