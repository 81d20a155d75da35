"""The merge test for three parents and more; two whose weights need not sum to one are allowed.

As for two parents on a line: R says that the blend was stored and then changed, G that it never was; a
drift of the later change along the parents' differences is weight to G and a shift of all elements to R.
``max ℓ_R - max ℓ_G`` asks for the grid alone, and the lead over the best replay without each parent asks
whether the grid is that of this many. Other values of the same grid are tried too, as for two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.likelihoods.blend_field import Field
from parentage.numerics.likelihoods.ensemble import weight_intervals
from parentage.numerics.likelihoods.likelihood import Interval, make_cells
from parentage.numerics.likelihoods.mixtures import (
    Space,
    WeightPeak,
    best_weights,
    coarse_weights,
    free_peaks,
    gaussian_near,
)
from parentage.numerics.likelihoods.prediction import predict, residual_cells
from parentage.numerics.likelihoods.profile import Cells, profile_at, row_scales
from parentage.numerics.likelihoods.tails import FAMILIES, GAUSSIAN, STUDENT_T2
from parentage.records.dtypes import DType

__all__ = ["ManyComparison", "compare_many", "gain_over_pairs"]

Floats = NDArray[np.float64]

_LEVEL: Final = 0.95
# A free sum is one parameter more; where it gains less than this the weights sum to one.
_WORTH_A_SUM: Final = 10.0
# As for two parents: what leads the parents' own grids by less is not followed further, and intervals and
# leads are worth their cost where the grid is likelier than not by this much.
_WORTH_SEARCHING: Final = 2.5
_WORTH_AN_INTERVAL: Final = 5.0
# Below this the test fails whatever intervals, other grids or fewer parents do.
_WORTH_A_LATTICE: Final = 8.0
# A lead over a coarse search that a finer one does not undo: it gained 50 at most on planted merges.
_PAST_DOUBT: Final = 200.0
_PSEUDO_OBSERVATIONS: Final = 5.0


@dataclass(frozen=True, slots=True)
class ManyComparison:
    """Both likelihoods of K parents on one tensor, and what the merge test needs.

    ``drops`` is empty where the grid is not likelier by 5, ``intervals`` where the grid or a drop is not
    by 8. ``drops``: lead of R over the best replay without each parent, the drift free. ``lattice_lead``:
    over the best replay that takes another value of the same grid than the nearest; None where R does not
    lead G enough to ask. ``drift`` [J]: how far the change moved the suspect along the parents'
    differences to the last one, in weight. ``correlations``: corr(C - r, A_j less the blend of the
    others); None where either does not vary. ``order``: in which the replay sums its parents.
    """

    weights: tuple[float, ...]
    intervals: tuple[Interval, ...]
    sum_to_one: bool
    family: str
    scale: float
    log_likelihood: float
    free_weights: tuple[float, ...]
    free_scale: float
    free_log_likelihood: float
    delta_ll: float
    drops: tuple[float, ...]
    drift: tuple[float, ...]
    correlations: tuple[float | None, ...]
    off_replay: int
    order: tuple[int, ...]
    lattice_lead: float | None


def compare_many(
    parents: Floats,
    c: Floats,
    low: Floats,
    high: Floats,
    *,
    dtype: DType,
    rows: NDArray[np.int32] | None = None,
    interval: bool = True,
    single: bool = True,
) -> ManyComparison:
    """R and G for ``parents`` [K, n], K >= 2, and the test between them.

    ``c``, ``low``, ``high`` float64 [n]: the suspect and its rounding cells. ``dtype``: what the merge was
    stored in; ``rows``: group ids [n] whose scales may differ (for the intervals). Two parents have a
    free sum: with a sum of one they are :func:`merge_test.compare`'s. Raises :class:`UsageError` on
    empty input or shapes that disagree.
    """
    cells = make_cells(parents, c, low, high, dtype, single)
    free, sum_to_one = _fit_free(cells.free())
    centre = free.weights[:-1] if sum_to_one else np.append(free.weights[:-1], free.weights.sum())
    moving = cells.drifting(np.ascontiguousarray(centre), sum_to_one=sum_to_one)
    search = _Search(moving, Space.of(parents, sum_to_one=sum_to_one), sum_to_one)
    field, worth = search.replay(free.weights)
    free = max(free, _climb(cells.free(), field, sum_to_one), key=lambda p: p.log_likelihood)
    delta_ll = field.log_likelihood - free.log_likelihood
    drops: tuple[float, ...] = ()
    intervals: tuple[Interval, ...] = ()
    lead: float | None = None
    if worth and interval and delta_ll >= _WORTH_AN_INTERVAL:
        drops = tuple(field.log_likelihood - search.without(field, j) for j in range(len(parents)))
        if min(delta_ll, *drops) >= _WORTH_A_LATTICE:
            lead = search.lattice_lead(field)
            better, intervals = search.intervals(field, rows)
            gained = better.log_likelihood - field.log_likelihood
            field, drops, lead = better, tuple(d + gained for d in drops), lead + gained
    return _assemble(field, free, intervals, drops, lead, c, sum_to_one)


def gain_over_pairs(
    parents: Floats, c: Floats, low: Floats, high: Floats, *, dtype: DType
) -> tuple[Floats, float]:
    """G's weights [K] for all parents, and its lead over the best pair whose weights sum to one.

    A cheap question to ask first: where a pair explains as much, the pair's own test is the one to read.
    """
    cells = make_cells(parents, c, low, high, dtype, True).free()
    best, _ = _fit_free(cells)
    pairs = combinations(range(len(parents)), 2)
    return best.weights, best.log_likelihood - max(_pair(cells, pair) for pair in pairs)


def _pair(cells: Cells, pair: tuple[int, int]) -> float:
    two = replace(cells, parents=np.ascontiguousarray(cells.parents[list(pair)]))
    space = Space.of(two.parents, sum_to_one=True)
    peaks = free_peaks(two, space, [], sum_to_one=True)
    return max(p.log_likelihood for p in peaks.values())


def _fit_free(cells: Cells) -> tuple[WeightPeak, bool]:
    """G's best weights, and whether they sum to one."""
    found = []
    for sum_to_one in (True, False):
        space = Space.of(cells.parents, sum_to_one=sum_to_one)
        peaks = free_peaks(cells, space, [], sum_to_one=sum_to_one)
        found.append(max(peaks.values(), key=lambda p: p.log_likelihood))
    tied, loose = found
    two = len(cells.parents) == 2
    if two or loose.log_likelihood - tied.log_likelihood >= _WORTH_A_SUM:
        return loose, False
    return tied, True


def _climb(cells: Cells, field: Field, sum_to_one: bool) -> WeightPeak:
    """G from where R puts the suspect, so that R never wins for want of search."""
    first = field.centre[: len(cells.parents) - 1]
    total = 1.0 if sum_to_one else float(field.centre[-1])
    space = Space.of(cells.parents, sum_to_one=sum_to_one)
    start = np.append(first, total - first.sum())
    peaks = free_peaks(cells, space, [start], sum_to_one=sum_to_one)
    return max(peaks.values(), key=lambda p: p.log_likelihood)


@dataclass(frozen=True, slots=True)
class _Search:
    """R over the weights of drifting cells."""

    cells: Cells
    space: Space
    sum_to_one: bool

    def replay(self, start: Floats) -> tuple[Field, bool]:
        """The best replay near ``start``; False where the parents' own grids are as likely."""
        coarse = coarse_weights(self.cells, self.space, start)
        near = best_weights(self.cells, self.space, coarse.weights, start)
        best = Field.around(self.cells, STUDENT_T2, near.weights, guess=near.scale)
        if best.scale > 0.0:
            second = gaussian_near(self.cells, self.space, near)
            other = Field.around(self.cells, GAUSSIAN, second.weights, guess=second.scale)
            best = max(best, other, key=lambda f: f.log_likelihood)
        ends = [Field.around(self.cells, f, w) for f in FAMILIES for w in np.eye(start.size)]
        own = max(ends, key=lambda f: f.log_likelihood)
        if best.log_likelihood - own.log_likelihood < _WORTH_SEARCHING:
            return max(own, best, key=lambda f: f.log_likelihood), False
        return best, True

    def without(self, field: Field, parent: int) -> float:
        """Log-likelihood of the best replay without ``parent``, its drift still free."""
        ends = np.delete(np.eye(field.weights.size), parent, axis=0)
        space = Space.of(self.cells.parents, sum_to_one=self.sum_to_one, without=parent)
        start = self._project(field.weights, parent)
        near = coarse_weights(self.cells, space, start)
        tried = np.vstack([ends, near.weights])
        found = max(float(profile_at(self.cells, tried, f)[0].max()) for f in FAMILIES)
        if field.log_likelihood - found > _PAST_DOUBT:
            return found
        first = best_weights(self.cells, space, near.weights, start)
        if first.scale > 0.0:
            found = max(found, gaussian_near(self.cells, space, first).log_likelihood)
        return max(found, first.log_likelihood)

    def lattice_lead(self, field: Field) -> float:
        """Lead over the best blend that is rounded towards a parent, or to a neighbour by lot."""
        ways = [np.sign(_apart(self.cells.parents, field.weights, j)) for j in range(field.weights.size)]
        # The lots depend on nothing: the same elements give the same lead.
        lots = np.random.Generator(np.random.Philox(key=20260601)).random((2, self.cells.n)) - 0.5
        found = []
        for offsets in (*(0.499 * way for way in ways), *lots):
            other = replace(self.cells, offsets=np.ascontiguousarray(offsets))
            found.append((coarse_weights(other, self.space, field.weights), other))
        near, other = max(found, key=lambda item: item[0].log_likelihood)
        reached = best_weights(other, self.space, near.weights, field.weights)
        own = Field.around(self.cells, STUDENT_T2, field.weights, guess=field.scale)
        return own.log_likelihood - reached.log_likelihood

    def _project(self, weights: Floats, parent: int) -> Floats:
        """The nearest weights without ``parent``, as the parents' differences measure nearness."""
        move = self.space.along_weight(parent)
        if move is None:
            return weights
        projected = weights - weights[parent] * move
        projected[parent] = 0.0
        return np.asarray(projected, dtype=np.float64)

    def intervals(self, field: Field, rows: NDArray[np.int32] | None) -> tuple[Field, tuple[Interval, ...]]:
        """A better replay where sampling met one, and the weights' intervals under scales by row."""
        if field.scale == 0.0:
            return field, ()
        scaled = field if rows is None else _scaled_by_row(field, rows)
        low, high, drawn = weight_intervals(scaled, self.space.axes(), level=_LEVEL)
        unscaled = replace(self.cells, order=drawn.cells.order)
        met = Field.around(unscaled, field.family, drawn.weights, guess=field.scale)
        best = max(field, met, key=lambda f: f.log_likelihood)
        return best, tuple(
            Interval(float(w), float(min(a, w)), float(max(b, w)), _LEVEL)
            for w, a, b in zip(best.weights, low, high, strict=True)
        )


def _scaled_by_row(field: Field, rows: NDArray[np.int32]) -> Field:
    cells = field.cells
    lo, hi, r = (np.empty(cells.n) for _ in range(3))
    predict(*cells.summed(field.weights), cells.code, cells.single, r)
    if cells.drift is not None:
        r += (field.centre - cells.places(field.weights[None, :])[0]) @ cells.drift
    residual_cells(cells.low, cells.high, cells.relative, r, lo, hi)
    each, _ = row_scales(
        lo,
        hi,
        rows,
        family=field.family,
        scale=field.scale,
        pseudo_observations=_PSEUDO_OBSERVATIONS,
    )
    return Field.around(cells.scaled(each), field.family, field.weights, guess=field.scale)


def _assemble(
    field: Field,
    free: WeightPeak,
    intervals: tuple[Interval, ...],
    drops: tuple[float, ...],
    lattice_lead: float | None,
    c: Floats,
    sum_to_one: bool,
) -> ManyComparison:
    cells, weights = field.cells, field.weights
    r = np.empty(cells.n)
    predict(*cells.summed(weights), cells.code, cells.single, r)
    drift = field.centre - cells.places(weights[None, :])[0]
    return ManyComparison(
        weights=_plain(weights),
        intervals=intervals,
        sum_to_one=sum_to_one,
        family=FAMILIES[field.family],
        scale=field.scale,
        log_likelihood=field.log_likelihood,
        free_weights=_plain(free.weights),
        free_scale=free.scale,
        free_log_likelihood=free.log_likelihood,
        delta_ll=field.log_likelihood - free.log_likelihood,
        drops=drops,
        drift=_plain(drift),
        correlations=tuple(
            _correlation(c - r, _apart(cells.parents, weights, j)) for j in range(weights.size)
        ),
        off_replay=int(np.count_nonzero((r < cells.low) | (r > cells.high))),
        order=cells.order or tuple(range(weights.size)),
        lattice_lead=lattice_lead,
    )


def _apart(parents: Floats, weights: Floats, j: int) -> Floats:
    """Parent ``j`` less the blend of the others, in their own proportions."""
    others = np.delete(weights, j)
    total = float(others.sum())
    shares = others / total if abs(total) > 1e-6 else np.full(others.size, 1.0 / others.size)
    return np.asarray(parents[j] - shares @ np.delete(parents, j, axis=0), dtype=np.float64)


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(float(x) for x in values)


def _correlation(x: Floats, y: Floats) -> float | None:
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt(np.dot(x, x) * np.dot(y, y)))
    return float(np.dot(x, y)) / size if size > 0.0 else None
