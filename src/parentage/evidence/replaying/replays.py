"""The second measuring pass: recipes replayed bit for bit on the same samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.blends.mixtures import cast_operand, in_dtype_of
from parentage.evidence.sampling.reading import TensorSample
from parentage.methods.linear import Arithmetic
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import from_ordinal, ordinal, round_to, to_float64
from parentage.records.dtypes import DType
from parentage.records.evidence import ReplayTensor

__all__ = ["OFFSET_RANGE", "Operands", "Recipe", "backward_match", "entropy", "prepare", "replay_tensor"]

# Offsets are counted from -8 to +8 grid steps; the end bins are open.
OFFSET_RANGE = 8


@dataclass(frozen=True, slots=True)
class Recipe:
    """Models, their weights and the arithmetic that is said to have blended them."""

    parents: tuple[int, ...]
    weights: tuple[float, ...]
    arithmetic: Arithmetic
    cast: str


@dataclass(frozen=True, slots=True)
class Operands:
    """One tensor's finite elements, ready to be replayed: parents float64 [K, n], suspect bits."""

    parents: NDArray[np.float64]
    suspect: NDArray[np.float64]
    bits: NDArray[np.unsignedinteger]
    dtype: DType
    informative: NDArray[np.bool_]
    rows: NDArray[np.int32]
    experts: NDArray[np.int32] | None = None

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
        )

    def moved(self, parent: int, steps: int) -> Operands:
        """The same with one parent moved by whole grid steps of the suspect's dtype."""
        bits = from_ordinal(
            ordinal(round_to(self.parents[parent], self.dtype), self.dtype) + steps, self.dtype
        )
        parents = self.parents.copy()
        parents[parent] = to_float64(bits, self.dtype)
        return replace(self, parents=parents)


def prepare(sample: TensorSample, subject: int, parents: tuple[int, ...], cast: str) -> Operands | None:
    """Gather the operands; None when a model lacks the tensor."""
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
    bits = round_to(suspect, chosen.effective)
    experts = None if sample.experts is None else sample.experts[finite]
    return Operands(values, suspect, bits, chosen.effective, informative, sample.rows[finite], experts)


def predict_bits(operands: Operands, recipe: Recipe) -> NDArray[np.unsignedinteger]:
    """The recipe's own output bits on these operands."""
    parents = operands.parents.astype(np.float32)
    return recipe.arithmetic.apply(recipe.weights, parents, out_dtype=operands.dtype)


def replay_tensor(name: str, operands: Operands, recipe: Recipe) -> ReplayTensor:
    """Count exact matches and offsets of the suspect from the replay."""
    predicted = predict_bits(operands, recipe)
    offset = ordinal(operands.bits, operands.dtype) - ordinal(predicted, operands.dtype)
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
        novel_bits=entropy(np.unique(offset, return_counts=True)[1]),
        own_bits=entropy(np.unique(operands.bits, return_counts=True)[1]),
        offsets=tuple(int(x) for x in histogram),
        experts=_experts(operands.experts, operands.informative),
        experts_off=_experts(operands.experts, operands.informative & ~match),
    )


def _experts(experts: NDArray[np.int32] | None, where: NDArray[np.bool_]) -> tuple[int, ...]:
    return () if experts is None else tuple(int(x) for x in np.unique(experts[where]))


def _beyond_rounding(operands: Operands, recipe: Recipe, match: NDArray[np.bool_]) -> int:
    """Elements off the replay that are farther from the unrounded blend than half the coarsest step
    among the operands. (What an arithmetic reproduces exactly needs no other explanation, even where
    it divides by a sum of weights that the unrounded blend knows nothing of.)"""
    if operands.suspect.size == 0:
        return 0
    blend = np.tensordot(np.asarray(recipe.weights), operands.parents, axes=1)
    cells = rounding_cells(operands.bits, operands.dtype)
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
