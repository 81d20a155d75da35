"""One merge weight from published least-squares figures, read through the rounding of storage.

A row of a published table is a least-squares weight and a cosine. All rows share α; each has one unknown
of its own, the size of its delta, which decides how far rounding moves both figures. So for one α every
row must lie on one curve. Between the values at which a delta of k grid steps changes the step it rounds
to, α = (2j+1)/2k, a curve hardly moves: the fit finds an interval between such values, not a point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.interpolate import CubicSpline

from parentage.numerics.published.rounding_bias import Moments
from parentage.records.absence import Absent

__all__ = [
    "Curve",
    "CurveFit",
    "Profile",
    "Row",
    "RowFit",
    "curve_of",
    "figures_at",
    "fit_rows",
    "mixed",
    "over_laws",
    "profile",
]

Floats = NDArray[np.float64]
# Between knots a factor 1.25 apart the spline errs by less than 1e-4, a fifth of a printed digit.
_DENSE: Final = 6001
_MIXTURE_NODES: Final = 7


@dataclass(frozen=True, slots=True)
class Row:
    """A published least-squares weight and cosine, each with its standard error."""

    name: str
    alpha: float
    cosine: float
    alpha_error: float
    cosine_error: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Expected figures of one recipe, by delta size: ``sizes`` ``[S]`` ascending, ``figures`` ``[S, 2]``
    (weight, cosine)."""

    sizes: Floats
    figures: Floats


@dataclass(frozen=True, slots=True)
class RowFit:
    """The size at which the curve comes nearest to a row, and what it predicts there."""

    size: float
    alpha: float
    cosine: float


@dataclass(frozen=True, slots=True)
class CurveFit:
    """All rows on one curve: the sum of squared standardised misfits, and the rows."""

    chi_squared: float
    rows: tuple[RowFit, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """Fits over ``alphas`` ``[G]`` ascending: ``chi_squared`` ``[G]`` and the degrees of ``freedom`` left,
    two a row less one a row and one for the weight (and one for a law that was fitted too)."""

    alphas: Floats
    chi_squared: Floats
    freedom: int

    @property
    def best(self) -> float:
        """The weight of least misfit (of the grid)."""
        return float(self.alphas[int(np.argmin(self.chi_squared))])

    @property
    def inflation(self) -> float:
        """Least misfit over its degrees of freedom: 1 where the stated errors are all there is."""
        return float(np.min(self.chi_squared)) / self.freedom

    def interval(self, *, level: float) -> tuple[float, float]:
        """The weights not rejected by F(1, freedom), with errors inflated to the least misfit (never
        deflated). Ends are the nearest rejected weights of the grid, or the grid's own."""
        least = float(np.min(self.chi_squared))
        quantile = float(special.fdtri(1, self.freedom, level))
        inside = np.flatnonzero(self.chi_squared <= least + quantile * max(self.inflation, 1.0))
        first, last = max(int(inside[0]) - 1, 0), min(int(inside[-1]) + 1, self.alphas.size - 1)
        return float(self.alphas[first]), float(self.alphas[last])


def curve_of(sizes: Floats, moments: Sequence[Moments]) -> Curve:
    """The curve through moments at ``sizes`` ``[S]``, S >= 4; sizes whose figures are absent (all
    stored parents equal) are left out."""
    kept, figures = [], []
    for size, each in zip(sizes, moments, strict=True):
        alpha, cosine = each.alpha, each.cosine
        if not isinstance(alpha, Absent) and not isinstance(cosine, Absent):
            kept.append(float(size))
            figures.append((alpha, cosine))
    return Curve(np.array(kept), np.array(figures))


def figures_at(curve: Curve, size: float) -> tuple[float, float]:
    """The weight and the cosine that the curve predicts at a size between its first and its last."""
    alpha, cosine = CubicSpline(np.log(curve.sizes), curve.figures)(math.log(size))
    return float(alpha), float(cosine)


def _dense(curve: Curve) -> tuple[Floats, Floats]:
    logs = np.log(curve.sizes)
    fine = np.linspace(logs[0], logs[-1], _DENSE)
    return fine, np.asarray(CubicSpline(logs, curve.figures)(fine), dtype=np.float64)


def mixed(curve: Curve, log_spread: float) -> Curve:
    """The mean figures of many tensors whose sizes are log-normal around each size of the curve.

    Sizes whose mixture would leave the curve, within 3.75 ``log_spread`` of its ends, are dropped.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(_MIXTURE_NODES)
    logs = np.log(curve.sizes)
    spline = CubicSpline(logs, curve.figures)
    margin = log_spread * float(nodes[-1])
    inner = logs[(logs - margin >= logs[0]) & (logs + margin <= logs[-1])]
    figures = sum(
        w * spline(inner + log_spread * x)
        for x, w in zip(nodes, weights / math.sqrt(2 * math.pi), strict=True)
    )
    return Curve(np.exp(inner), np.asarray(figures, dtype=np.float64))


def fit_rows(curve: Curve, rows: Sequence[Row]) -> CurveFit:
    """The best size of each row on ``curve``."""
    fine, figures = _dense(curve)
    total, found = 0.0, []
    for row in rows:
        misfit = ((figures[:, 0] - row.alpha) / row.alpha_error) ** 2
        misfit += ((figures[:, 1] - row.cosine) / row.cosine_error) ** 2
        k = int(np.argmin(misfit))
        total += float(misfit[k])
        found.append(RowFit(math.exp(fine[k]), float(figures[k, 0]), float(figures[k, 1])))
    return CurveFit(total, tuple(found))


def profile(alphas: Floats, curves: Sequence[Curve], rows: Sequence[Row]) -> Profile:
    """The fit of ``rows`` (two or more) under each curve, one for each of ``alphas`` ``[G]``."""
    misfits = np.array([fit_rows(curve, rows).chi_squared for curve in curves])
    return Profile(np.asarray(alphas, dtype=np.float64), misfits, len(rows) - 1)


def over_laws(profiles: Sequence[Profile]) -> Profile:
    """The best of several laws at each weight; the choice among them costs a degree of freedom."""
    misfits = np.min([p.chi_squared for p in profiles], axis=0)
    return Profile(profiles[0].alphas, misfits, profiles[0].freedom - 1)
