"""Spherical interpolation of two models: Shoemake, "Animating rotation with quaternion curves", 1985.

With c the cosine of the two tensors as vectors, theta = acos c: out = sin((1-t) theta)/sin(theta) * base +
sin(t theta)/sin(theta) * other; where |c| > .9995 (usual for fine-tunes of one base) a line: (1-t) base + t
other. All in float32, whatever D; rounded to D once. mergekit 0.1.5 takes norms and dot products in pieces
of 1,048,576 elements, then the norm (the sum) of the pieces'; 0.1.4 takes them whole, in numpy's order,
which decides a last bit of the coefficients where there is no line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from parentage.methods.algebra import Algebra
from parentage.methods.blocks import blocks
from parentage.methods.grids import on_grid, stored
from parentage.methods.method import (
    BASE_REQUIRED,
    Bits,
    Declared,
    Method,
    Parameters,
    Profile,
    Reader,
    Rule,
    Values,
    once,
)
from parentage.methods.task_vectors import compute_dtype
from parentage.records.dtypes import DType

__all__ = ["SLERP", "PairRule", "coefficients"]

PIECE: Final = 1 << 20
NEARLY_PARALLEL: Final = np.float32(0.9995)
TINY: Final = np.float32(1e-8)


@dataclass(frozen=True, slots=True)
class PairRule:
    """a * first + b * second, two products and a sum in float32, rounded to the tool's dtype."""

    first: int
    second: int
    a: np.float32
    b: np.float32
    profile: Profile
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        """Storage bits [n]."""
        dtype = compute_dtype(self.profile)
        x, y = (on_grid(values[k], dtype) for k in (self.first, self.second))
        with np.errstate(all="ignore"):
            return stored(on_grid(self.a * x + self.b * y, dtype), self.profile.out)


def _cosine(reader: Reader, wide: Algebra, dtype: DType, first: int, second: int) -> np.float32:
    """The cosine, in pieces; ``wide`` computes in float32."""
    norms: list[list[np.float32]] = [[], []]
    for _, values in blocks(reader, PIECE):
        for parts, k in zip(norms, (first, second), strict=True):
            parts.append(wide.norm_of(on_grid(values[k], dtype)))
    whole = [wide.norm_of(np.array(parts, np.float32)) for parts in norms]
    whole = [n if n > TINY else np.float32(1) for n in whole]
    dots = []
    for _, values in blocks(reader, PIECE):
        x, y = (on_grid(values[k], dtype) / n for k, n in zip((first, second), whole, strict=True))
        dots.append(wide.sum_of(x * y))
    return np.float32(np.clip(wide.sum_of(np.array(dots, np.float32)), np.float32(-1), np.float32(1)))


def coefficients(
    cosine: np.float32, t: float, wide: Algebra, *, older: bool = False
) -> tuple[np.float32, np.float32]:
    """What multiplies the first and the second tensor. ``older``: mergekit 0.1.4, which takes 1 - t in
    float64 and the first angle as theta - t theta."""
    share = np.float32(t)
    rest = np.float32(1 - t) if older else np.float32(np.float32(1) - share)
    if not abs(cosine) <= NEARLY_PARALLEL:
        return rest, share
    theta = wide.function(math.acos, cosine)
    sine = wide.function(math.sin, theta)
    second = np.float32(share * theta)
    a = wide.function(math.sin, np.float32(theta - second) if older else np.float32(rest * theta))
    return np.float32(a / sine), np.float32(wide.function(math.sin, second) / sine)


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    assert reader.base is not None
    first, second = reader.base, 1 - reader.base
    wide = Algebra(profile, DType.F32)
    t, older = float(parameters.shared["t"]), profile.id == "mergekit-0.1.4"
    dtype = compute_dtype(profile)
    with np.errstate(all="ignore"):
        cosine = once(
            reader,
            ("slerp", profile.id, dtype),
            lambda: _cosine(reader, wide, dtype, first, second),
        )
        a, b = coefficients(cosine, t, wide, older=older)
    return PairRule(first, second, a, b, profile)


SLERP: Final[Method] = Method(
    id="slerp",
    relation="slerp-merge",
    about="the way from the base to the other model along a sphere",
    paper="https://en.wikipedia.org/wiki/Slerp",
    rule=_prepare,
    parameters=(Declared("t", "0 is the base, 1 the other model"),),
    base=BASE_REQUIRED,
    models=(2, 2),
    profiles=("parentage-1", "mergekit-0.1.5", "mergekit-0.1.4"),
    optional="copy-single",
)
