"""Two likelihoods for merge weights read through storage rounding.

R (``"replay"``): the merge was stored, then changed; the prediction of an element is
``round_m(Σ wⱼ aⱼ)``. G (``"free"``): the same sum, never stored in between. Under both an element
is observed as its rounding cell, and the change is a Gaussian or a Student t₂ of one scale; the
better family is reported. ``merge_test`` compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.numerics.likelihoods.blend_field import Field
from parentage.numerics.likelihoods.drift import best_change
from parentage.numerics.likelihoods.ensemble import weight_intervals
from parentage.numerics.likelihoods.mixtures import Space, WeightPeak, peaks_over_weights
from parentage.numerics.likelihoods.profile import (
    Cells,
    Mode,
    predict,
    profile_at,
    profile_drifting,
    residual_cells,
    rounding_code,
    row_scales,
)
from parentage.numerics.likelihoods.search import (
    Line,
    Peak,
    coarse_starts,
    likelihood_interval,
    peak_of,
    points,
    reach_of,
)
from parentage.numerics.likelihoods.tails import FAMILIES, GAUSSIAN, STUDENT_T2
from parentage.records.dtypes import DType

__all__ = ["Fit", "Interval", "ScaleFit", "fit", "fit_cells", "fit_scale", "make_cells"]

Floats = NDArray[np.float64]

_LEVEL: Final = 0.95
_DROP: Final = 1.92
# How far a family's likelihood must fall to bound where the other family's maximum is sought.
_REACH_DROP: Final = 30.0
_LEAST_WIDTH: Final = 2.0**-40
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
    drift: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted likelihood. ``weights`` follow the parents' order; with two, α is the first."""

    mode: Mode
    family: str
    weights: tuple[float, ...]
    intervals: tuple[Interval, ...]
    """One a weight, under scales that differ by row; empty where they were not asked for."""
    scale: float
    """Size of the change, in the weights' own unit; 0 where every cell holds its prediction."""
    log_likelihood: float
    without: tuple[float, ...]
    """Log-likelihood with each parent left out, all else at its best; empty if not asked for."""
    alone: float
    """Log-likelihood at weight 1 for the first parent and 0 for the others."""
    row_spread: float
    """Standard deviation of the rows' log scales; 0 where rows were not told apart."""
    n: int
    evaluations: int
    drift: tuple[float, ...] = ()
    """Shift of all elements along the parents' differences to the last one, beside the weights."""

    @property
    def alpha(self) -> float:
        """The first parent's weight."""
        return self.weights[0]

    @property
    def interval(self) -> Interval | None:
        """The first parent's interval."""
        return self.intervals[0] if self.intervals else None

    @property
    def at_zero(self) -> float:
        """Profile log-likelihood at α = 0 (the better family's); raises where not asked for."""
        return self.without[0]

    @property
    def at_one(self) -> float:
        """Profile log-likelihood at α = 1 (the better family's)."""
        return self.alone


def fit_scale(c: Floats, r: Floats, low: Floats, high: Floats, drift: Floats | None = None) -> ScaleFit:
    """Size of the change around a replay ``r`` from any arithmetic; all arrays float64 ``[n]``.

    ``drift`` ``[J, n]``: directions along which the change may have moved all elements alike.
    """
    low, high = _finite_cells(c, low, high, np.abs(r))
    n = low.size
    lo, hi = np.empty(n), np.empty(n)
    off = int(residual_cells(low, high, np.ones(n), r, lo, hi))
    moves = np.empty((0, n)) if drift is None else np.ascontiguousarray(drift)
    found = []
    for family in (STUDENT_T2, GAUSSIAN):
        shifts = np.zeros(len(moves))
        value, scale, _ = best_change(lo, hi, moves, family, 0.0, shifts)
        found.append((value, scale, family, shifts))
    value, scale, family, shifts = max(found, key=lambda item: item[0])
    return ScaleFit(FAMILIES[family], float(scale), float(value), off, n, tuple(float(x) for x in shifts))


def fit(
    a: Floats,
    c: Floats,
    low: Floats,
    high: Floats,
    *,
    dtype: DType,
    mode: Mode,
    rows: NDArray[np.int32] | None = None,
    sum_to_one: bool = True,
    interval: bool = True,
    without: bool = True,
    single: bool = True,
) -> Fit:
    """Fit one likelihood of ``c`` to its parents.

    ``a``: float64 ``[K, n]``; K = 2 is a search over α with weights α and 1-α unless the sum is
    free; K = 1 has one free weight. ``c``, ``low``, ``high``: float64 ``[n]``, the suspect and its
    rounding cells. ``dtype``: what the merge was stored in. ``rows``: group ids ``[n]`` whose
    scales may differ (for the intervals). ``without``: also leave each parent out in turn.
    ``single``: the replay's sum is taken in float32. Raises :class:`UsageError` on empty input,
    shapes that disagree, or a dtype without a replay.
    """
    cells = make_cells(a, c, low, high, dtype, single)
    if mode == "free":
        cells = cells.free()
    return fit_cells(cells, mode, rows, sum_to_one, interval=interval, without=without)


def fit_cells(
    cells: Cells,
    mode: Mode,
    rows: NDArray[np.int32] | None,
    sum_to_one: bool,
    *,
    interval: bool,
    without: bool,
    starts: list[Peak] | None = None,
    search: bool = True,
) -> Fit:
    """Fit prepared cells. ``starts``: where to look, on the line of two parents' weights, instead of
    everywhere; ``search`` False takes the best of them as it is."""
    peaks = _peaks(cells, sum_to_one, starts, search)
    family = max(peaks, key=lambda f: peaks[f].log_likelihood)
    peak = peaks[family]
    count = len(cells.parents)
    intervals: tuple[Interval, ...] = ()
    spread = 0.0
    if interval:
        intervals, spread = _intervals(cells, family, peak, rows, sum_to_one)
    return Fit(
        mode=mode,
        family=FAMILIES[family],
        weights=tuple(float(w) for w in peak.weights),
        drift=_shifts(cells, family, peak),
        intervals=intervals,
        scale=peak.scale,
        log_likelihood=peak.log_likelihood,
        without=tuple(_without(cells, j, sum_to_one) for j in range(count)) if without else (),
        alone=_at(cells, np.eye(count)[0]),
        row_spread=spread,
        n=cells.n,
        evaluations=sum(p.evaluations for p in peaks.values()),
    )


def _shifts(cells: Cells, family: int, peak: WeightPeak) -> tuple[float, ...]:
    if cells.drift is None:
        return ()
    found = profile_drifting(cells, peak.weights[None, :], family, guess=peak.scale)[2]
    return tuple(float(x) for x in found[0])


def _on_a_line(count: int, sum_to_one: bool) -> bool:
    return count == 1 or (count == 2 and sum_to_one)


def _peaks(
    cells: Cells, sum_to_one: bool, starts: list[Peak] | None = None, search: bool = True
) -> dict[int, WeightPeak]:
    """The t₂ maximum, then the Gaussian one near it; a pure merge needs one family only."""
    count = len(cells.parents)
    if not _on_a_line(count, sum_to_one):
        return peaks_over_weights(cells, sum_to_one=sum_to_one)
    line = Line.of(count)
    if starts is None:
        starts = coarse_starts(cells, line)
    if search:
        found = _searched(cells, line, starts)
    else:
        where = [max(starts, key=lambda p: p.log_likelihood).position]
        found = {f: points(cells, line, where, family=f)[0] for f in (STUDENT_T2, GAUSSIAN)}
    return {
        family: WeightPeak(line.at(np.array([p.position]))[0], p.log_likelihood, p.scale, p.evaluations)
        for family, p in found.items()
    }


def _searched(cells: Cells, line: Line, starts: list[Peak]) -> dict[int, Peak]:
    first = peak_of(cells, line, STUDENT_T2, starts)
    found = {STUDENT_T2: first}
    if first.scale > 0.0:
        reach = reach_of(cells, line, STUDENT_T2, first, drop=_REACH_DROP)
        found[GAUSSIAN] = peak_of(cells, line, GAUSSIAN, [first], half=2.0 * reach)
    return found


def _at(cells: Cells, weights: Floats) -> float:
    """Profile log-likelihood at ``weights`` under the better family."""
    values = [profile_at(cells, weights[None, :], f)[0][0] for f in (STUDENT_T2, GAUSSIAN)]
    return float(max(values))


def _without(cells: Cells, parent: int, sum_to_one: bool) -> float:
    count = len(cells.parents)
    if count == 1:
        return _at(cells, np.zeros(1))
    if count == 2 and sum_to_one:
        return _at(cells, np.eye(2)[1 - parent])
    peaks = _peaks(cells.without(parent), sum_to_one)
    return max(p.log_likelihood for p in peaks.values())


def _intervals(
    cells: Cells,
    family: int,
    peak: WeightPeak,
    rows: NDArray[np.int32] | None,
    sum_to_one: bool,
) -> tuple[tuple[Interval, ...], float]:
    spread = 0.0
    if rows is not None and peak.scale > 0.0:
        cells, spread = _scaled_by_row(cells, family, peak, rows)
    count = len(cells.parents)
    if _on_a_line(count, sum_to_one):
        found = _interval(cells, Line.of(count), family, peak, float(peak.weights[0]))
        if count == 1:
            return (found,), spread
        other = Interval(1.0 - found.estimate, 1.0 - found.high, 1.0 - found.low, _LEVEL)
        return (found, other), spread
    space = Space.of(cells.parents / cells.relative, sum_to_one=sum_to_one)
    if peak.scale == 0.0:
        return tuple(_feasible(cells, space, family, peak, j) for j in range(count)), spread
    field = Field.around(cells, family, peak.weights, guess=peak.scale)
    low, high, _ = weight_intervals(field, space.axes(), level=_LEVEL)
    ends = zip(peak.weights, low, high, strict=True)
    return tuple(Interval(float(w), float(a), float(b), _LEVEL) for w, a, b in ends), spread


def _feasible(cells: Cells, space: Space, family: int, peak: WeightPeak, j: int) -> Interval:
    """How far weight ``j`` can move, the others following, where every cell holds its prediction."""
    weight = float(peak.weights[j])
    move = space.along_weight(j)
    if move is None:
        return Interval(weight, weight, weight, _LEVEL)
    moved = _interval(cells, Line(peak.weights, move), family, peak, 0.0)
    return Interval(weight + moved.estimate, weight + moved.low, weight + moved.high, _LEVEL)


def _scaled_by_row(
    cells: Cells, family: int, peak: WeightPeak, rows: NDArray[np.int32]
) -> tuple[Cells, float]:
    lo, hi, r = (np.empty(cells.n) for _ in range(3))
    predict(cells.parents, peak.weights, cells.code, cells.single, r)
    if cells.drift is not None:
        r += np.array(_shifts(cells, family, peak)) @ cells.drift
    residual_cells(cells.low, cells.high, cells.relative, r, lo, hi)
    each, by_row = row_scales(
        lo, hi, rows, family=family, scale=peak.scale, pseudo_observations=_PSEUDO_OBSERVATIONS
    )
    return cells.scaled(each), float(np.std(np.log(by_row)))


def _interval(cells: Cells, line: Line, family: int, peak: WeightPeak, position: float) -> Interval:
    """Likelihood interval along ``line``, from the peak at ``position`` on it."""
    value, scale, _ = profile_at(cells, line.at(np.array([position])), family, guess=peak.scale)
    top = Peak(position, float(value[0]), float(scale[0]), 0)
    estimate, low, high = likelihood_interval(cells, line, family, top, drop=_DROP)
    return Interval(estimate, low, high, _LEVEL)


def make_cells(a: Floats, c: Floats, low: Floats, high: Floats, dtype: DType, single: bool) -> Cells:
    if a.ndim != 2 or a.shape[1] == 0:
        raise UsageError("nothing to fit: no element was given", code="nothing-to-fit")
    if not (c.shape == low.shape == high.shape == (a.shape[1],)):
        raise UsageError(
            f"parents {a.shape}, suspect {c.shape} and cells {low.shape}, {high.shape} disagree",
            code="fit-shapes",
        )
    low, high = _finite_cells(c, low, high, np.abs(a).max(axis=0))
    return Cells(
        np.ascontiguousarray(a, dtype=np.float64), low, high, np.ones(c.size),
        rounding_code(dtype), single,
    )  # fmt: skip


def _finite_cells(c: Floats, low: Floats, high: Floats, size: Floats) -> tuple[Floats, Floats]:
    """Cells with a width that survives subtraction of a prediction of ``size``.

    The largest finite value's cell reaches to infinity: mirror its other side. A zero's cell is so
    narrow (1e-40) that its ends less a prediction would be one number: no sum of operands of this
    size is exact to 2⁻⁴⁰ of them, so the cell may be that wide.
    """
    high = np.where(np.isfinite(high), high, 2.0 * c - low)
    low = np.where(np.isfinite(low), low, 2.0 * c - high)
    least = _LEAST_WIDTH * (size + np.abs(c))
    narrow = high - low < least
    low, high = np.where(narrow, low - least, low), np.where(narrow, high + least, high)
    return np.ascontiguousarray(low), np.ascontiguousarray(high)
