"""DELLA: thin task vectors at random, the larger an element in its row the likelier it stays.

Deep et al., "DELLA-Merging", arXiv 2406.11617. Within a row (of the last dimension; a vector is one row)
ranks run from 1 for the smallest |d|. With r the rounding of the dtype that the tool draws in:
p = r(r(density - epsilon) + r(r(2 rank') * epsilon)), rank' the rank scaled to [0, 1], each step rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.methods.blocks import rows_of
from parentage.methods.dare import draws_of, work_dtype
from parentage.methods.draws import Draws
from parentage.methods.grids import on_grid, scalar_on_grid
from parentage.methods.method import Declared, Method, Parameters, Profile, Reader, Values
from parentage.methods.selection import keys_of
from parentage.methods.task_vectors import Deltas, Sparsifier, task_method
from parentage.methods.thinning import Keep, thinning
from parentage.methods.tool_order import sort_row
from parentage.records.dtypes import DType

__all__ = ["DELLA", "DELLA_LINEAR", "ByRank"]

EPSILON: Final = Declared(
    "epsilon",
    "half the spread of the probabilities within a row",
    per_model=True,
    default=0.15,
    low=0,
    high=0.5,
)


@dataclass(frozen=True, slots=True)
class ByRank:
    """A mask by chance and rank: one ``operand`` of the ``draws``, rows of ``row`` elements."""

    draws: Draws
    operand: int
    density: float
    epsilon: float
    row: int
    work: DType
    ours: bool

    def __call__(self, start: int, delta: Values) -> NDArray[np.bool_]:
        chances = self.chances(np.abs(delta).reshape(-1, self.row)).reshape(-1)
        return self.draws.uniform(self.operand, start, delta.size) < chances

    def chances(self, sizes: Values) -> Values:
        """Probabilities [rows, row] of magnitudes [rows, row]."""
        order = self._order(sizes)
        by_rank = self._by_rank()
        chances = np.empty_like(sizes)
        np.put_along_axis(chances, order, np.broadcast_to(by_rank, sizes.shape), axis=1)
        return chances

    def _order(self, sizes: Values) -> NDArray[Any]:
        """Indices [rows, row] from the smallest to the largest."""
        if self.ours:
            return np.argsort(sizes, axis=1, kind="stable")
        keys = keys_of(sizes.reshape(-1), descending=False)
        places = np.tile(np.arange(self.row, dtype=np.uint32), sizes.shape[0])
        for first in range(0, keys.size, self.row):
            sort_row(keys, places, first, first + self.row)
        return places.reshape(sizes.shape).astype(np.int64)

    def _by_rank(self) -> Values:
        """Probabilities [row] from the smallest to the largest."""
        q = self.work
        ranks = on_grid(on_grid(np.arange(self.row, dtype=np.float32), q) + np.float32(1), q)
        span = on_grid(np.array([ranks.max() - ranks.min()], np.float32), q)
        with np.errstate(invalid="ignore"):
            scaled = on_grid(on_grid(ranks - ranks.min(), q) / span, q)
        scaled = np.clip(scaled, np.float32(0), np.float32(1))
        spread = on_grid(on_grid(scaled * np.float32(2), q) * np.float32(self.epsilon), q)
        # torch rounds a number that it adds to a tensor's dtype, not one that it multiplies by.
        return on_grid(scalar_on_grid(self.density - self.epsilon, q) + spread, q)


def _nothing(start: int, delta: Values) -> NDArray[np.bool_]:
    return np.zeros(delta.size, np.bool_)


def _by_rank(
    reader: Reader, deltas: Deltas, parameters: Parameters, profile: Profile, name: str
) -> Sparsifier:
    work = work_dtype(deltas.dtype)
    draws = draws_of(profile, parameters, reader.elements, name)
    keeps: list[Keep | None] = []
    turn = 0
    for j, k in enumerate(deltas.others):
        density, epsilon = (float(parameters.per_model[k][p]) for p in ("density", "epsilon"))
        if density >= 1 or density <= 0:
            keeps.append(None if density >= 1 else _nothing)
            continue
        _check(density, epsilon, name)
        operand = j if profile.ours else turn
        keeps.append(ByRank(draws, operand, density, epsilon, rows_of(reader.shape), work, profile.ours))
        turn += 1
    rescale = bool(parameters.shared["rescale"])
    return thinning(reader, deltas, profile, keeps, rescale=rescale, work=work, rows=True)


def _check(density: float, epsilon: float, name: str) -> None:
    if density + epsilon >= 1 or density - epsilon <= 0:
        raise UsageError(
            f"density {density:g} with epsilon {epsilon:g} gives probabilities outside of (0, 1)",
            code="della-spread",
            where=name,
            hint="a smaller epsilon",
        )


def _words(reader: Reader, parameters: Parameters, profile: Profile) -> int:
    base = reader.base
    thinned = [k for k, p in enumerate(parameters.per_model) if k != base and 0 < float(p["density"]) < 1]
    return len(thinned) * reader.elements


DELLA: Final[Method] = task_method(
    "della",
    "task vectors thinned at random by rank, signs elected, normalised",
    "https://arxiv.org/abs/2406.11617",
    "della-merge",
    elect=True,
    normalize=True,
    rescale=True,
    sparsifier=_by_rank,
    more=(EPSILON,),
    random=_words,
)
DELLA_LINEAR: Final[Method] = task_method(
    "della_linear",
    "task vectors thinned at random by rank, added",
    "https://arxiv.org/abs/2406.11617",
    "della-merge",
    elect=False,
    rescale=True,
    sparsifier=_by_rank,
    more=(EPSILON,),
    random=_words,
)
