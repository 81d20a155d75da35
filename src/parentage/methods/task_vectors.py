"""Merges of task vectors: the frame of task arithmetic, TIES, DARE, DELLA and breadcrumbs.

Ilharco et al., "Editing models with task arithmetic", arXiv 2212.04089; sign election from Yadav et al.,
"TIES-merging", arXiv 2306.01708. With r the rounding to the dtype D that a tool computes in (the recipe's;
float32 for ours) and all operands cast to D first:

    d_k = r(x_k - base), sparsified; p_k = r(d_k * r(w_k)); s = r(sum p_k), or, where signs are elected, the
    sum over those k whose p_k has the sign of r(sum p_k) (zero counts as positive); divided by the sum of
    the weights that took part (0 counts as 1) when normalised; times lambda; out = r(base + s).

Sums are float32, in order. mergekit 0.1.4 and 0.1.5 do the same here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from parentage.methods.grids import on_grid, scalar_on_grid, stored
from parentage.methods.method import (
    BASE_REQUIRED,
    Bits,
    Declared,
    Method,
    Parameters,
    Prepare,
    Profile,
    Reader,
    Rule,
    Values,
    bits_reader,
)
from parentage.methods.task_kernels import GRIDS, combine, differences
from parentage.numerics.tool_order.torch_sums import level_power, sum_of
from parentage.records.dtypes import DType

if TYPE_CHECKING:
    from parentage.methods.stored_merge import Trims

__all__ = ["Deltas", "Sparsifier", "compute_dtype", "declare", "no_sparsifier", "task_method"]

PROFILES: Final = ("parentage-1", "mergekit-0.1.5", "mergekit-0.1.4")
WEIGHT: Final = Declared("weight", "how much of the model's task vector", per_model=True)
DENSITY: Final = Declared(
    "density", "share of each task vector that is kept", per_model=True, default=1.0, low=0, high=1
)


def compute_dtype(profile: Profile) -> DType:
    """What operations round to: float32 in our arithmetic, the recipe's dtype in a tool's."""
    return DType.F32 if profile.ours else profile.dtype


@dataclass(frozen=True, slots=True)
class Deltas:
    """Task vectors of a chunk. ``others``: the operands that are not the base, in order."""

    base: int
    others: tuple[int, ...]
    dtype: DType

    @classmethod
    def of(cls, reader: Reader, dtype: DType) -> Deltas:
        """For a reader with a base."""
        assert reader.base is not None
        return cls(reader.base, tuple(k for k in range(reader.models) if k != reader.base), dtype)

    def __call__(self, values: Values) -> Values:
        """[others, n] of operands [models, n]: cast, subtracted, rounded."""
        out = np.empty((len(self.others), values.shape[1]), np.float32)
        grid = GRIDS[self.dtype]
        for j, k in enumerate(self.others):
            differences(values[k], values[self.base], out[j], grid)
        return out


class Sparsifier(Protocol):
    """Thins task vectors out. ``granularity``: 1, or a row's length; ``trims``: what of each stays, where
    that is told by cuts alone."""

    @property
    def granularity(self) -> int: ...
    @property
    def trims(self) -> Trims | None: ...
    def apply(self, start: int, deltas: Values) -> Values:
        """The thinned [others, n] of elements ``start`` on; may change its input."""
        ...


MakeSparsifier = Callable[[Reader, Deltas, Parameters, Profile, str], Sparsifier]


@dataclass(frozen=True, slots=True)
class _Whole:
    trims: Trims | None
    granularity: int = 1

    def apply(self, start: int, deltas: Values) -> Values:
        return deltas


def no_sparsifier(_: Reader, deltas: Deltas, __: Parameters, ___: Profile, ____: str, /) -> Sparsifier:
    """Task vectors as they are."""
    from parentage.methods.stored_merge import Trims

    return _Whole(Trims.of([True] * len(deltas.others)))


@dataclass(frozen=True, slots=True)
class _TaskRule:
    deltas: Deltas
    sparsifier: Sparsifier
    weights: NDArray[np.float32]
    scale: NDArray[np.float32]
    elect: bool
    normalize: bool
    out: DType
    elements: int
    narrow: bool

    @property
    def granularity(self) -> int:
        return self.sparsifier.granularity

    @property
    def on_bits(self) -> bool:
        return self.narrow and self.sparsifier.trims is not None

    def apply_bits(
        self, start: int, bits: NDArray[np.uint16], out: NDArray[np.uint16] | None = None
    ) -> NDArray[np.uint16]:
        from parentage.methods.stored_merge import merge_stored

        trims = self.sparsifier.trims
        assert trims is not None
        return merge_stored(
            bits,
            self.deltas,
            trims,
            self.weights,
            self.scale,
            elect=self.elect,
            normalize=self.normalize,
            power=level_power(len(self.weights)),
            odd=self._odd(start),
            start=start,
            out=np.empty(bits.shape[1], np.uint16) if out is None else out,
        )

    def _odd(self, start: int) -> int:
        return self.elements - self.elements % 32 - start

    def apply(self, start: int, values: Values) -> Bits:
        thinned = self.sparsifier.apply(start, self.deltas(values))
        out, base = np.empty(values.shape[1], np.float32), values[self.deltas.base]
        grid, power = GRIDS[self.deltas.dtype], level_power(len(self.weights))
        odd = self._odd(start)
        combine(thinned, base, self.weights, self.scale, self.elect, self.normalize, grid, power, odd, out)
        return stored(out, self.out)


def _scale(weights: NDArray[np.float32], dtype: DType, factor: float) -> NDArray[np.float32]:
    divisor = scalar_on_grid(float(sum_of(weights, narrow=dtype is not DType.F32)), dtype)
    small = abs(float(divisor)) < 1e-8
    return np.array([1.0 if small else divisor, factor], np.float32)


def _prepare(elect: bool, sparsifier: MakeSparsifier) -> Prepare:
    def prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
        dtype = compute_dtype(profile)
        deltas = Deltas.of(reader, dtype)
        given = np.array([parameters.per_model[k]["weight"] for k in deltas.others], np.float32)
        weights = on_grid(given, dtype)
        return _TaskRule(
            deltas,
            sparsifier(reader, deltas, parameters, profile, name),
            weights,
            _scale(weights, dtype, float(parameters.shared["lambda"])),
            elect,
            bool(parameters.shared["normalize"]),
            profile.out,
            reader.elements,
            profile.out is DType.BF16 and bits_reader(reader) is not None,
        )

    return prepare


def declare(*, normalize: bool, rescale: bool) -> tuple[Declared, ...]:
    """The parameters that all methods of this frame have, with a method's defaults."""
    return (
        WEIGHT,
        DENSITY,
        Declared("lambda", "factor on the merged task vector", default=1.0),
        Declared("normalize", "divide by the weights that took part", kind="switch", default=normalize),
        Declared("rescale", "give what is kept the L1 norm of the whole", kind="switch", default=rescale),
        Declared("int8_mask", "a tool's way to save memory; changes nothing", kind="switch", default=False),
    )


def task_method(
    name: str,
    about: str,
    paper: str,
    relation: str,
    *,
    elect: bool,
    normalize: bool = False,
    rescale: bool = False,
    sparsifier: MakeSparsifier = no_sparsifier,
    more: tuple[Declared, ...] = (),
    random: Callable[[Reader, Parameters, Profile], int] | None = None,
) -> Method:
    """A method of this frame; ``elect``: signs are elected, ``more``: parameters of its own."""
    return Method(
        id=name,
        relation=relation,
        about=about,
        paper=paper,
        rule=_prepare(elect, sparsifier),
        parameters=(*declare(normalize=normalize, rescale=rescale), *more),
        base=BASE_REQUIRED,
        models=(2, 64),
        profiles=PROFILES,
        random=random,
    )
