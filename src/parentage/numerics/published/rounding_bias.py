"""What least squares says of a merge whose parents and result are stored in bfloat16.

B and A lie on the bfloat16 grid, and so does C = round(αA + (1-α)B): not on the line between them but on
the grid next to it. Where A is one or two grid steps from B, C can only be one of them or the value
between, and the least-squares weight Σ(C-B)(A-B) / Σ(A-B)² is not α, whatever the number of elements. Its
expectation is a sum over pairs of grid values, done here without sampling: the law of the weights gives
the probability of each B, the law of the deltas that of each A beside it, in closed form.

Of a binade's grid only the ratio of the delta to the step matters, so scaling everything by a power of
two changes nothing. Below a fraction of the delta's size the grid is replaced by a uniform one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from parentage.errors import UsageError
from parentage.numerics.likelihoods.profile import predict, rounding_code
from parentage.records.absence import Absent
from parentage.records.dtypes import DType

__all__ = [
    "GAUSSIAN",
    "LAPLACE",
    "STUDENT_T5",
    "Moments",
    "Origin",
    "Pairs",
    "Rule",
    "Shape",
    "Weights",
    "around",
    "centred",
    "expected_moments",
    "linear",
    "stored_grid",
    "stored_pairs",
    "tailed",
    "windows",
]

Floats = NDArray[np.float64]
Rule = Callable[[Floats, Floats], Floats]
"""``rule(a, b)``: the stored merge of stored values, float64 ``[n]`` each, all on the bfloat16 grid."""

_SIGNIFICAND: Final = 7
# Uniform below the delta's size, rounded down to a power of two: for deltas up to 3 % no figure moves
# by 2e-7, for a delta three times the weights by 3e-5.
_UNIFORM_BELOW: Final = 0
# Pairs that together hold less than a share 1e-10 of the probability are left out.
_NEGLIGIBLE: Final = 1e-17
_TAIL: Final = 1e-13


@dataclass(frozen=True, slots=True)
class Shape:
    """A symmetric law of variance 1.

    ``below``: its distribution function. ``excess``: the mean by which a variate exceeds x >= 0,
    E max(X - x, 0); ``reach``: what lies beyond holds less than 1e-10 of the probability.
    """

    name: str
    below: Callable[[Floats], Floats]
    excess: Callable[[Floats], Floats]
    reach: float

    def integral(self, x: Floats) -> Floats:
        """An antiderivative of ``below``: E max(x - X, 0)."""
        return np.maximum(x, 0.0) + self.excess(np.abs(x))


def _gauss_excess(x: Floats) -> Floats:
    density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return np.asarray(density - x * special.ndtr(-x), dtype=np.float64)


@cache
def tailed(power: float) -> Shape:
    """The generalised Gaussian, density ∝ exp(-|x/a|^power): 1 is Laplace, 2 Gaussian, more has lighter
    tails (Subbotin 1923)."""
    scale = math.sqrt(math.gamma(1 / power) / math.gamma(3 / power))
    mean = scale * math.gamma(2 / power) / math.gamma(1 / power)

    def below(x: Floats) -> Floats:
        tail = special.gammaincc(1 / power, (np.abs(x) / scale) ** power) / 2
        return np.where(x < 0, tail, 1 - tail)

    def excess(x: Floats) -> Floats:
        y = (x / scale) ** power
        found = mean * special.gammaincc(2 / power, y) - x * special.gammaincc(1 / power, y)
        return np.maximum(found / 2, 0.0)

    reach = scale * float(special.gammainccinv(1 / power, 1e-10)) ** (1 / power)
    return Shape(f"power {power:g}", below, excess, reach)


_NU: Final = 5
_T_SCALE: Final = math.sqrt(_NU / (_NU - 2))
_T_DENSITY: Final = math.exp(math.lgamma((_NU + 1) / 2) - math.lgamma(_NU / 2)) / math.sqrt(_NU * math.pi)


def _student_excess(x: Floats) -> Floats:
    y = x * _T_SCALE
    density = _T_DENSITY * (1 + y * y / _NU) ** (-(_NU + 1) / 2)
    above = np.asarray(special.stdtr(_NU, -y), dtype=np.float64)
    return np.maximum((_NU + y * y) / (_NU - 1) * density - y * above, 0.0) / _T_SCALE


GAUSSIAN: Final = Shape("Gaussian", special.ndtr, _gauss_excess, 7.0)
LAPLACE: Final = tailed(1.0)
STUDENT_T5: Final = Shape("Student t₅", lambda x: special.stdtr(_NU, x * _T_SCALE), _student_excess, 130.0)


@dataclass(frozen=True, slots=True)
class Weights:
    """A law of unrounded weights: distribution function, largest size that matters, and whether the
    law is symmetric around 0 (then only positive weights are summed)."""

    below: Callable[[Floats], Floats]
    most: float
    symmetric: bool


def centred(shape: Shape, spread: float) -> Weights:
    """Weights around 0 with standard deviation ``spread``: matrices."""
    return Weights(lambda x: shape.below(x / spread), shape.reach * spread, True)


def around(centre: float, log_spread: float) -> Weights:
    """Positive weights whose logarithm is Gaussian around log ``centre``: gains of layer norms."""

    def below(x: Floats) -> Floats:
        logs = np.log(np.maximum(x, 1e-300) / centre)
        return np.where(x > 0, special.ndtr(logs / log_spread), 0.0)

    return Weights(below, centre * math.exp(GAUSSIAN.reach * log_spread), False)


class Origin(Enum):
    """Where the tuned parent started.

    ``STORED``: from the published B, A = round(B + Δ): a fine-tune of a 16-bit release.
    ``UNSTORED``: both are rounded from wider weights, B = round(W), A = round(W + Δ).
    """

    STORED = "stored"
    UNSTORED = "unstored"


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs of stored parents: ``tuned`` A, ``base`` B and their probability, float64 ``[n]``."""

    tuned: Floats
    base: Floats
    probability: Floats

    @property
    def differing(self) -> float:
        """The share of elements with A != B."""
        return float(np.sum(self.probability[self.tuned != self.base]))


@dataclass(frozen=True, slots=True)
class Moments:
    """Expected products of D = A - B and M = C - B; ``alpha`` and ``cosine`` follow from them."""

    delta_squared: float
    delta_moved: float
    moved_squared: float

    @property
    def alpha(self) -> float | Absent:
        """The weight that least squares tends to, E DM / E D²."""
        if self.delta_squared == 0:
            return Absent("the stored parents are equal")
        return self.delta_moved / self.delta_squared

    @property
    def cosine(self) -> float | Absent:
        """The cosine of C - B and A - B that is then seen."""
        size = self.delta_squared * self.moved_squared
        if size == 0:
            return Absent("the stored merge, or the tuned parent, equals the base")
        return self.delta_moved / math.sqrt(size)


def stored_grid(size: float, most: float) -> tuple[Floats, Floats, Floats]:
    """Ascending bfloat16 values up to about ``most``, and their cells' ends: float64 ``[n]`` each.

    Below about ``size``, where a step is nothing beside it, the grid is uniform.
    """
    finest = math.floor(math.log2(size)) + _UNIFORM_BELOW
    parts = [np.arange(128) * 2.0 ** (finest - _SIGNIFICAND)]
    exponent = finest
    while 2.0**exponent <= most:
        parts.append(np.arange(128, 256) * 2.0 ** (exponent - _SIGNIFICAND))
        exponent += 1
    positive = np.append(np.concatenate(parts), 2.0**exponent)
    values = np.concatenate([-positive[:0:-1], positive])
    middles = (values[1:] + values[:-1]) / 2
    return values[1:-1], middles[:-1], middles[1:]


def windows(
    start: Floats, stop: Floats, low: Floats, high: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All (i, j) such that the cell j meets ``start[i]``..``stop[i]``, in order of i and j."""
    first = np.searchsorted(high, start)
    count = np.minimum(np.searchsorted(low, stop), low.size) - first
    row = np.repeat(np.arange(start.size), count)
    return row, np.arange(row.size) - np.repeat(np.cumsum(count) - count - first, count)


def stored_pairs(*, weights: Weights, delta: Shape, size: float, origin: Origin) -> Pairs:
    """The joint law of stored parents whose unrounded delta has standard deviation ``size``.

    The relative delta of a matrix is ``size`` over the standard deviation of its weights. Weights are
    taken as evenly spread within each cell of B (the error is of second order in 2⁻⁸ and is tested
    against simulation). Raises :class:`UsageError` when ``size`` is not a positive number.
    """
    if not (math.isfinite(size) and size > 0):
        raise UsageError(f"a delta's size must be positive, not {size!r}", code="delta-size")
    values, low, high = stored_grid(size, weights.most + delta.reach * size)
    mass = weights.below(high) - weights.below(low)
    if weights.symmetric:
        mass = np.where(values > 0, 2 * mass, np.where(values < 0, 0.0, mass))
    base = np.flatnonzero(mass > _TAIL)
    reach = delta.reach * size
    row, column = windows(low[base] - reach, high[base] + reach, low, high)
    row = base[row]
    if origin is Origin.STORED:
        start = values[row]
        share = delta.below((high[column] - start) / size) - delta.below((low[column] - start) / size)
    else:
        ends = (low[row] / size, high[row] / size, low[column] / size, high[column] / size)
        share = _uniform_share(delta, *ends)
    probability = mass[row] * np.maximum(share, 0.0)
    kept = probability > _NEGLIGIBLE
    return Pairs(values[column[kept]], values[row[kept]], probability[kept])


def _uniform_share(delta: Shape, start: Floats, stop: Floats, low: Floats, high: Floats) -> Floats:
    """P(low < W + Δ < high) for W uniform in ``start``..``stop``, all in units of the delta's size."""
    up = delta.integral(high - start) - delta.integral(high - stop)
    down = delta.integral(low - start) - delta.integral(low - stop)
    return (up - down) / (stop - start)


def linear(alpha: float) -> Rule:
    """αA + (1-α)B in exact arithmetic, rounded once to nearest, ties to even."""

    def rule(a: Floats, b: Floats) -> Floats:
        out = np.empty(a.size)
        weights = np.array([alpha, 1 - alpha])
        predict(np.stack([a, b]), weights, rounding_code(DType.BF16), False, out)
        return out

    return rule


def expected_moments(pairs: Pairs, rule: Rule) -> Moments:
    """The moments to which sums over a tensor tend as its elements grow many."""
    delta = pairs.tuned - pairs.base
    moved = rule(pairs.tuned, pairs.base) - pairs.base
    weighted = pairs.probability * delta
    return Moments(
        float(np.sum(weighted * delta)),
        float(np.sum(weighted * moved)),
        float(np.sum(pairs.probability * moved * moved)),
    )
