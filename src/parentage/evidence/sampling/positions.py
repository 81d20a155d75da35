"""Which elements of a tensor are read: a stratified draw of short runs, from (seed, role, layer, size).

Runs, not single elements: a run is one range read, and it stands for a stretch of one row, which the
row-wise scales of the likelihoods need. The draw depends on nothing but its arguments, so neither
threads nor shards nor order can move it; nor does a tensor's name, where its role is known, so that
two layouts of one model are read at the same places.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.roles import TensorRole

__all__ = [
    "BLOCK",
    "REMOTE_RUN",
    "SamplePlan",
    "Sampling",
    "experts_of",
    "new_elements",
    "plan_sample",
    "seeded_rng",
]

# Long enough to estimate a scale for each run (256 values: 4.4 % standard error of a standard
# deviation), short enough that 65,536 elements come from 256 different places of a tensor.
BLOCK = 256
# Over a network a request costs what some tens of kilobytes do: few and long runs.
REMOTE_RUN = 2048
# Of a tensor that holds a layer's experts, so many pairs of neighbours are visited where runs are few, each
# by one run across their border. A layer has two such tensors, which share no expert: 64 in all.
EXPERT_PAIRS = 16
# Where there would be two runs, a tensor below this size, or one of hundreds of a kind, is read in one that
# is twice as long: as many elements in half the requests. With 2,924 tensors 4,860 instead of 6,650.
SMALL = 2**20
# A run of a turned matrix lies in as many rows of the file, 8 kB apart where 4,096 numbers of 16 bits make
# one: a tile of 64 by 64 is half a megabyte then and one request, in either layout.
TILE = 64
_FUSED = ("experts.up", "experts.down")
_ONE_OF_MANY = re.compile(r"\.experts\.\d+\.")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How much is read: ``elements`` of each tensor, in runs of ``run``, at places drawn from ``seed``.

    ``further``: elements at each later stage, which keeps what earlier ones read. ``reached``: how many
    later stages a component was read in; none where it is not named. ``tiled``: matrices that are read in
    tiles and not in runs, for a model that is read by range has them turned.
    """

    elements: int
    seed: int
    run: int = BLOCK
    further: tuple[int, ...] = ()
    reached: tuple[tuple[str, int], ...] = ()
    tiled: frozenset[str] = frozenset()

    def later(self, component: str) -> tuple[int, ...]:
        """Elements at each of the later stages that ``component`` was read in."""
        return self.further[: dict(self.reached).get(component, 0)]

    @property
    def runs(self) -> int:
        """Runs in a tensor that is not read whole."""
        return max(1, self.elements // self.run)


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """Runs of ``length`` elements at ``starts``; ``whole`` when that is every element."""

    starts: NDArray[np.int64]
    length: int
    whole: bool
    elements: int


def seeded_rng(seed: int, *names: str) -> np.random.Generator:
    """A counter-based generator that depends on the seed and the names alone."""
    digest = hashlib.sha256("\0".join((str(seed), *names)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def plan_sample(name: str, role: TensorRole, shape: tuple[int, ...], sampling: Sampling) -> SamplePlan:
    """Plan the reading of one tensor: all of it when it has at most ``sampling.elements``."""
    elements = int(np.prod(shape, dtype=np.int64)) if shape else 1
    run, later = sampling.run, sampling.later(role.component)
    if elements <= max(sampling.elements, run, *later):
        return SamplePlan(np.zeros(1, np.int64), elements, True, elements)
    own = (name,) if role.role == "other" else (role.role, str(role.layer))
    if name in sampling.tiled:
        rng = seeded_rng(sampling.seed, "tiles", *own, str(elements))
        return _tiles(rng, (shape[0], shape[1]), max(sampling.elements, *later, 0))
    rng = seeded_rng(sampling.seed, "sample", *own, str(elements))
    fused = role.role in _FUSED and len(shape) == 3 and shape[0] > 3
    if fused and sampling.runs < 4 * EXPERT_PAIRS:
        starts = _expert_borders(role, shape, sampling, 0)
    elif sampling.runs == 2 and _one_run(name, role, elements):
        run = sampling.runs * run
        starts = rng.integers(0, elements - run, 1, dtype=np.int64, endpoint=True)
    else:
        starts = _spread(rng, elements, sampling.runs, run)
    before = sampling.elements
    for turn, size in enumerate(later, 1):
        rng = seeded_rng(sampling.seed, "sample", *own, str(elements), "stage", str(turn))
        more = _spread(rng, elements, max(1, (size - before) // run), run)
        if fused and sampling.runs < 4 * EXPERT_PAIRS:
            more = np.concatenate([_expert_borders(role, shape, sampling, turn), more])
        starts, before = _joined(starts, more, run), size
    return SamplePlan(starts, run, False, starts.size * run)


def _tiles(rng: np.random.Generator, shape: tuple[int, int], elements: int) -> SamplePlan:
    """Squares of 64 numbers a side, whose rows are runs either way round; those of an earlier stage are
    the first of a later one's."""
    rows, columns = (min(TILE, n) for n in shape)
    down, across = shape[0] // rows, shape[1] // columns
    count = min(max(1, elements // (rows * columns)), down * across)
    chosen = rng.permutation(down * across)[:count].astype(np.int64)
    tops, lefts = chosen // across * rows, chosen % across * columns
    starts = (tops[:, None] + np.arange(rows)) * shape[1] + lefts[:, None]
    return SamplePlan(np.sort(starts.reshape(-1)), columns, False, starts.size * columns)


def _spread(rng: np.random.Generator, elements: int, runs: int, run: int) -> NDArray[np.int64]:
    """One run in each of as many equal parts, none meeting the next."""
    if runs > 1 and elements < (runs + 1) * run:  # hardly more than is read: no part has room to choose
        return np.arange(runs, dtype=np.int64) * (elements - run) // (runs - 1)
    edges = np.linspace(0, elements - run, runs + 1)
    offsets = rng.random(runs) * np.maximum(np.diff(edges) - run, 0.0)
    return np.floor(edges[:-1] + offsets).astype(np.int64)


def _one_run(name: str, role: TensorRole, elements: int) -> bool:
    return elements < SMALL or role.role == "vision" or _ONE_OF_MANY.search(name) is not None


def _joined(starts: NDArray[np.int64], more: NDArray[np.int64], run: int) -> NDArray[np.int64]:
    """Earlier runs, and those of ``more`` that meet neither them nor each other."""
    kept: list[int] = starts.tolist()
    for start in more.tolist():
        place = bisect_left(kept, start)
        free_below = place == 0 or kept[place - 1] + run <= start
        free_above = place == len(kept) or start + run <= kept[place]
        if free_below and free_above:
            kept.insert(place, start)
    return np.array(kept, dtype=np.int64)


def new_elements(before: SamplePlan, after: SamplePlan) -> NDArray[np.bool_]:
    """Which elements of ``after`` [n] the earlier plan did not read."""
    return ~np.isin(_positions(after), _positions(before))


def _positions(plan: SamplePlan) -> NDArray[np.int64]:
    return np.asarray(plan.starts[:, None] + np.arange(plan.length, dtype=np.int64)[None, :]).reshape(-1)


def _expert_borders(
    role: TensorRole, shape: tuple[int, ...], sampling: Sampling, turn: int
) -> NDArray[np.int64]:
    """Runs across the borders of neighbouring experts; the layer's other fused tensor takes other pairs,
    and so does each later stage while there are any."""
    experts, each = shape[0], int(np.prod(shape[1:], dtype=np.int64))
    rng = seeded_rng(sampling.seed, "experts", str(role.layer), str(experts))
    pairs = rng.permutation(experts // 2)
    count = min(EXPERT_PAIRS, max(1, pairs.size // 2))
    first = (2 * turn + (role.role != _FUSED[0])) * count
    chosen = np.sort(pairs[first : first + count])
    borders = (2 * chosen.astype(np.int64) + 1) * each - sampling.run // 2
    last = experts * each - sampling.run
    return np.asarray(np.clip(borders, 0, last), dtype=np.int64)


def experts_of(plan: SamplePlan, role: TensorRole, shape: tuple[int, ...]) -> NDArray[np.int32] | None:
    """The expert of every element read [n]; None where the tensor does not hold a layer's experts."""
    if role.role not in _FUSED or len(shape) != 3:
        return None
    each = max(1, int(np.prod(shape[1:], dtype=np.int64)))
    return (_positions(plan) // each).astype(np.int32)
