"""Multi-SLERP: a weighted mean on a sphere, by way of the tangent space at the models' mean direction.

Goddard, "Multi-SLERP", 2025. Models (or their changes from a base) are scaled to length one; m is their
weighted mean, scaled to length one; v = sum w_k (u_k - (u_k . m) m); out = (m cos |v| + v sin |v| / |v|)
times the weighted mean of the lengths. Each step rounded to D; 1e-8 is added to lengths that divide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from parentage.errors import UsageError
from parentage.methods.algebra import Algebra
from parentage.methods.grids import stored
from parentage.methods.method import (
    BASE_OPTIONAL,
    Bits,
    Declared,
    Method,
    Parameters,
    Profile,
    Reader,
    Rule,
    Values,
    keeps,
    once,
)
from parentage.numerics.tool_order.torch_sums import outer_sum

__all__ = ["MULTISLERP"]

# Elements of a tensor up to which a reader that keeps anything keeps the models' directions.
HELD: Final = 1 << 16
Vectors = Callable[[Values], Values]


@dataclass(frozen=True, slots=True)
class _Sphere:
    """The steps of the merge; scalars are filled in pass by pass."""

    algebra: Algebra
    base: int | None
    others: tuple[int, ...]
    weights: Values
    elements: int
    norms: Values
    mean_norm: float | np.float32 = 0
    dots: Values | None = None
    tangent_norm: np.float32 | None = None
    average: np.float32 | None = None
    held: Values | None = None
    granularity: int = 1

    def vectors(self, values: Values) -> Values:
        """Models, or their changes from the base, [others, n]."""
        q = self.algebra
        rows = [q.q(values[k]) for k in self.others]
        if self.base is not None:
            base = q.q(values[self.base])
            rows = [q.sub(x, base) for x in rows]
        return np.stack(rows)

    def units(self, start: int, values: Values) -> Values:
        """Scaled to length one, of elements ``start`` on."""
        if self.held is not None:
            return self.held[:, start : start + values.shape[1]]
        return self.scaled(values)

    def scaled(self, values: Values) -> Values:
        """The same, worked out."""
        lengths = self.algebra.add(self.norms, self._eps())[:, None]
        found: Values = self.algebra.div(self.vectors(values), lengths)
        return found

    def _eps(self) -> Any:
        return self.algebra.q(np.float32(1e-8))

    def total(self, start: int, rows: Values) -> Values:
        """The weighted sum over the models [n]."""
        weighted = self.algebra.mul(rows, self.weights[:, None])
        found: Values = self.algebra.q(outer_sum(weighted, start, self.elements))
        return found

    def mean(self, start: int, units: Values) -> Values:
        """The direction of the mean, of length one once its norm is known."""
        mean = self.total(start, units)
        return mean if self.mean_norm == 0 else self.algebra.div(mean, self.mean_norm)

    def tangent(self, start: int, units: Values, mean: Values) -> Values:
        """The weighted sum of the tangent vectors [n]."""
        q = self.algebra
        assert self.dots is not None
        return self.total(start, q.sub(units, q.mul(self.dots[:, None], mean)))

    def apply(self, start: int, values: Values) -> Bits:
        q, n = self.algebra, self.tangent_norm
        assert n is not None
        units = self.units(start, values)
        mean = self.mean(start, units)
        sine = q.div(q.function(math.sin, n), n)
        result = q.add(q.mul(mean, q.function(math.cos, n)), q.mul(self.tangent(start, units, mean), sine))
        result = q.mul(result, self.average)
        if self.base is not None:
            result = q.add(result, q.q(values[self.base]))
        return stored(result, q.profile.out)


@dataclass(frozen=True, slots=True)
class _Line:
    """Two opposite models: no direction lies between them."""

    sphere: _Sphere
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        s = self.sphere
        q, (x, y) = s.algebra, s.vectors(values)
        result = q.add(q.mul(x, s.weights[0]), q.mul(y, s.weights[1]))
        if s.base is not None:
            result = q.add(result, q.q(values[s.base]))
        return stored(result, q.profile.out)


@dataclass(frozen=True, slots=True)
class _Only:
    """One model: it is the merge."""

    operand: int
    algebra: Algebra
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        return stored(self.algebra.q(values[self.operand]), self.algebra.profile.out)


def _weights(parameters: Parameters, others: tuple[int, ...], algebra: Algebra, name: str) -> Values:
    weights: Values = algebra.q(np.array([parameters.per_model[k]["weight"] for k in others], np.float32))
    if not parameters.shared["normalize_weights"]:
        return weights
    total = algebra.sum_of(weights)
    if total == 0:
        raise UsageError(
            "the weights sum to zero, and a normalised merge divides by their sum",
            code="weights-sum-zero",
            where=name,
            hint="normalize_weights: false, or other weights",
        )
    divided: Values = algebra.div(weights, total)
    return divided


def _all(reader: Reader, sphere: _Sphere) -> Values:
    return sphere.scaled(reader.read(0, reader.elements))


def _norms(reader: Reader, sphere: _Sphere, of: Callable[[int, Values], Values], rows: int) -> Values:
    totals = [sphere.algebra.norm() for _ in range(rows)]
    for start, values in reader.chunks():
        for total, row in zip(totals, of(start, values).reshape(rows, -1), strict=True):
            total.add(row)
    return np.array([t.result() for t in totals], np.float32)


def _dots(reader: Reader, sphere: _Sphere) -> Values:
    totals = [sphere.algebra.sum(reader.elements) for _ in sphere.others]
    for start, values in reader.chunks():
        units = sphere.units(start, values)
        products = sphere.algebra.mul(units, sphere.mean(start, units))
        for total, row in zip(totals, products, strict=True):
            total.add(row)
    return np.array([t.result() for t in totals], np.float32)


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    algebra = Algebra.of(profile)
    others = tuple(k for k in range(reader.models) if k != reader.base)
    if len(others) == 1:
        return _Only(others[0], algebra)
    weights = _weights(parameters, others, algebra, name)
    s = _Sphere(algebra, reader.base, others, weights, reader.elements, np.zeros(len(others), np.float32))
    # No weight moves the lengths.
    norms = once(
        reader,
        ("multislerp", profile.id, algebra.dtype),
        lambda: _norms(reader, s, lambda _, v: s.vectors(v), len(others)),
    )
    s = replace(s, norms=norms)
    if keeps(reader) and reader.elements <= HELD:
        s = replace(
            s, held=once(reader, ("multislerp units", profile.id, algebra.dtype), partial(_all, reader, s))
        )
    if profile.ours and not s.norms.any():
        # Nothing moved in any model: what all of them hold is the mean, which a tool refuses for want of a
        # direction.
        return _Only(others[0], algebra)
    return _on_sphere(reader, s, name)


def _on_sphere(reader: Reader, sphere: _Sphere, name: str) -> Rule:
    q = sphere.algebra
    (mean_norm,) = _norms(reader, sphere, lambda i, v: sphere.mean(i, sphere.units(i, v)), 1)
    if mean_norm < q.q(np.float32(1e-8)) or mean_norm == 0:
        return _opposite(sphere, name)
    directed = replace(sphere, mean_norm=mean_norm)
    directed = replace(directed, dots=_dots(reader, directed))

    def tangents(start: int, values: Values) -> Values:
        units = directed.units(start, values)
        return directed.tangent(start, units, directed.mean(start, units))

    (length,) = _norms(reader, directed, tangents, 1)
    average = q.sum_of(q.mul(sphere.norms, sphere.weights))
    return replace(directed, tangent_norm=q.add(length, q.q(np.float32(1e-8))), average=average)


def _opposite(sphere: _Sphere, name: str) -> Rule:
    if len(sphere.others) == 2:
        return _Line(sphere)
    raise UsageError(
        "the weighted directions of the models cancel: there is no mean on the sphere",
        code="directions-cancel",
        where=name,
        hint="other weights",
    )


MULTISLERP: Final[Method] = Method(
    id="multislerp",
    relation="spherical-merge",
    about="a weighted mean of any number of models on a sphere",
    paper="https://goddard.blog/posts/multislerp-wow-what-a-cool-idea",
    rule=_prepare,
    parameters=(
        Declared("weight", "the model's share", per_model=True),
        Declared("normalize_weights", "divide by the sum of the weights", kind="switch", default=True),
        Declared("eps", "a tool's guard against lengths of zero", default=1e-8, low=1e-8, high=1e-8),
    ),
    base=BASE_OPTIONAL,
    models=(1, 64),
    others=(1, 64),
)
