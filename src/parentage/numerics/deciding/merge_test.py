"""The merge test: does the suspect sit on the storage grid of a blend of two parents?

R says that the blend was stored and then changed, G that it never was. A later change may drift along the
parents' difference under both: to G that drift is weight, to R a shift of all elements beside the weight.
``max ℓ_R - max ℓ_G`` then asks for the grid alone. A stored merge sits on the grid of its own replay; what
imitates one (an earlier checkpoint, an average over a run, a sibling) gains nothing from any grid but its
parents' own, at weights of 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.likelihoods.likelihood import Fit, fit_cells, make_cells
from parentage.numerics.likelihoods.profile import Cells, predict, rounding_code
from parentage.numerics.likelihoods.search import DRIFT_ELEMENTS, Line, Peak, coarse_starts, peak_of, points
from parentage.numerics.likelihoods.tails import STUDENT_T2
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import round_to
from parentage.records.dtypes import DType

__all__ = ["Comparison", "coarse_step", "compare"]

Floats = NDArray[np.float64]

# A coarse look at up to 4,096 elements whose best weight leads the parents' own grids by less than this is
# not followed further. Imitators lead by 0 to 2.5 there; a merge that would pass (10 on 8,192) by 5.
_WORTH_SEARCHING: Final = 2.5
# An interval for the weight is worth its cost where the grid is likelier than not by this much.
_WORTH_AN_INTERVAL: Final = 5.0
# Below this the test fails whatever other grids do.
_WORTH_A_LATTICE: Final = 8.0
# A change of this many coarse grid steps: what is left of the grid in a sum falls as exp(-2 pi^2 steps^2).
_BLURRED: Final = 4.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both likelihoods of one tensor, and what the merge test needs."""

    replay: Fit
    free: Fit
    delta_ll: float
    prediction: Floats
    """The replay at its optimum, without the drift, float64 ``[n]``."""
    drift: float
    """How far the later change moved the suspect along A - B, in weight."""
    residual_correlation: float | None
    """corr(C - r, A - B); None where either does not vary."""
    drop_at_zero: float
    drop_at_one: float
    """Lead over a change of the second, or the first, parent alone, its drift free."""
    off_replay: int
    lattice_lead: float | None
    """Lead of R over the best replay that takes another value of the same grid than the nearest; None
    where R does not lead G enough to ask."""


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
    lattice: bool = True,
    single: bool = True,
) -> Comparison:
    """R and G for two parents, and the test between them.

    All arrays float64 ``[n]``: parents, suspect, the suspect's rounding cells. ``dtype``: what the merge
    was stored in; ``rows``: group ids whose scales may differ (for the interval); ``lattice``: also ask
    whether other values of the grid do as well. Raises
    :class:`UsageError` on empty input or shapes that disagree.
    """
    parents = np.stack([a, b])
    cells = make_cells(parents, c, low, high, dtype, single)
    free = fit_cells(cells.free(), "free", None, True, interval=False, without=False)
    moving = cells.drifting(np.array(free.weights[:1]), sum_to_one=True)
    blurred = free.scale > _BLURRED * coarse_step(c, dtype)
    replay = _fit_unseen(moving, rows, free) if blurred else _fit_replay(moving, rows, interval=False)
    # G is also tried where R is best, so that R never wins for want of search.
    free = max(free, _fit_free(cells.free(), replay), key=lambda f: f.log_likelihood)
    delta_ll = replay.log_likelihood - free.log_likelihood
    if interval and delta_ll >= _WORTH_AN_INTERVAL:
        replay = _fit_replay(moving, rows, interval=True, around=replay)
    r = np.empty(c.size)
    predict(parents, np.array(replay.weights), rounding_code(dtype), single, r)
    return Comparison(
        replay=replay,
        free=free,
        delta_ll=delta_ll,
        prediction=r,
        drift=sum(replay.drift),
        residual_correlation=_correlation(c - r, a - b),
        drop_at_zero=replay.log_likelihood - replay.at_zero,
        drop_at_one=replay.log_likelihood - replay.at_one,
        off_replay=int(np.count_nonzero((r < low) | (r > high))),
        lattice_lead=_lattice_lead(moving, replay) if lattice and delta_ll >= _WORTH_A_LATTICE else None,
    )


def coarse_step(values: Floats, dtype: DType) -> float:
    """The 99th percentile of the grid steps of ``values`` stored in ``dtype``."""
    if dtype is DType.F64:
        return 0.0
    cells = rounding_cells(round_to(values, dtype), dtype)
    steps = (cells.high - cells.low)[np.isfinite(cells.low)]
    return float(np.quantile(steps, 0.99)) if steps.size else 0.0


def _fit_unseen(cells: Cells, rows: NDArray[np.int32] | None, free: Fit) -> Fit:
    """R where G is best: a change of several steps leaves no grid, so no weight is worth a search."""
    starts = points(cells, Line.of(2), [free.alpha])
    return fit_cells(cells, "replay", rows, True, interval=False, without=True, starts=starts, search=False)


def _lattice_lead(cells: Cells, replay: Fit) -> float:
    """Training in 16 bits walks on the grid without any blend: whole steps, often fewer than it should
    take. G cannot know of grids, so such a walk is tried on its own ground: blends rounded towards either
    parent, and to one of the two neighbours by lot. A stored blend beats them all, a walk does not.
    """
    line = Line.of(2)
    towards = np.sign(cells.parents[0] - cells.parents[1])
    # The lots depend on nothing: the same elements give the same lead.
    lots = np.random.Generator(np.random.Philox(key=20260601)).random((2, cells.n)) - 0.5
    tops = []
    for offsets in (0.499 * towards, -0.499 * towards, lots[0], lots[1]):
        other = replace(cells, offsets=np.ascontiguousarray(offsets))
        tops.append((coarse_starts(other, line)[0], other))
    best, other = max(tops, key=lambda item: item[0].log_likelihood)
    reached = peak_of(other, line.smooth(), STUDENT_T2, [best])
    ours = points(cells, line, [replay.alpha])[0]
    return ours.log_likelihood - reached.log_likelihood


def _fit_replay(
    cells: Cells, rows: NDArray[np.int32] | None, *, interval: bool, around: Fit | None = None
) -> Fit:
    line = Line.of(2)
    if around is not None:
        starts = [Peak(around.alpha, around.log_likelihood, around.scale, 0)]
        return fit_cells(
            cells, "replay", rows, True, interval=interval, without=True, starts=starts, search=False
        )
    starts, worth = _starts(cells, line)
    return fit_cells(
        cells, "replay", rows, True, interval=interval, without=True, starts=starts, search=worth
    )


def _starts(cells: Cells, line: Line) -> tuple[list[Peak], bool]:
    """Where to search, and whether any weight leads the parents' own grids enough to be worth it."""
    starts = coarse_starts(cells, line)
    sample = cells.every(max(1, cells.n // DRIFT_ELEMENTS))
    ends = max(p.log_likelihood for p in points(sample, line, [0.0, 1.0]))
    return starts, starts[0].log_likelihood - ends >= _WORTH_SEARCHING


def _fit_free(cells: Cells, replay: Fit) -> Fit:
    where = replay.alpha + sum(replay.drift)
    starts = points(cells, Line.of(2), [where])
    return fit_cells(cells, "free", None, True, interval=False, without=False, starts=starts)


def _correlation(x: Floats, y: Floats) -> float | None:
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt(np.dot(x, x) * np.dot(y, y)))
    return float(np.dot(x, y)) / size if size > 0.0 else None
