"""Two likelihoods for merge weights read through storage rounding, and the merge test.

R (``"replay"``): the merge was stored, then changed; the prediction of an element is
``round_m(Σ wⱼ aⱼ)``. G (``"free"``): the same sum, never stored in between. Under both an element
is observed as its rounding cell, and the change is a Gaussian or a Student t₂ of one scale; the
better family is reported. ``max ℓ_R - max ℓ_G`` is the merge test: a stored merge sits on the grid
of its own replay, its imitators do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.numerics.profile import (
    Cells,
    Mode,
    best_scale,
    predict,
    profile_at,
    residual_cells,
    rounding_code,
    row_scales,
)
from parentage.numerics.search import (
    Line,
    Peak,
    coarse_starts,
    likelihood_interval,
    peak_of,
    points,
    reach_of,
)
from parentage.numerics.tails import FAMILIES, GAUSSIAN, STUDENT_T2
from parentage.records.dtypes import DType

__all__ = ["Comparison", "Fit", "Interval", "ScaleFit", "compare", "fit", "fit_scale"]

Floats = NDArray[np.float64]

_LEVEL: Final = 0.95
_CHI_SQUARED: Final = 3.841458820694124
# How far a family's likelihood must fall to bound where the other family's maximum is sought.
_REACH_DROP: Final = 30.0
_PSEUDO_OBSERVATIONS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A weight with its interval, under scales that differ by row."""

    estimate: float
    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True)
class ScaleFit:
    """Best scale around a fixed prediction. ``scale`` 0: every cell holds its prediction."""

    family: str
    scale: float
    log_likelihood: float
    off: int
    """Elements whose cell does not hold the prediction."""
    n: int


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted likelihood. ``weights`` follow the parents' order; with two, α is the first."""

    mode: Mode
    family: str
    weights: tuple[float, ...]
    scale: float
    log_likelihood: float
    at_zero: float
    at_one: float
    """Profile log-likelihoods at α = 0 and 1, the better family's at each."""
    interval: Interval | None
    row_spread: float
    """Standard deviation of the rows' log scales; 0 where rows were not told apart."""
    n: int
    evaluations: int

    @property
    def alpha(self) -> float:
        """The first parent's weight."""
        return self.weights[0]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both likelihoods of one tensor, and what the merge test needs."""

    replay: Fit
    free: Fit
    delta_ll: float
    prediction: Floats
    """The replay at its optimum, float64 ``[n]``."""
    residual_correlation: float | None
    """corr(C - r, A - B); None where either does not vary."""
    drop_at_zero: float
    drop_at_one: float
    off_replay: int


def fit_scale(c: Floats, r: Floats, low: Floats, high: Floats) -> ScaleFit:
    """Scale of the change around a replay ``r`` from any arithmetic; all arrays float64 ``[n]``."""
    low, high = _finite_cells(c, low, high)
    n = low.size
    lo, hi = np.empty(n), np.empty(n)
    off = int(residual_cells(low, high, np.ones(n), r, lo, hi))
    fits = [(best_scale(lo, hi, f, 0.0, 0.0, 0.0), f) for f in (STUDENT_T2, GAUSSIAN)]
    (value, scale, _), family = max(fits, key=lambda item: item[0][0])
    return ScaleFit(FAMILIES[family], float(scale), float(value), off, n)


def fit(
    a: Floats,
    c: Floats,
    low: Floats,
    high: Floats,
    *,
    dtype: DType,
    mode: Mode,
    rows: NDArray[np.int32] | None = None,
    interval: bool = True,
    single: bool = True,
) -> Fit:
    """Fit one likelihood of ``c`` to its parents.

    ``a``: float64 ``[K, n]``; with K = 2 the weights are α and 1-α, with K = 1 one free weight.
    ``c``, ``low``, ``high``: float64 ``[n]``, the suspect and its rounding cells. ``dtype``: what
    the merge was stored in. ``rows``: group ids ``[n]`` whose scales may differ (for the interval).
    ``single``: the replay's sum is taken in float32. Raises :class:`UsageError` on empty input,
    shapes that disagree, or a dtype without a replay.
    """
    cells = _cells(a, c, low, high, dtype, single)
    line = Line.of(len(a))
    if mode == "free":
        cells = cells.free()
    return _fit(cells, line, mode, coarse_starts(cells, line), rows, interval)


def compare(
    a: Floats,
    b: Floats,
    c: Floats,
    low: Floats,
    high: Floats,
    *,
    dtype: DType,
    rows: NDArray[np.int32] | None = None,
    interval: bool = True,
    single: bool = True,
) -> Comparison:
    """R and G for two parents, and the merge test between them; arguments as :func:`fit`."""
    parents = np.stack([a, b])
    cells = _cells(parents, c, low, high, dtype, single)
    line = Line.of(2)
    replay = _fit(cells, line, "replay", coarse_starts(cells, line), rows, interval)
    cells = cells.free()
    # G is also tried where R is best, so that R never wins for want of search.
    starts = [*coarse_starts(cells, line), *points(cells, line, [replay.alpha])]
    free = _fit(cells, line, "free", starts, None, False)
    r = np.empty(c.size)
    predict(parents, np.array(replay.weights), rounding_code(dtype), single, r)
    return Comparison(
        replay=replay,
        free=free,
        delta_ll=replay.log_likelihood - free.log_likelihood,
        prediction=r,
        residual_correlation=_correlation(c - r, a - b),
        drop_at_zero=replay.log_likelihood - replay.at_zero,
        drop_at_one=replay.log_likelihood - replay.at_one,
        off_replay=int(np.count_nonzero((r < low) | (r > high))),
    )


def _fit(
    cells: Cells,
    line: Line,
    mode: Mode,
    starts: list[Peak],
    rows: NDArray[np.int32] | None,
    interval: bool,
) -> Fit:
    peaks = _peaks(cells, line, starts)
    family = max(peaks, key=lambda f: peaks[f].log_likelihood)
    peak = peaks[family]
    ends = [profile_at(cells, line.at(np.array([0.0, 1.0])), f)[0] for f in peaks]
    at_zero, at_one = np.max(np.stack(ends), axis=0)
    found, spread = _interval(cells, line, family, peak, rows) if interval else (None, 0.0)
    return Fit(
        mode=mode,
        family=FAMILIES[family],
        weights=tuple(float(w) for w in line.at(np.array([peak.position]))[0]),
        scale=peak.scale,
        log_likelihood=peak.log_likelihood,
        at_zero=float(at_zero),
        at_one=float(at_one),
        interval=found,
        row_spread=spread,
        n=cells.n,
        evaluations=sum(p.evaluations for p in (*peaks.values(), *starts)),
    )


def _peaks(cells: Cells, line: Line, starts: list[Peak]) -> dict[int, Peak]:
    """The t₂ maximum, then the Gaussian one near it; a pure merge needs one family only."""
    first = peak_of(cells, line, STUDENT_T2, starts)
    if first.scale == 0.0:
        return {STUDENT_T2: first}
    reach = reach_of(cells, line, STUDENT_T2, first, drop=_REACH_DROP)
    second = peak_of(cells, line, GAUSSIAN, [first], half=2.0 * reach)
    return {STUDENT_T2: first, GAUSSIAN: second}


def _interval(
    cells: Cells, line: Line, family: int, peak: Peak, rows: NDArray[np.int32] | None
) -> tuple[Interval, float]:
    spread = 0.0
    if rows is not None and peak.scale > 0.0:
        lo, hi, r = (np.empty(cells.n) for _ in range(3))
        predict(
            cells.parents,
            line.at(np.array([peak.position]))[0],
            cells.code,
            cells.single,
            r,
        )
        residual_cells(cells.low, cells.high, cells.relative, r, lo, hi)
        each, by_row = row_scales(
            lo, hi, rows, family=family, scale=peak.scale,
            pseudo_observations=_PSEUDO_OBSERVATIONS,
        )  # fmt: skip
        spread = float(np.std(np.log(by_row)))
        cells = cells.scaled(each)
        value, scale, _ = profile_at(
            cells, line.at(np.array([peak.position])), family, guess=peak.scale
        )
        peak = Peak(peak.position, float(value[0]), float(scale[0]), 0)
    for _ in range(3):
        better, low, high = likelihood_interval(cells, line, family, peak, drop=_CHI_SQUARED / 2.0)
        if better.position == peak.position:
            break
        peak = better
    return Interval(peak.position, low, high, _LEVEL), spread


def _cells(a: Floats, c: Floats, low: Floats, high: Floats, dtype: DType, single: bool) -> Cells:
    if a.ndim != 2 or a.shape[1] == 0:
        raise UsageError("nothing to fit: no element was given", code="nothing-to-fit")
    if not (c.shape == low.shape == high.shape == (a.shape[1],)):
        raise UsageError(
            f"parents {a.shape}, suspect {c.shape} and cells {low.shape}, {high.shape} disagree",
            code="fit-shapes",
        )
    low, high = _finite_cells(c, low, high)
    return Cells(
        np.ascontiguousarray(a, dtype=np.float64), low, high, np.ones(c.size),
        rounding_code(dtype), single,
    )  # fmt: skip


def _finite_cells(c: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The largest finite value's cell reaches to infinity: mirror its other side."""
    high = np.where(np.isfinite(high), high, 2.0 * c - low)
    low = np.where(np.isfinite(low), low, 2.0 * c - high)
    return np.ascontiguousarray(low), np.ascontiguousarray(high)


def _correlation(x: Floats, y: Floats) -> float | None:
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt(np.dot(x, x) * np.dot(y, y)))
    return float(np.dot(x, y)) / size if size > 0.0 else None
