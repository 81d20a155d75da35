"""What decides which elements of a task vector stayed: their size, their rank in the row, or chance.

Only elements that tell are used (``participation``), so that what is looked at does not depend on the
outcome. Counts are exact where a cut explains every element; the rest is judged by binomial intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.shares.intervals_binomial import clopper_pearson

__all__ = ["Kept", "Spread", "Window", "by_rank", "by_size", "likely", "rank_in_row"]

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]
# Each tail of a comparison of two shares: one in a thousand tensors strays by chance.
LEVEL: Final = 0.999
QUANTILE: Final = 3.2905
# Elements from which a rate and a slope are estimated at least, and bounds of a rate on the way there.
LEAST: Final = 50
EDGE: Final = 1e-3
STEPS: Final = 40


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of one task vector: its magnitudes ``size`` [n], and which are known to be ``kept`` or
    ``dropped`` [n]; of the others nothing is known. ``chosen`` [n]: elements that tell whatever the
    outcome (the others told by theirs)."""

    size: Floats
    kept: Masks
    dropped: Masks
    chosen: Masks


@dataclass(frozen=True, slots=True)
class Window:
    """Elements that stayed lie between two places of the ascending order of magnitudes.

    ``first``: bounds of the first one's place, ``last``: of the place after the last; of ``elements``.
    """

    first: tuple[int, int]
    last: tuple[int, int]
    elements: int

    @property
    def open_above(self) -> bool:
        """May the largest elements have stayed?"""
        return self.last[1] >= self.elements

    @property
    def whole(self) -> bool:
        """May all have stayed?"""
        return self.first[0] <= 0 and self.open_above


def by_size(found: Kept) -> Window | None:
    """The window of magnitudes that what is known allows; None where some element contradicts every one."""
    if not found.kept.any():
        return None
    sizes = np.sort(found.size)
    least, most = float(found.size[found.kept].min()), float(found.size[found.kept].max())
    lost = found.size[found.dropped]
    if ((lost > least) & (lost < most)).any():
        return None
    # Of several elements of a border's own magnitude, which ones stay is a sort's choice.
    below, above = lost[lost <= least], lost[lost >= most]
    if least == most:
        below, above = lost[lost < least], lost[lost > most]
    n = sizes.size
    first_low = int(np.searchsorted(sizes, below.max(), "left")) + 1 if below.size else 0
    first_high = int(np.searchsorted(sizes, least, "right")) - 1
    last_low = int(np.searchsorted(sizes, most, "left")) + 1
    last_high = int(np.searchsorted(sizes, above.min(), "right")) - 1 if above.size else n
    return Window((min(first_low, first_high), first_high), (last_low, max(last_low, last_high)), n)


def likely(found: Kept, window: Window) -> Window:
    """The same with places inside of a border's equals by the share of them that stayed."""
    return Window(
        _inside(found, window.first, lower=True), _inside(found, window.last, lower=False), window.elements
    )


def _inside(found: Kept, place: tuple[int, int], *, lower: bool) -> tuple[int, int]:
    """A border that falls among equals: those of them that tell whatever the outcome are a sample."""
    sizes = np.sort(found.size)
    at = min(max(place[1] if lower else place[0] - 1, 0), sizes.size - 1)
    equal = found.size == sizes[at]
    known = equal & found.chosen & (found.kept | found.dropped)
    trials, number = int(np.count_nonzero(known)), int(np.count_nonzero(equal))
    if trials < LEAST or place[1] - place[0] < 2:
        return place
    low, high = clopper_pearson(int(np.count_nonzero(known & found.kept)), trials, level=LEVEL)
    first = int(np.searchsorted(sizes, sizes[at], "left"))
    if lower:
        ends = first + number - int(np.ceil(high * number)), first + number - int(low * number)
    else:
        ends = first + int(low * number), first + int(np.ceil(high * number))
    return max(place[0], ends[0]), max(min(place[1], ends[1]), place[0], ends[0])


@dataclass(frozen=True, slots=True)
class Spread:
    """A probability that is linear in the rank: ``density`` at its middle, ``epsilon`` half its range, each
    (estimate, low, high)."""

    density: tuple[float, float, float]
    epsilon: tuple[float, float, float]

    def at(self, ranks: Floats) -> Floats:
        """Probabilities of ranks from 0 to 1."""
        return np.asarray(np.clip(self.density[0] + self.epsilon[0] * (2 * ranks - 1), EDGE, 1 - EDGE))

    def bounds(self, ranks: Floats) -> tuple[Floats, Floats]:
        """Least and largest probabilities of ranks."""
        apart = 2 * ranks - 1
        (_, low, high), (_, least, most) = self.density, self.epsilon
        slope = np.stack([least * apart, most * apart])
        return np.clip(low + slope.min(axis=0), 0, 1), np.clip(high + slope.max(axis=0), 0, 1)


def by_rank(found: Kept, ranks: Floats) -> Spread | None:
    """Maximum likelihood of p = density + epsilon (2 rank - 1) over the chosen elements, by Fisher scoring,
    with bounds from the information; None where nothing tells, or what stays is not a matter of chance."""
    known = found.chosen & (found.kept | found.dropped)
    y, x = found.kept[known].astype(float), 2 * ranks[known] - 1
    if y.size < LEAST or y.min() == y.max() or np.ptp(x) == 0:
        return None
    design = np.stack([np.ones(x.size), x])
    values = np.array([y.mean(), 0.0])
    information = np.eye(2)
    for _ in range(STEPS):
        p = np.clip(values @ design, EDGE, 1 - EDGE)
        weight = 1 / (p * (1 - p))
        information = (design * weight) @ design.T
        step = np.linalg.solve(information, (design * weight) @ (y - p))
        values = values + step
        if np.abs(step).max() < 1e-10:
            break
    half = QUANTILE * np.sqrt(np.diag(np.linalg.inv(information)))
    ends = [(float(v), float(v - h), float(v + h)) for v, h in zip(values, half, strict=True)]
    return Spread(ends[0], ends[1])


def rank_in_row(size: Floats, row: int) -> Floats:
    """Rank [n] of each magnitude within its row of ``row`` elements, from 0 to 1; equals share theirs."""
    rows = size.reshape(-1, row)
    if row < 2:
        return np.full(size.size, 0.5)
    ordered = np.sort(rows, axis=1)
    found = np.empty(rows.shape)
    for i in range(rows.shape[0]):
        left = np.searchsorted(ordered[i], rows[i], "left")
        right = np.searchsorted(ordered[i], rows[i], "right") - 1
        found[i] = (left + right) / 2
    return (found / (row - 1)).reshape(-1)
