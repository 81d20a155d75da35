"""NuSLERP: spherical interpolation of two models, or of their changes from a base; whole, or row by row.

mergekit's own. t = w_2 / (w_1 + w_2) (one half where they cancel). With u the vectors scaled to length one
and theta = acos(u_1 . u_2): out = (sin((1 - t) theta) v_1 + sin(t theta) v_2) / sin theta; a line where the
two are parallel (1 - cos^2 <= 1e-16). Each step rounded to D. ``nuslerp_flatten`` false: each row (last
dimension) is a vector of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from parentage.errors import UsageError
from parentage.methods.algebra import Algebra
from parentage.methods.blocks import rows_of
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
)

__all__ = ["NUSLERP"]

ONE: Final = np.float32(1)


@dataclass(frozen=True, slots=True)
class _Arc:
    """The factors of the two vectors and the divisor, for one vector or [n] elements."""

    first: Any
    second: Any
    sine: Any
    line: Any

    @classmethod
    def of(cls, cosine: np.float32, t: float, q: Algebra) -> _Arc:
        """From the cosine of the two directions."""
        c = np.float32(np.clip(cosine, np.float32(-1), ONE))
        line = bool(q.sub(ONE, q.mul(c, c)) <= np.float32(1e-16))
        theta = q.function(math.acos, np.float32(0) if line else c)
        first = q.function(math.sin, q.mul(np.float32(1 - t), theta))
        second = q.function(math.sin, q.mul(np.float32(t), theta))
        return cls(first, second, q.function(math.sin, theta), line)

    def between(self, x: Values, y: Values, t: float, q: Algebra) -> Values:
        """The vectors' elements in between."""
        arc = q.div(q.add(q.mul(self.first, x), q.mul(self.second, y)), self.sine)
        line = q.add(q.mul(np.float32(1 - t), x), q.mul(np.float32(t), y))
        found: Values = np.asarray(np.where(self.line, line, arc), np.float32)
        return found


@dataclass(frozen=True, slots=True)
class _Between:
    algebra: Algebra
    base: int | None
    others: tuple[int, int]
    t: float
    arc: _Arc | None
    granularity: int = 1

    def vectors(self, values: Values) -> tuple[Values, Values]:
        """The two models, or their changes from the base."""
        q = self.algebra
        x: Values = q.q(values[self.others[0]])
        y: Values = q.q(values[self.others[1]])
        if self.base is None:
            return x, y
        base = q.q(values[self.base])
        return q.sub(x, base), q.sub(y, base)

    def apply(self, start: int, values: Values) -> Bits:
        q = self.algebra
        x, y = self.vectors(values)
        arc = self.arc if self.arc is not None else self._by_row(x, y)
        found = arc.between(x, y, self.t, q)
        if self.base is not None:
            found = q.add(q.q(values[self.base]), found)
        return stored(found, q.profile.out)

    def _by_row(self, x: Values, y: Values) -> _Arc:
        q, row = self.algebra, self.granularity
        arcs = []
        for a, b in zip(x.reshape(-1, row), y.reshape(-1, row), strict=True):
            products = q.mul(_unit(a, q.norm_of(a), q), _unit(b, q.norm_of(b), q))
            arcs.append(_Arc.of(q.sum_of(products), self.t, q))

        def each(field: str, dtype: Any) -> Any:
            return np.repeat(np.array([getattr(arc, field) for arc in arcs], dtype), row)

        return _Arc(
            each("first", np.float32),
            each("second", np.float32),
            each("sine", np.float32),
            each("line", np.bool_),
        )


def _unit(x: Values, norm: np.float32, q: Algebra) -> Values:
    found: Values = q.div(x, np.maximum(norm, q.q(np.float32(1e-7))))
    return found


def _whole(reader: Reader, rule: _Between) -> _Arc:
    q = rule.algebra
    norms = [q.norm(), q.norm()]
    for _, values in reader.chunks():
        x, y = rule.vectors(values)
        norms[0].add(x)
        norms[1].add(y)
    lengths = [n.result() for n in norms]
    dot = q.sum(reader.elements)
    for _, values in reader.chunks():
        x, y = rule.vectors(values)
        dot.add(q.mul(_unit(x, lengths[0], q), _unit(y, lengths[1], q)))
    return _Arc.of(dot.result(), rule.t, q)


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    first, second = (k for k in range(reader.models) if k != reader.base)
    w = [float(parameters.per_model[k]["weight"]) for k in (first, second)]
    t = 0.5 if abs(w[0] + w[1]) < 1e-6 else w[1] / (w[0] + w[1])
    rule = _Between(Algebra.of(profile), reader.base, (first, second), t, None)
    if parameters.shared["nuslerp_flatten"] or not reader.shape:
        return _Between(rule.algebra, rule.base, rule.others, t, _whole(reader, rule))
    if parameters.shared["nuslerp_row_wise"] and len(reader.shape) > 1:
        raise UsageError(
            "nuslerp_row_wise without nuslerp_flatten is not computed here: it goes by columns",
            code="nuslerp-columns",
            where=name,
            hint="nuslerp_row_wise: false",
        )
    return _Between(rule.algebra, rule.base, rule.others, t, None, max(1, rows_of(reader.shape)))


NUSLERP: Final[Method] = Method(
    id="nuslerp",
    relation="spherical-merge",
    about="spherical interpolation of two models or of their changes from a base",
    paper="https://github.com/arcee-ai/mergekit/blob/main/docs/merge_methods.md",
    rule=_prepare,
    parameters=(
        Declared("weight", "the model's share", per_model=True),
        Declared("nuslerp_flatten", "the whole tensor as one vector", kind="switch", default=True),
        Declared("nuslerp_row_wise", "by the first dimension, not the last", kind="switch", default=False),
    ),
    base=BASE_OPTIONAL,
    models=(2, 3),
    others=(2, 2),
    optional="copy-single",
)
