"""Which task vectors took part in an element: a finite set of outcomes for each.

A merge of thinned task vectors leaves base + sum over T of c_k d_k for some set T of parents at each
element. With K parents these are 2**K numbers; a stored value's rounding cell holds some of them. Where the
2**K numbers lie apart, whatever the suspect, the element tells its set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.records.dtypes import DType

__all__ = ["UNITS", "Outcomes", "Parts", "added", "averaged", "outcomes", "roundings", "unexplained"]

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]
# Largest relative error of one operation, and bits of the significand that are stored.
UNITS: Final = {DType.BF16: 2.0**-8, DType.F16: 2.0**-11, DType.F32: 2.0**-24}
STEPS: Final = {DType.BF16: 7, DType.F16: 10, DType.F32: 23}
LEAST_EXPONENT: Final = {DType.BF16: -126, DType.F16: -14, DType.F32: -126}
# Roundings that follow each other from a task vector to the sum: thinned, weighted, added, divided, scaled.
ROUNDINGS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Parts:
    """A tensor, flat: ``base`` [n], task vectors ``deltas`` [K, n], the suspect's cells ``low``..``high``.

    ``stored``: the suspect's dtype; ``unit``: the relative error of the merger's operations.
    """

    base: Floats
    deltas: Floats
    low: Floats
    high: Floats
    stored: DType
    unit: float

    @property
    def changed(self) -> Masks:
        """Where the suspect is not the base [n]."""
        return np.asarray((self.base < self.low) | (self.base > self.high))

    def only(self, where: Masks | NDArray[np.int64]) -> Parts:
        """Some elements."""
        return Parts(
            self.base[where],
            self.deltas[:, where],
            self.low[where],
            self.high[where],
            self.stored,
            self.unit,
        )


@dataclass(frozen=True, slots=True)
class Outcomes:
    """``allowed`` [2**K, n]: is the outcome of set T (bit k: parent k) in the cell? ``apart`` [n]: do all
    2**K outcomes lie so far apart that a cell holds one at most? It does not depend on the suspect."""

    allowed: Masks
    apart: Masks

    @property
    def explained(self) -> Masks:
        """Elements that some set explains [n]."""
        return np.asarray(self.allowed.any(axis=0))

    @property
    def told(self) -> Masks:
        """Elements that tell their set [n]."""
        return self.apart & self.explained

    def sets(self) -> NDArray[np.int64]:
        """The set of each element [n] as bits; meaningful where ``told``."""
        return np.asarray(np.argmax(self.allowed, axis=0))


def added(coefficients: Sequence[float]) -> Floats:
    """Coefficients [2**K, K] of every set where task vectors are added up."""
    c = np.asarray(coefficients, float)
    return np.asarray(_members(c.size) * c)


def averaged(weights: Sequence[float], factor: float, scales: Sequence[float] | None = None) -> Floats:
    """Coefficients [2**K, K] where those that take part are averaged by ``weights``, times ``factor``;
    ``scales`` [K]: what each task vector was multiplied by when it was thinned."""
    w = np.asarray(weights, float)
    members = _members(w.size)
    total = (members * w).sum(axis=1, keepdims=True)
    total[total == 0] = 1.0
    each = np.ones(w.size) if scales is None else np.asarray(scales, float)
    return np.asarray(factor * members * w * each / total)


def _members(k: int) -> Floats:
    return ((np.arange(1 << k)[:, None] >> np.arange(k)) & 1).astype(float)


@njit(cache=True, nogil=True, error_model="numpy")
def _unexplained(
    base: Floats, deltas: Floats, low: Floats, high: Floats, table: Floats, slack: Floats, last: float
) -> int:
    sets, k = table.shape
    count = 0
    for i in range(base.size):
        inside = False
        for t in range(sets):
            value, reach, still = 0.0, 0.0, False
            for j in range(k):
                if t >> j & 1:
                    still |= deltas[j, i] == 0
                    value += table[t, j] * deltas[j, i]
                    reach += abs(table[t, j] * deltas[j, i]) * slack[j]
            if t:
                reach += last * (abs(base[i]) + abs(value))
            at = base[i] + value
            if not still and at + reach >= low[i] and at - reach <= high[i]:
                inside = True
                break
        count += not inside
    return count


def unexplained(parts: Parts, table: Floats, slack: Floats) -> int:
    """Elements that no set of a ``table`` [2**K, K] explains; ``slack`` [K] as for ``outcomes``."""
    base, deltas = np.ascontiguousarray(parts.base), np.ascontiguousarray(parts.deltas)
    low, high = np.ascontiguousarray(parts.low), np.ascontiguousarray(parts.high)
    reach = ROUNDINGS * parts.unit + slack
    return int(_unexplained(base, deltas, low, high, np.ascontiguousarray(table), reach, _last(parts)))


def _last(parts: Parts) -> float:
    """Relative error of the last addition, which is rounded in the merger's dtype: that may be narrower
    than what is stored."""
    return parts.unit if parts.unit > 2.0 ** -(STEPS[parts.stored] + 1) else 2.0**-24


def roundings(parts: Parts, value: Floats, size: Floats) -> Floats:
    """How far the roundings of a merge may take base + ``value`` [n]; ``size`` [n]: the sum of what is
    added up, each of its own sign."""
    return np.asarray(ROUNDINGS * parts.unit * size + _last(parts) * (np.abs(parts.base) + np.abs(value)))


def outcomes(parts: Parts, table: Floats, slack: Floats | None = None) -> Outcomes:
    """Hold every outcome of a ``table`` [2**K, K] against the cells. ``slack`` [K]: relative uncertainty of
    each coefficient. A parent that did not move an element takes no part in it."""
    k, n = parts.deltas.shape
    still = ((parts.deltas == 0) << np.arange(k)[:, None]).sum(axis=0)
    slack = np.zeros(k) if slack is None else slack
    allowed, apart = np.zeros((1 << k, n), np.bool_), np.zeros(n, np.bool_)
    for pattern in np.unique(still).tolist():
        rows = np.array([t for t in range(1 << k) if not t & pattern])
        where = np.flatnonzero(still == pattern)
        inside, distinct = _outcomes(parts.only(where), table[rows], slack)
        allowed[np.ix_(rows, where)], apart[where] = inside, distinct
    return Outcomes(allowed, apart)


def _outcomes(parts: Parts, table: Floats, slack: Floats) -> tuple[Masks, Masks]:
    values = table @ parts.deltas
    reach = (np.abs(table) * (ROUNDINGS * parts.unit + slack)) @ np.abs(parts.deltas)
    reach += _last(parts) * (np.abs(parts.base) + np.abs(values)) * (table != 0).any(axis=1)[:, None]
    at = parts.base + values
    return (at + reach >= parts.low) & (at - reach <= parts.high), _apart(parts, values, reach)


def _apart(parts: Parts, values: Floats, reach: Floats) -> Masks:
    order = np.argsort(values, axis=0, kind="stable")
    v, r = np.take_along_axis(values, order, 0), np.take_along_axis(reach, order, 0)
    largest = np.abs(parts.base) + np.abs(values).max(axis=0)
    gaps = v[1:] - v[:-1] - r[1:] - r[:-1]
    # Two outcomes may share a cell unless they lie farther apart than it is wide.
    return np.asarray((gaps > _step(largest, parts.stored)).all(axis=0) & (v.shape[0] > 1))


def _step(size: Floats, dtype: DType) -> Floats:
    """The grid's step at numbers of this size."""
    _, exponent = np.frexp(size)
    return np.asarray(np.ldexp(1.0, np.maximum(exponent - 1, LEAST_EXPONENT[dtype]) - STEPS[dtype]))
