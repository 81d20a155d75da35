"""Karcher mean: the point on the sphere with the least sum of squared distances to the models.

Karcher, "Riemannian center of mass", 1977; as mergekit has it, arXiv 2603.04972. Models of equal share are
scaled to length one; from the direction of their mean, up to ``max_iter`` steps along the mean of the
logarithms, until the step is shorter than ``tol``; then the mean of the lengths. Norms are float32 whatever
D, and stay float32 when they divide; vectors are rounded to D after each operation.

Nothing but scalars is kept: each pass computes the mean anew from the coefficients of the steps before.
A tool's dot product is its matrix library's, in an order of its own; here it is a sum in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from parentage.methods.algebra import Algebra
from parentage.methods.grids import stored
from parentage.methods.method import Bits, Declared, Method, Parameters, Profile, Reader, Rule, Values
from parentage.methods.totals import OurSum
from parentage.records.dtypes import DType

__all__ = ["KARCHER"]


@dataclass(slots=True)
class _Step:
    """One step: the cosine to each model and its factor (None: too near), then lengths once known."""

    dots: list[np.float32]
    factors: list[np.float32 | None]
    tangent: np.float32 | None = None
    length: np.float32 | None = None


@dataclass(slots=True)
class _Mean:
    """The mean direction so far, as scalars."""

    algebra: Algebra
    norms: list[np.float32]
    valid: list[int]
    shares: list[np.float32]
    tol: float
    length: np.float32 | None = None
    steps: list[_Step] = field(default_factory=list)

    def units(self, values: Values) -> list[Values]:
        """The models that have a length, scaled to length one."""
        q = self.algebra
        return [q.div(q.q(values[k]), self.norms[k]) for k in self.valid]

    def start(self, units: list[Values]) -> Values:
        """The direction of the weighted sum; of the first model where they cancel."""
        q = self.algebra
        mean: Values = np.zeros_like(units[0])
        for share, unit in zip(self.shares, units, strict=True):
            mean = q.add(mean, q.mul(share, unit))
        if self.length is None:
            return mean
        divided: Values = units[0] if self.length < self.tol else q.div(mean, self.length)
        return divided

    def tangent(self, step: _Step, mean: Values, units: list[Values]) -> Values:
        """The mean logarithm."""
        q = self.algebra
        total: Values = np.zeros_like(mean)
        for dot, factor, unit in zip(step.dots, step.factors, units, strict=True):
            if factor is not None:
                total = q.add(total, q.mul(factor, q.sub(unit, q.mul(dot, mean))))
        return total

    def at(self, values: Values) -> tuple[Values, list[Values]]:
        """The mean after all finished steps [n], and the models' directions."""
        units = self.units(values)
        mean = self.start(units)
        for step in self.steps:
            mean = self.after(step, mean, units)
        return mean, units

    def after(self, step: _Step, mean: Values, units: list[Values]) -> Values:
        """The mean after one step, as far as its lengths are known."""
        q, wide = self.algebra, Algebra(self.algebra.profile, DType.F32)
        if step.tangent is None:
            return mean
        # A scalar before a tensor is rounded to the tensor's dtype, one behind it is not.
        cosine = q.q(wide.function(math.cos, step.tangent))
        sine = q.q(wide.function(math.sin, step.tangent))
        tangent = q.div(self.tangent(step, mean, units), step.tangent)
        moved: Values = q.add(q.mul(cosine, mean), q.mul(sine, tangent))
        if step.length is None or step.length <= self.tol:
            return moved
        divided: Values = q.div(moved, step.length)
        return divided


@dataclass(frozen=True, slots=True)
class _Karcher:
    mean: _Mean | None
    scale: np.float32
    algebra: Algebra
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        q = self.algebra
        if self.mean is None:
            return stored(np.zeros(values.shape[1], np.float32), q.profile.out)
        mean, _ = self.mean.at(values)
        return stored(q.mul(q.q(self.scale), mean), q.profile.out)


@dataclass(frozen=True, slots=True)
class _Only:
    algebra: Algebra
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        return stored(self.algebra.q(values[0]), self.algebra.profile.out)


def _norms(reader: Reader, algebra: Algebra, of: Any, rows: int) -> list[np.float32]:
    wide = Algebra(algebra.profile, DType.F32)
    totals = [wide.norm() for _ in range(rows)]
    for _, values in reader.chunks():
        for total, row in zip(totals, of(values), strict=True):
            total.add(row)
    return [t.result() for t in totals]


def _dots(reader: Reader, mean: _Mean) -> list[np.float32]:
    q = mean.algebra
    totals = [OurSum() for _ in mean.valid]
    for _, values in reader.chunks():
        at, units = mean.at(values)
        for total, unit in zip(totals, units, strict=True):
            total.add(at * unit)
    return [np.float32(np.clip(q.q(t.result()), np.float32(-1), np.float32(1))) for t in totals]


def _factor(dot: np.float32, share: np.float32, tol: float, q: Algebra) -> np.float32 | None:
    theta = q.function(math.acos, dot)
    if theta < tol:
        return None
    ratio = q.div(theta, q.function(math.sin, theta))
    return np.float32(q.mul(share, ratio))


def _walk(reader: Reader, mean: _Mean, most: int) -> None:
    """Up to ``most`` steps, or until one is too short to matter."""
    q = mean.algebra
    for _ in range(most):
        dots = _dots(reader, mean)
        factors = [_factor(d, s, mean.tol, q) for d, s in zip(dots, mean.shares, strict=True)]
        step = _Step(dots, factors)

        def tangent(values: Values, step: _Step = step) -> list[Values]:
            at, units = mean.at(values)
            return [mean.tangent(step, at, units)]

        (length,) = _norms(reader, q, tangent, 1)
        if length < mean.tol:
            return
        step.tangent = length
        mean.steps.append(step)
        (step.length,) = _norms(reader, q, lambda values: [mean.at(values)[0]], 1)


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    algebra, models = Algebra.of(profile), reader.models
    if models == 1:
        return _Only(algebra)
    tol = float(parameters.shared["tol"])
    norms = _norms(reader, algebra, lambda values: [algebra.q(x) for x in values], models)
    valid = [k for k in range(models) if norms[k] > tol]
    alpha = 1.0 / models
    scale = np.float32(0)
    for norm in norms:
        scale = np.float32(scale + np.float32(np.float32(alpha) * norm))
    if not valid:
        return _Karcher(None, scale, algebra)
    total = sum([alpha] * len(valid))
    mean = _Mean(algebra, norms, valid, [np.float32(alpha / total)] * len(valid), tol)
    (mean.length,) = _norms(reader, algebra, lambda values: [mean.start(mean.units(values))], 1)
    _walk(reader, mean, int(parameters.shared["max_iter"]))
    return _Karcher(mean, scale, algebra)


KARCHER: Final[Method] = Method(
    id="karcher",
    relation="spherical-merge",
    about="the models' centre of mass on a sphere",
    paper="https://arxiv.org/abs/2603.04972",
    rule=_prepare,
    parameters=(
        Declared("max_iter", "steps at most", kind="count", default=10, low=0, high=100),
        Declared("tol", "a step shorter than this is the last", default=1e-5, low=0, high=1),
    ),
    models=(1, 64),
)
