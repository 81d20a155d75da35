"""Is the suspect a weighted sum of some models, tensor by tensor, but for its rounding?

A gate and a first guess, nothing more: the fit is least squares in units of rounding cells, whose
coefficients are biased where models are a grid step or two apart. Whatever it proposes is replayed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import round_to
from parentage.records.dtypes import DType

if TYPE_CHECKING:
    from parentage.evidence.recognition.context import Context

__all__ = ["Span", "fit_span", "half_cells", "spans"]

Floats = NDArray[np.float64]
# Median of what is left, in half cells: one rounding leaves .5, rules that round each step to 16 bits up to
# twice that. A fine-tune of .3 % comes so near too, and costs a search.
NEAR: Final = 1.5
# A model without share in the suspect changes the fit by chance alone; one of a tenth, of changes of three
# grid steps, by a third.
AS_NEAR: Final = 1.15
# Elements of a tensor that are looked at.
ENOUGH: Final = 65_536


@dataclass(frozen=True)
class Span:
    """``weights`` [K] of ``models`` by tensor, and what is left over (median, half cells)."""

    models: tuple[int, ...]
    weights: Mapping[str, Floats]
    left: Mapping[str, float]

    @cached_property
    def holds(self) -> bool:
        """Do most tensors lie on the models' span?"""
        return bool(self.left) and self.typical <= NEAR

    @cached_property
    def typical(self) -> float:
        """What is left in the median tensor."""
        return median(self.left.values()) if self.left else np.inf

    @cached_property
    def pooled(self) -> Floats:
        """Median over the tensors [K]."""
        found: Floats = np.median(np.stack(list(self.weights.values())), axis=0)
        return found

    def changes(self, base: int) -> Floats:
        """Pooled weights of the changes from ``base``, which is a model of the span, [K - 1]."""
        at = self.models.index(base)
        return np.delete(self.pooled, at)


def half_cells(values: Floats, dtype: DType) -> Floats:
    """Half widths of the rounding cells of stored values [n]; one where the value is no number."""
    cells = rounding_cells(round_to(values, dtype), dtype)
    half: Floats = (cells.high - cells.low) / 2
    return np.where(np.isfinite(half) & (half > 0), half, 1.0)


def spans(context: Context, least: int, most: int) -> Iterator[Span]:
    """Sets of models on whose span the suspect lies no farther than on that of all, the smallest first."""
    whole = context.span(context.sources)
    if not whole.holds:
        return
    for models in sorted(context.sets(least, most), key=len):
        found = context.span(models)
        if found.holds and found.typical <= AS_NEAR * whole.typical:
            yield found


def fit_span(context: Context, models: Sequence[int]) -> Span:
    """Weights of the models in every probe tensor that all of them have."""
    weights, left = dict[str, Floats](), dict[str, float]()
    for name in context.probes:
        values = context.probe(name).values
        if 0 not in values or any(k not in values for k in models):
            continue
        chosen = np.linspace(0, values[0].size - 1, min(values[0].size, ENOUGH)).astype(np.int64)
        # Where models cancel, their own roundings are the larger ones; the same cells for every set.
        sizes = np.max(np.abs([row[chosen] for row in values.values()]), axis=0)
        half = half_cells(sizes, context.held)
        fitted = _fitted(values[0][chosen], [values[k][chosen] for k in models], half)
        if fitted is not None:
            weights[name], left[name] = fitted
    return Span(tuple(models), weights, left)


def _fitted(suspect: Floats, models: Sequence[Floats], half: Floats) -> tuple[Floats, float] | None:
    """Least squares around the first model, so that nearly equal models stay apart."""
    first, rest = models[0], models[1:]
    finite = np.isfinite(suspect) & np.isfinite(first)
    for row in rest:
        finite &= np.isfinite(row)
    if np.count_nonzero(finite) < 4 * len(models):
        return None
    half = half[finite]
    columns = [first[finite], *(row[finite] - first[finite] for row in rest)]
    matrix = np.stack([c / half for c in columns], axis=1)
    scale = np.linalg.norm(matrix, axis=0)
    if not (scale > 0).all():
        return None
    wanted = (suspect[finite] - first[finite]) / half
    found = np.linalg.lstsq(matrix / scale, wanted, rcond=None)[0] / scale
    left = float(np.median(np.abs(wanted - matrix @ found)))
    shares = np.array([1 + found[0] - found[1:].sum(), *found[1:]])
    return shares, left
