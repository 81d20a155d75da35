"""Maxima and likelihood intervals of a profile along a line of weights.

A replay's profile is piecewise constant with isolated points (at α = ½ up to half of the elements
are exact ties), so it is searched by grids that zoom and that try the simple numbers recipes use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.likelihoods.profile import Cells, profile_at
from parentage.numerics.likelihoods.tails import STUDENT_T2

__all__ = [
    "DRIFT_ELEMENTS",
    "Line",
    "Peak",
    "coarse_starts",
    "likelihood_interval",
    "peak_of",
    "points",
    "reach_of",
    "simple_numbers",
]

Floats = NDArray[np.float64]

# Enough for a coarse funnel: at 0.1 % deltas 2,048 elements still put the maximum within a step.
_COARSE_ELEMENTS: Final = 2048
_COARSE_STEP: Final = 0.0125
_COARSE_LOW, _COARSE_HIGH = -0.5, 1.5
# With a drift: how far it may carry the suspect, and how many weights are tried within that.
DRIFT_ELEMENTS: Final = 4096
_DRIFT_REACH: Final = 0.3
_DRIFT_POINTS: Final = 400
_STARTS: Final = 3
_POINTS: Final = 17
_SHRINK: Final = 6.0
# Where the scale is this small beside a cell, parabolas miss the maximum (measured: by up to 39).
_CONE: Final = 0.05
# Luck among the tens of simple numbers within reach explains a lead of a few units.
_ISOLATED_LEAD: Final = 6.0
_FINEST: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Line:
    """Weights ``origin + t · direction``, each float64 ``[K]``."""

    origin: Floats
    direction: Floats
    recipe: bool = False
    """Positions are weights as recipes write them, so simple numbers are worth a try."""

    def at(self, t: Floats) -> Floats:
        """Weights ``[G, K]`` at each ``t`` ``[G]``."""
        return self.origin[None, :] + t[:, None] * self.direction[None, :]

    @staticmethod
    def of(parents: int) -> Line:
        """Two parents: α and 1-α. One parent: its weight."""
        if parents == 1:
            return Line(np.zeros(1), np.ones(1), True)
        return Line(np.array([0.0, 1.0]), np.array([1.0, -1.0]), True)

    def smooth(self) -> Line:
        """The same line without a try at simple numbers."""
        return Line(self.origin, self.direction)


@dataclass(frozen=True, slots=True)
class Peak:
    """Best point found: position on the line, profile log-likelihood, scale, evaluations spent."""

    position: float
    log_likelihood: float
    scale: float
    evaluations: int


def simple_numbers(low: float, high: float) -> Floats:
    """Multiples of 1/64, 1/100 and 1/3 in ``[low, high]``: where replays have isolated points."""
    found: list[float] = []
    for denominator in (64, 100, 3, 7):
        first, last = math.ceil(low * denominator), math.floor(high * denominator)
        found.extend(k / denominator for k in range(first, last + 1))
    return np.unique(np.array(found, dtype=np.float64))


def spacing(cells: Cells, line: Line) -> float:
    """Mean distance between the replay's break points: the finest step worth taking."""
    slope = np.abs(line.direction @ cells.parents)
    width = cells.high - cells.low
    crossings = float(np.sum(np.minimum(slope / np.maximum(width, 1e-300), 1e6)))
    return 1.0 / max(crossings, 1.0)


def points(cells: Cells, line: Line, positions: list[float], *, family: int = STUDENT_T2) -> list[Peak]:
    """The profile at each position: further starts for :func:`peak_of`."""
    values, scales, _ = profile_at(cells, line.at(np.array(positions)), family)
    return [Peak(x, float(v), float(s), 1) for x, v, s in zip(positions, values, scales, strict=True)]


def coarse_starts(cells: Cells, line: Line) -> list[Peak]:
    """Separate local maxima of a t₂ profile over [-0.5, 1.5] on a strided sample, best first."""
    if cells.drift is None:
        sample = cells.every(max(1, cells.n // _COARSE_ELEMENTS))
        # The free profile is smooth: a quarter of the points find its maximum as well.
        step = _COARSE_STEP if cells.code else 4.0 * _COARSE_STEP
        grid = np.linspace(_COARSE_LOW, _COARSE_HIGH, round((_COARSE_HIGH - _COARSE_LOW) / step) + 1)
    else:
        sample = cells.every(max(1, cells.n // DRIFT_ELEMENTS))
        grid = _around_drift(sample, line)
    values, scales, spent = profile_at(sample, line.at(grid), STUDENT_T2)
    padded = np.concatenate([[-np.inf], values, [-np.inf]])
    tops = np.flatnonzero((values >= padded[:-2]) & (values >= padded[2:]))
    tops = tops[np.argsort(-values[tops], kind="stable")][:_STARTS]
    cost = spent * sample.n // max(cells.n, 1)
    return [Peak(float(grid[k]), float(values[k]), float(scales[k]), cost) for k in tops]


def _around_drift(cells: Cells, line: Line) -> Floats:
    """A drift takes the funnel away: what is left is a spike as wide as a grid step over the parents'
    difference, so the steps must be as fine, and the simple numbers are tried themselves."""
    assert cells.centre is not None
    slope = np.abs(line.direction @ cells.parents)
    moves = slope > 0.0
    wide = np.median((cells.high - cells.low)[moves] / slope[moves]) if moves.any() else _COARSE_STEP
    step = float(np.clip(wide / 4.0, 2.0 * _DRIFT_REACH / _DRIFT_POINTS, _COARSE_STEP))
    centre = float(cells.centre[0])
    low, high = centre - _DRIFT_REACH, centre + _DRIFT_REACH
    return np.union1d(np.arange(low, high, step), simple_numbers(low, high))


def peak_of(
    cells: Cells, line: Line, family: int, starts: list[Peak], *, half: float = _COARSE_STEP
) -> Peak:
    """The best maximum near ``starts``, within about ``half`` of one of them."""
    if cells.code:
        return _zoom(cells, line, family, starts, half)
    found = [_smooth(cells, line, family, start, half) for start in starts]
    best = max(found, key=lambda p: p.log_likelihood)
    spent = sum(p.evaluations for p in found)
    if best.scale < _CONE * float(np.median(cells.high - cells.low)):
        # A change far under the cells: the profile is a cone around the feasible set.
        best = _zoom(cells, line, family, [best], half)
    return Peak(best.position, best.log_likelihood, best.scale, spent + best.evaluations)


def _zoom(cells: Cells, line: Line, family: int, starts: list[Peak], half: float) -> Peak:
    """Zoom into each start and keep the best; ``half`` is the first half-width searched."""
    finest = max(_FINEST, 0.25 * spacing(cells, line))
    best = Peak(starts[0].position, -np.inf, starts[0].scale, 0)
    spent = 0
    survivors = starts
    while half > finest or (math.isinf(best.log_likelihood) and half > _FINEST):
        found: list[Peak] = []
        for start in survivors:
            peak = _scan(cells, line, family, start, half)
            spent += peak.evaluations
            found.append(peak)
            if peak.log_likelihood > best.log_likelihood:
                best = peak
        if best.scale == 0.0:
            break
        found.sort(key=lambda p: -p.log_likelihood)
        survivors = [p for p in found if p.log_likelihood > found[0].log_likelihood - 30.0][:2]
        half /= _SHRINK
        if half < 1e-3:
            survivors = survivors[:1]
    return Peak(best.position, best.log_likelihood, best.scale, spent)


def reach_of(cells: Cells, line: Line, family: int, peak: Peak, *, drop: float) -> float:
    """Distance from the maximum at which the profile has fallen by ``drop``, to a factor of 2."""
    step = 4.0 * spacing(cells, line)
    while step < 1.0:
        both = np.array([peak.position - step, peak.position + step])
        values, _, _ = profile_at(cells, line.at(both), family, guess=peak.scale)
        if values.max() < peak.log_likelihood - drop:
            return step
        step *= 2.0
    return step


def _scan(cells: Cells, line: Line, family: int, start: Peak, half: float) -> Peak:
    centre = start.position
    grid = np.linspace(centre - half, centre + half, _POINTS)
    if cells.code and line.recipe and half < 0.02:
        grid = np.union1d(grid, simple_numbers(centre - half, centre + half))
    values, scales, spent = profile_at(cells, line.at(grid), family, guess=start.scale)
    top = float(values.max())
    # Within a run of equal best values take its middle: a piecewise constant maximum.
    run = np.flatnonzero(values == top)
    k = int(run[run.size // 2])
    return Peak(float(grid[k]), top, float(scales[k]), spent)


def _smooth(cells: Cells, line: Line, family: int, start: Peak, half: float) -> Peak:
    """Maximum of a free (smooth) profile: successive parabolas through three points."""
    spent = 0

    def at(points: list[float]) -> tuple[Floats, Floats]:
        nonlocal spent
        values, scales, used = profile_at(cells, line.at(np.array(points)), family, guess=start.scale)
        spent += used
        return values, scales

    x, step = start.position, half
    values, scales = at([x - step, x, x + step])
    for _ in range(40):
        k = int(np.argmax(values))
        if k != 1:
            x += (k - 1) * step
            step *= 1.5
            values, scales = at([x - step, x, x + step])
            continue
        bend = values[0] - 2.0 * values[1] + values[2]
        shift = 0.5 * (values[0] - values[2]) / bend if bend < 0.0 else 0.0
        predicted = -0.5 * bend * shift * shift
        if step < 1e-9 or (predicted < 1e-4 and -bend < 2.0):
            break
        x += shift * step
        # A step at which the log-likelihood falls by about 1 keeps the parabola honest.
        step *= min(0.3, max(0.02, 1.0 / math.sqrt(max(-bend, 1e-12))))
        values, scales = at([x - step, x, x + step])
    k = int(np.argmax(values))
    return Peak(x + (k - 1) * step, float(values[k]), float(scales[k]), spent)


def likelihood_interval(
    cells: Cells, line: Line, family: int, peak: Peak, *, drop: float
) -> tuple[float, float, float]:
    """Estimate, low and high: all positions on ``line`` within ``drop`` of the maximum, filled in.

    An isolated maximum (a simple number at which many elements are exact ties) stands alone only
    where it leads every other position by ``_ISOLATED_LEAD``; otherwise theirs is joined to it.
    """
    top, low, high = _hull(cells, line, family, peak, drop)
    finest = _finest(cells, line)
    if cells.code and line.recipe and top.scale > 0.0 and high - low < 4.0 * finest:
        reach = reach_of(cells, line, family, top, drop=_ISOLATED_LEAD + drop)
        beside = Peak(top.position + 0.37 * finest, top.log_likelihood, top.scale, 0)
        rival = peak_of(cells, line.smooth(), family, [beside], half=2.0 * reach)
        if top.log_likelihood - rival.log_likelihood < _ISOLATED_LEAD:
            _, other_low, other_high = _hull(cells, line.smooth(), family, rival, drop)
            low, high = min(low, other_low), max(high, other_high)
    blur = _blur(cells, line)
    return top.position, low - blur, high + blur


def _hull(cells: Cells, line: Line, family: int, peak: Peak, drop: float) -> tuple[Peak, float, float]:
    low = high = peak.position
    for _ in range(3):
        left = _edge(cells, line, family, peak, drop, -1.0)
        right = _edge(cells, line, family, peak, drop, 1.0)
        low, high = left[0], right[0]
        better = max((peak, left[1], right[1]), key=lambda p: p.log_likelihood)
        if better.position == peak.position:
            break
        # A better maximum met on the way out raises the floor: measure from there.
        peak = better
    return peak, min(low, peak.position), max(high, peak.position)


def _finest(cells: Cells, line: Line) -> float:
    return max(_FINEST, 0.1 * spacing(cells, line)) if cells.code else _FINEST


def _blur(cells: Cells, line: Line) -> float:
    """How far float32 arithmetic moves an element's break point: which order summed is unknown."""
    if not cells.single:
        return 0.0
    slope = np.abs(line.direction @ cells.parents)
    moves = slope > 0.0
    if not moves.any():
        return 0.0
    size = np.abs(cells.low + cells.high)[moves]
    return float(np.median(size / slope[moves])) * 2.0**-24


def _edge(
    cells: Cells, line: Line, family: int, peak: Peak, drop: float, side: float
) -> tuple[float, Peak]:
    """Walk out in growing steps until well below the floor, then zoom on the last point above."""
    best = peak
    finest = _finest(cells, line)
    step, inside = finest, 0.0
    floor = peak.log_likelihood - drop
    while step < 4.0:
        grid = np.array([1.0, 1.7]) * step
        values, scales, _ = profile_at(
            cells, line.at(peak.position + side * grid), family, guess=best.scale
        )
        k = int(np.argmax(values))
        if values[k] > best.log_likelihood:
            best = Peak(peak.position + side * float(grid[k]), float(values[k]), float(scales[k]), 0)
            floor = best.log_likelihood - drop
        above = np.flatnonzero(values >= floor)
        if above.size:
            inside = float(grid[above[-1]])
        # Three times the drop below: no noise of a few break points climbs back from there.
        if values.max() < floor - 2.0 * drop:
            break
        step *= 3.0
    outer = float(grid[-1])
    for _ in range(3):
        if outer - inside <= max(finest, 0.03 * outer):
            break
        grid = np.linspace(inside, outer, 7)[1:-1]
        values, _, _ = profile_at(cells, line.at(peak.position + side * grid), family, guess=best.scale)
        above = np.flatnonzero(values >= floor)
        if above.size:
            k = int(above[-1])
            inside, outer = float(grid[k]), float(grid[k + 1]) if k + 1 < grid.size else outer
        else:
            outer = float(grid[0])
    return peak.position + side * 0.5 * (inside + outer), best
