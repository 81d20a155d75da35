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
from numba import njit
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
from parentage.numerics.storage.rounding_kernels import on_bf16_grid, on_f16_grid
from parentage.numerics.tool_order.torch_sums import level_power, outer_at, sum_of
from parentage.records.dtypes import DType

if TYPE_CHECKING:
    from parentage.methods.stored_deltas import Trims

__all__ = [
    "GRIDS",
    "Deltas",
    "Sparsifier",
    "combine",
    "compute_dtype",
    "declare",
    "differences",
    "no_sparsifier",
    "task_method",
]

# Elements of a block: its sums stay in the first-level cache.
BLOCK: Final = 2048
GRIDS: Final = {DType.BF16: 0, DType.F16: 1, DType.F32: 2}
PROFILES: Final = ("parentage-1", "mergekit-0.1.5", "mergekit-0.1.4")
WEIGHT: Final = Declared("weight", "how much of the model's task vector", per_model=True)
DENSITY: Final = Declared(
    "density", "share of each task vector that is kept", per_model=True, default=1.0, low=0, high=1
)


def compute_dtype(profile: Profile) -> DType:
    """What operations round to: float32 in our arithmetic, the recipe's dtype in a tool's."""
    return DType.F32 if profile.ours else profile.dtype


@njit(cache=True, nogil=True, error_model="numpy")
def _round(x: np.float32, grid: int) -> np.float32:
    if grid == 0:
        return on_bf16_grid(x)
    return on_f16_grid(x) if grid == 1 else np.float32(x)


@njit(cache=True, nogil=True, error_model="numpy")
def _apart(x: Values, base: Values, out: Values, grid: int) -> None:
    for i in range(base.size):
        out[i] = _round(np.float32(_round(x[i], grid) - _round(base[i], grid)), grid)


@njit(cache=True, nogil=True, error_model="numpy")
def differences(x: Values, base: Values, out: Values, grid: int) -> None:
    """r(r(x) - r(base)) [n] to ``out``."""
    # A constant for each grid, so that every loop is compiled for its own.
    if grid == 0:
        _apart(x, base, out, 0)
    elif grid == 1:
        _apart(x, base, out, 1)
    else:
        _apart(x, base, out, 2)


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
    from parentage.methods.stored_deltas import Trims

    return _Whole(Trims.of([True] * len(deltas.others)))


@njit(cache=True, nogil=True, error_model="numpy")
def _mixed(
    p: Values, weights: Values, i: int, power: int, abreast: bool, elect: bool, grid: int
) -> tuple[np.float32, np.float32]:
    """The sum of what took part at element ``i``, and of its weights."""
    models = p.shape[0]
    if not elect:
        return _round(outer_at(p, i, power, abreast), grid), np.float32(1)
    positive = _round(outer_at(p, i, power, abreast), grid) >= 0
    part, share = np.zeros((models, 1), np.float32), np.zeros((models, 1), np.float32)
    for k in range(models):
        if (p[k, i] > 0) if positive else (p[k, i] < 0):
            part[k, 0], share[k, 0] = p[k, i], weights[k]
    mixed = _round(outer_at(part, 0, power, abreast), grid)
    return mixed, _round(outer_at(share, 0, power, abreast), grid)


@njit(cache=True, nogil=True, error_model="numpy")
def _weigh(deltas: Values, weights: Values, begin: int, n: int, total: Values, grid: int) -> None:
    """Weight a block in place, and add it up."""
    for i in range(n):
        total[i] = np.float32(0)
    for k in range(deltas.shape[0]):
        # A view of the row: indices into a matrix are not vectorised (a third of the speed).
        row, w = deltas[k, begin : begin + n], weights[k]
        for i in range(n):
            p = _round(np.float32(row[i] * w), grid)
            row[i] = p
            total[i] += p
    for i in range(n):
        total[i] = _round(total[i], grid)


@njit(cache=True, nogil=True, error_model="numpy")
def _elect(
    p: Values, weights: Values, begin: int, n: int, total: Values, share: Values, mixed: Values, grid: int
) -> None:
    """``total`` becomes the sum of those that have its sign, ``share`` that of their weights."""
    for i in range(n):
        mixed[i] = np.float32(0)
        share[i] = np.float32(0)
    zero = np.float32(0)
    for k in range(p.shape[0]):
        row, w = p[k, begin : begin + n], weights[k]
        for i in range(n):
            x, positive = row[i], total[i] >= zero
            agrees = ((x > zero) & positive) | ((x < zero) & (not positive))
            mixed[i] = mixed[i] + (x if agrees else zero)
            share[i] = share[i] + (w if agrees else zero)
    for i in range(n):
        total[i] = _round(mixed[i], grid)
        share[i] = _round(share[i], grid)


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(
    total: Values,
    share: Values,
    base: Values,
    begin: int,
    n: int,
    normalize: bool,
    factor: np.float32,
    grid: int,
    out: Values,
) -> None:
    """Divide, scale, add to the base."""
    if normalize:
        for i in range(n):
            by = np.float32(1) if share[i] == np.float32(0) else share[i]
            total[i] = _round(np.float32(total[i] / by), grid)
    if factor != np.float32(1):
        for i in range(n):
            total[i] = _round(np.float32(total[i] * factor), grid)
    ours, made = base[begin : begin + n], out[begin : begin + n]
    for i in range(n):
        made[i] = _round(np.float32(_round(ours[i], grid) + total[i]), grid)


@njit(cache=True, nogil=True, error_model="numpy")
def _combine_on(
    deltas: Values,
    base: Values,
    weights: Values,
    scale: Values,
    elect: bool,
    normalize: bool,
    grid: int,
    power: int,
    odd: int,
    out: Values,
) -> None:
    few = deltas.shape[0] < 5
    total, share, mixed = (
        np.empty(BLOCK, np.float32),
        np.empty(BLOCK, np.float32),
        np.empty(BLOCK, np.float32),
    )
    for begin in range(0, out.size, BLOCK):
        n = min(BLOCK, out.size - begin)
        _weigh(deltas, weights, begin, n, total, grid)
        for i in range(n):
            share[i] = scale[0]
        if few and elect:
            _elect(deltas, weights, begin, n, total, share, mixed, grid)
        elif not few:
            for i in range(n):
                at = begin + i
                total[i], found = _mixed(deltas, weights, at, power, at >= odd, elect, grid)
                share[i] = found if elect else scale[0]
        _settle(total, share, base, begin, n, normalize, scale[1], grid, out)


@njit(cache=True, nogil=True, error_model="numpy")
def combine(
    deltas: Values,
    base: Values,
    weights: Values,
    scale: Values,
    elect: bool,
    normalize: bool,
    grid: int,
    power: int,
    odd: int,
    out: Values,
) -> None:
    """Merge ``out.size`` elements of ``deltas`` [others, at least as many], which are overwritten.

    ``scale`` [2]: the divisor where no signs are elected, and lambda. ``power``: of the sums' order
    (``torch_sums``), and ``odd``: the element from which on sums of few stand in another.
    """
    if grid == 0:
        _combine_on(deltas, base, weights, scale, elect, normalize, 0, power, odd, out)
    elif grid == 1:
        _combine_on(deltas, base, weights, scale, elect, normalize, 1, power, odd, out)
    else:
        _combine_on(deltas, base, weights, scale, elect, normalize, 2, power, odd, out)


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

    def apply_bits(self, start: int, bits: NDArray[np.uint16]) -> Bits:
        from parentage.methods.stored_deltas import merge_stored

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
