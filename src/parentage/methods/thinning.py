"""Masks over task vectors, and the factor that gives what is left the L1 norm of the whole.

The factor is r(r(sum |d|) / r(sum |d * mask|)) in the dtype that the tool works in, and no factor where
either sum is below 1e-7 (mergekit ``sparsify.py``, since April 2024; before, and in the DARE paper, the
factor was one over the density).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from parentage.methods.grids import on_grid, scalar_on_grid
from parentage.methods.method import Profile, Reader, Values
from parentage.methods.task_vectors import Deltas
from parentage.methods.totals import sum_in
from parentage.records.dtypes import DType

if TYPE_CHECKING:
    from parentage.methods.stored_merge import Trims

__all__ = ["Keep", "Thinning", "thinning"]

# Below this a tool takes a norm for zero.
SMALLEST: Final = np.float32(1e-7)


class Keep(Protocol):
    """Which elements of one task vector stay: a mask [n] of elements ``start`` on, given the deltas."""

    def __call__(self, start: int, delta: Values) -> NDArray[np.bool_]: ...


@dataclass(frozen=True, slots=True)
class Thinning:
    """``keeps`` [others]: None leaves a task vector whole; ``factors`` [others]: None is 1."""

    keeps: tuple[Keep | None, ...]
    factors: tuple[np.float32 | None, ...]
    work: DType
    dtype: DType
    granularity: int = 1
    trims: Trims | None = None

    def apply(self, start: int, deltas: Values) -> Values:
        """The thinned [others, n]; changes its input."""
        for j, keep in enumerate(self.keeps):
            if keep is None:
                continue
            deltas[j] *= keep(start, deltas[j])
            factor = self.factors[j]
            if factor is not None:
                deltas[j] = on_grid(on_grid(deltas[j] * factor, self.work), self.dtype)
        return deltas


def thinning(
    reader: Reader,
    deltas: Deltas,
    profile: Profile,
    keeps: Sequence[Keep | None],
    *,
    rescale: bool,
    work: DType,
    rows: bool = False,
) -> Thinning:
    """Measure the factors, in one pass more where they are asked for."""
    factors: tuple[np.float32 | None, ...] = (None,) * len(keeps)
    if rescale and any(k is not None for k in keeps):
        factors = _factors(reader, deltas, profile, keeps, work, rows)
    row = max(1, reader.shape[-1]) if rows and reader.shape else 1
    return Thinning(tuple(keeps), factors, work, deltas.dtype, row)


def _factors(
    reader: Reader, deltas: Deltas, profile: Profile, keeps: Sequence[Keep | None], work: DType, rows: bool
) -> tuple[np.float32 | None, ...]:
    before = [sum_in(profile, work, reader.elements) for _ in keeps]
    after = [sum_in(profile, work, reader.elements) for _ in keeps]
    for start, values in reader.chunks(rows):
        d = deltas(values)
        for j, keep in enumerate(keeps):
            if keep is not None:
                size = np.abs(d[j])
                before[j].add(size)
                after[j].add(size * keep(start, d[j]))
    return tuple(_factor(b.result(), a.result(), work) for b, a in zip(before, after, strict=True))


def _factor(before: np.float32, after: np.float32, work: DType) -> np.float32 | None:
    if before < SMALLEST or after < SMALLEST:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        return scalar_on_grid(float(np.float32(before / after)), work)
