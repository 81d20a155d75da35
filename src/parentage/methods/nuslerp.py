"""NuSLERP: spherical interpolation of two models, or of their changes from a base; whole, or row by row.

mergekit's own. t = w_2 / (w_1 + w_2) (one half where they cancel). With u the vectors scaled to length one
and theta = acos(u_1 . u_2): out = (sin((1 - t) theta) v_1 + sin(t theta) v_2) / sin theta; a line where the
two are parallel (1 - cos^2 <= 1e-16). Each step rounded to D. ``nuslerp_flatten`` false: each row (last
dimension) is a vector of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

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
    keeps,
    once,
)

__all__ = ["NUSLERP"]

ONE: Final = np.float32(1)


@dataclass(frozen=True, slots=True)
class _Angles:
    """Of pairs of vectors, [m] each: the angle (0 where the two are parallel), its sine, and are they?"""

    theta: Values
    sine: Values
    line: NDArray[np.bool_]

    @classmethod
    def of(cls, cosines: Values, q: Algebra) -> _Angles:
        """From the cosines [m] of the two directions."""
        c = np.clip(cosines, np.float32(-1), ONE)
        line = q.sub(ONE, q.mul(c, c)) <= np.float32(1e-16)
        theta = q.functions(math.acos, np.where(line, np.float32(0), c))
        return cls(theta, q.functions(math.sin, theta), line)

    def part(self, first: int, count: int) -> _Angles:
        """Those of some pairs."""
        some = slice(first, first + count)
        return _Angles(self.theta[some], self.sine[some], self.line[some])

    def between(self, x: Values, y: Values, t: float, q: Algebra) -> Values:
        """The elements in between of vectors [m, n]."""
        rest, share = np.float32(1 - t), np.float32(t)
        first = q.functions(math.sin, q.mul(rest, self.theta))[:, None]
        second = q.functions(math.sin, q.mul(share, self.theta))[:, None]
        arc = q.div(q.add(q.mul(first, x), q.mul(second, y)), self.sine[:, None])
        if not self.line.any():
            return np.asarray(arc, np.float32)
        line = q.add(q.mul(rest, x), q.mul(share, y))
        return np.asarray(np.where(self.line[:, None], line, arc), np.float32)


@dataclass(frozen=True, slots=True)
class _Between:
    """``angles``: of the whole tensor, or of each row (``by_row``); None: of the rows of each chunk."""

    algebra: Algebra
    base: int | None
    others: tuple[int, int]
    t: float
    angles: _Angles | None = None
    granularity: int = 1
    by_row: bool = False

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
        q, row = self.algebra, self.granularity if self.by_row else values.shape[1]
        x, y = (v.reshape(-1, row) for v in self.vectors(values))
        angles = self.angles
        if angles is None:
            angles = _Angles.of(self.cosines(x, y), q)
        elif self.by_row:
            angles = angles.part(start // row, len(x))
        found = angles.between(x, y, self.t, q).reshape(-1)
        if self.base is not None:
            found = q.add(q.q(values[self.base]), found)
        return stored(found, q.profile.out)

    def cosines(self, x: Values, y: Values) -> Values:
        """Of rows [m, n]: [m]."""
        q = self.algebra
        found = []
        for a, b in zip(x, y, strict=True):
            products = q.mul(_unit(a, q.norm_of(a), q), _unit(b, q.norm_of(b), q))
            found.append(q.sum_of(products))
        return np.array(found, np.float32)


def _unit(x: Values, norm: np.float32, q: Algebra) -> Values:
    found: Values = q.div(x, np.maximum(norm, q.q(np.float32(1e-7))))
    return found


def _whole(reader: Reader, rule: _Between) -> _Angles:
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
    return _Angles.of(np.array([dot.result()], np.float32), q)


def _rows(reader: Reader, rule: _Between) -> _Angles:
    found = []
    for _, values in reader.chunks(rows=True):
        x, y = (v.reshape(-1, rule.granularity) for v in rule.vectors(values))
        found.append(rule.cosines(x, y))
    return _Angles.of(np.concatenate(found) if found else np.empty(0, np.float32), rule.algebra)


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    first, second = (k for k in range(reader.models) if k != reader.base)
    w = [float(parameters.per_model[k]["weight"]) for k in (first, second)]
    t = 0.5 if abs(w[0] + w[1]) < 1e-6 else w[1] / (w[0] + w[1])
    rule = _Between(Algebra.of(profile), reader.base, (first, second), t)
    known = (profile.id, rule.algebra.dtype)
    if parameters.shared["nuslerp_flatten"] or not reader.shape:
        return replace(rule, angles=once(reader, ("nuslerp", *known), lambda: _whole(reader, rule)))
    if parameters.shared["nuslerp_row_wise"] and len(reader.shape) > 1:
        raise UsageError(
            "nuslerp_row_wise without nuslerp_flatten is not computed here: it goes by columns",
            code="nuslerp-columns",
            where=name,
            hint="nuslerp_row_wise: false",
        )
    rule = replace(rule, granularity=max(1, rows_of(reader.shape)), by_row=True)
    if not keeps(reader):
        return rule
    return replace(rule, angles=once(reader, ("nuslerp rows", *known), lambda: _rows(reader, rule)))


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
