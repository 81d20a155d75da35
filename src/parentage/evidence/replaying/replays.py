"""The second measuring pass: recipes replayed bit for bit on the same samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.blends.mixtures import cast_operand, in_dtype_of
from parentage.evidence.sampling.reading import TensorSample
from parentage.methods.linear import Arithmetic
from parentage.numerics.storage.cells import Cells, lies_on, mostly_as_stored, rounding_cells
from parentage.numerics.storage.formats import from_ordinal, ordinal, round_to, to_float64
from parentage.records.dtypes import DType
from parentage.records.evidence import ReplayTensor

__all__ = ["OFFSET_RANGE", "Operands", "Recipe", "backward_match", "entropy", "prepare", "replay_tensor"]

# Offsets are counted from -8 to +8 grid steps; the end bins are open.
OFFSET_RANGE = 8


@dataclass(frozen=True, slots=True)
class Recipe:
    """Models, their weights and the arithmetic that is said to have blended them.

    ``grid``: the 16-bit format that the blend was stored in, where the suspect is in 32 bits and numbers of
    it were changed in between; None where it was stored as the suspect is.
    """

    parents: tuple[int, ...]
    weights: tuple[float, ...]
    arithmetic: Arithmetic
    cast: str
    grid: DType | None = None


@dataclass(frozen=True, slots=True)
class Operands:
    """One tensor's finite elements, ready to be replayed: parents float64 [K, n], suspect bits.

    ``bits`` are the suspect's in ``dtype``, which the blend was stored in; ``exact`` [n] tells which of its
    numbers that format holds, None where it holds all.
    """

    parents: NDArray[np.float64]
    suspect: NDArray[np.float64]
    bits: NDArray[np.unsignedinteger]
    dtype: DType
    informative: NDArray[np.bool_]
    rows: NDArray[np.int32]
    experts: NDArray[np.int32] | None = None
    exact: NDArray[np.bool_] | None = None

    def equals(self, predicted: NDArray[np.unsignedinteger]) -> NDArray[np.bool_]:
        """Which of the suspect's numbers are the predicted ones."""
        same: NDArray[np.bool_] = predicted == self.bits
        return same if self.exact is None else same & self.exact

    def cells(self) -> Cells:
        """Those of the suspect's numbers: of a number off the grid those of 32 bits."""
        own = rounding_cells(self.bits, self.dtype)
        if self.exact is None:
            return own
        wide = rounding_cells(round_to(self.suspect, DType.F32), DType.F32)
        return Cells(
            np.where(self.exact, own.low, wide.low),
            np.where(self.exact, own.high, wide.high),
            np.where(self.exact, own.closed, wide.closed),
        )

    def told(self) -> tuple[NDArray[np.float64], Cells]:
        """The suspect's numbers and cells as the likelihoods go by them (see ``blends.mixtures``)."""
        if self.exact is None:
            return self.suspect, rounding_cells(self.bits, self.dtype)
        if mostly_as_stored(self.suspect[self.informative], self.dtype):
            return to_float64(self.bits, self.dtype), rounding_cells(self.bits, self.dtype)
        return self.suspect, rounding_cells(round_to(self.suspect, DType.F32), DType.F32)

    def only(self, chosen: NDArray[np.int64]) -> Operands:
        """The same at some of the elements."""
        return Operands(
            self.parents[:, chosen],
            self.suspect[chosen],
            self.bits[chosen],
            self.dtype,
            self.informative[chosen],
            self.rows[chosen],
            None if self.experts is None else self.experts[chosen],
            None if self.exact is None else self.exact[chosen],
        )

    def moved(self, parent: int, steps: int) -> Operands:
        """The same with one parent moved by whole grid steps of the suspect's dtype."""
        bits = from_ordinal(
            ordinal(round_to(self.parents[parent], self.dtype), self.dtype) + steps, self.dtype
        )
        return self._with(parent, to_float64(bits, self.dtype))

    def made_equal(self, parent: int, other: int) -> Operands:
        """The same with one parent's numbers replaced by another's."""
        return self._with(parent, self.parents[other])

    def _with(self, parent: int, values: NDArray[np.float64]) -> Operands:
        parents = self.parents.copy()
        parents[parent] = values
        return replace(self, parents=parents)


def prepare(
    sample: TensorSample, subject: int, parents: tuple[int, ...], cast: str, grid: DType | None = None
) -> Operands | None:
    """Gather the operands; None when a model lacks the tensor. ``grid``: see :class:`Recipe`; of no account
    where the suspect's numbers fit 16 bits."""
    chosen = sample.models[subject]
    models = [sample.models[i] for i in parents]
    known = [m for m in models if m is not None]
    if chosen is None or len(known) != len(models):
        return None
    chosen = in_dtype_of(sample.suspect, chosen)
    values = np.stack([cast_operand(m.values, cast) for m in known])
    finite = np.isfinite(values).all(axis=0) & np.isfinite(chosen.values)
    values, suspect = values[:, finite], chosen.values[finite]
    informative = (values != values[-1]).any(axis=0)
    experts = None if sample.experts is None else sample.experts[finite]
    dtype = chosen.effective
    exact = None
    if grid is not None and dtype is DType.F32:
        dtype, exact = grid, lies_on(suspect, grid)
    bits = round_to(suspect, dtype)
    return Operands(values, suspect, bits, dtype, informative, sample.rows[finite], experts, exact)


def predict_bits(operands: Operands, recipe: Recipe) -> NDArray[np.unsignedinteger]:
    """The recipe's own output bits on these operands."""
    parents = operands.parents.astype(np.float32)
    return recipe.arithmetic.apply(recipe.weights, parents, out_dtype=operands.dtype)


def replay_tensor(name: str, operands: Operands, recipe: Recipe) -> ReplayTensor:
    """Count exact matches and offsets of the suspect from the replay."""
    predicted = predict_bits(operands, recipe)
    offset = _offset(operands, predicted)
    # Zeros of either sign are one number.
    match = offset == 0
    clipped = np.clip(offset, -OFFSET_RANGE, OFFSET_RANGE) + OFFSET_RANGE
    histogram = np.bincount(clipped.astype(np.int64), minlength=2 * OFFSET_RANGE + 1)
    return ReplayTensor(
        name=name,
        weights=recipe.weights,
        examined=int(match.size),
        matches=int(np.count_nonzero(match)),
        informative=int(np.count_nonzero(operands.informative)),
        informative_matches=int(np.count_nonzero(match & operands.informative)),
        beyond_rounding=_beyond_rounding(operands, recipe, match),
        novel_bits=entropy(np.unique(_told_apart(operands, offset), return_counts=True)[1]),
        own_bits=entropy(np.unique(_own(operands), return_counts=True)[1]),
        offsets=tuple(int(x) for x in histogram),
        experts=_experts(operands.experts, operands.informative),
        experts_off=_experts(operands.experts, operands.informative & ~match),
    )


def _offset(operands: Operands, predicted: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Grid steps from the replay; a number off the grid that lies nearest to it is one step away, begun."""
    offset: NDArray[np.int64] = ordinal(operands.bits, operands.dtype) - ordinal(predicted, operands.dtype)
    if operands.exact is None:
        return offset
    ahead = np.where(operands.suspect > to_float64(predicted, operands.dtype), 1, -1)
    return np.where((offset == 0) & ~operands.exact, ahead, offset)


def _own(operands: Operands) -> NDArray[np.unsignedinteger]:
    return operands.bits if operands.exact is None else round_to(operands.suspect, DType.F32)


def _told_apart(operands: Operands, offset: NDArray[np.int64]) -> NDArray[np.int64]:
    """What has to be told of each number, given the replay: its offset, or all of it if off the grid."""
    if operands.exact is None:
        return offset
    return np.where(operands.exact, offset, ordinal(_own(operands), DType.F32) + 2**40)


def _experts(experts: NDArray[np.int32] | None, where: NDArray[np.bool_]) -> tuple[int, ...]:
    return () if experts is None else tuple(int(x) for x in np.unique(experts[where]))


def _beyond_rounding(operands: Operands, recipe: Recipe, match: NDArray[np.bool_]) -> int:
    """Elements off the replay that are farther from the unrounded blend than half the coarsest step
    among the operands. (What an arithmetic reproduces exactly needs no other explanation, even where
    it divides by a sum of weights that the unrounded blend knows nothing of.)"""
    if operands.suspect.size == 0:
        return 0
    blend = np.tensordot(np.asarray(recipe.weights), operands.parents, axes=1)
    cells = operands.cells()
    outside = np.maximum(np.maximum(cells.low - blend, blend - cells.high), 0.0)
    largest = np.maximum(np.abs(operands.parents).max(axis=0), np.abs(operands.suspect))
    top = rounding_cells(round_to(largest, operands.dtype), operands.dtype)
    far = outside > (top.high - top.low) / 2 * (1 + 1e-6)
    return int(np.count_nonzero(far & ~match))


def entropy(counts: NDArray[np.int64]) -> float:
    """Plug-in entropy of a histogram, in bits."""
    total = float(np.sum(counts))
    if total == 0:
        return 0.0
    shares = counts[counts > 0] / total
    return max(0.0, float(-np.sum(shares * np.log2(shares))))


def backward_match(operands: Operands, recipe: Recipe) -> tuple[int, int]:
    """(matches, informative) when the first parent is rebuilt from the suspect and the others.

    Rounding is many-to-one: what a blend predicts forward exactly, nobody predicts backward.
    """
    weight = recipe.weights[0]
    if weight == 0 or not operands.informative.any():
        return 0, 0
    rest = np.tensordot(np.asarray(recipe.weights[1:]), operands.parents[1:], axes=1)
    rebuilt = (operands.suspect - rest) / weight
    dtype = operands.dtype
    guess = to_float64(round_to(rebuilt, dtype), dtype)
    first = to_float64(round_to(operands.parents[0], dtype), dtype)
    hit = (guess == first) & operands.informative
    return int(np.count_nonzero(hit)), int(np.count_nonzero(operands.informative))
