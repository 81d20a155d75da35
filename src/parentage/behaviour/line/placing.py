"""The place on a line whose next tokens are nearest, with its interval: arithmetic on divergences alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.interview import LineOffset

__all__ = ["BEYOND", "WEIGHTS", "Place", "closest", "judged", "place"]

# Weights of the first parent. Finer steps differ by less than 48 beginnings tell.
WEIGHTS = tuple(k / 20 for k in range(21))
# The same and as far beyond both ends as another runtime was seen to move a parent.
BEYOND = tuple(k / 20 for k in range(-6, 27))
RESAMPLES = 2_000
LEAST_WIDTH = 1e-5
# Of what divides the parents. Merges of two small bases' children left at most .0004 of it where
# transformers ran them; trained on for 20 steps .015 in one of twelve, else .030 or more
# (scripts/cases/line_coverage.py, bases 0 and 1; 2 and 3 were not looked at before).
MOST_OFF = 0.005
# Times what divides blends next to each other, or is left of a parent that was asked as the suspect.
MOST_BESIDE = 2.0


@dataclass(frozen=True, slots=True)
class Place:
    """``weight`` of least mean divergence with its interval, and the ``divergence`` that is left there: the
    least value of the parabola through the nearest point and its neighbours, nats, not below 0."""

    weight: Estimate
    divergence: float


def place(divergences: NDArray[np.float64], weights: Sequence[float] = WEIGHTS) -> Place:
    """The weight of least mean divergence; its interval from resampling the beginnings (percentile, 95 %).

    ``divergences``: one row a weight of ``weights``, which rise evenly, one column a beginning, nats. The
    interval is never narrower than one step of the weights to each side, nor beyond their ends.
    """
    rng = np.random.default_rng(0)
    columns = divergences.shape[1]
    drawn = rng.integers(0, columns, (RESAMPLES, columns))
    # Sums over how often each beginning was drawn, in place of an array of all that was drawn.
    counts = np.array([np.bincount(row, minlength=columns) for row in drawn])
    best = [_least(curve, weights)[0] for curve in counts @ divergences.T / columns]
    own, left = _least(divergences.mean(axis=1), weights)
    step = weights[1] - weights[0]
    low, high = (float(v) for v in np.quantile(best, (0.025, 0.975)))
    low, high = max(weights[0], min(low, own - step)), min(weights[-1], max(high, own + step))
    return Place(Estimate(own, low, high), left)


def closest(divergences: NDArray[np.float64], weights: Sequence[float] = WEIGHTS) -> Estimate:
    """As :func:`place`, the weight alone."""
    return place(divergences, weights).weight


def _least(curve: NDArray[np.float64], weights: Sequence[float]) -> tuple[float, float]:
    """Place and value of the minimum of the parabola through the least point and its neighbours."""
    k = int(np.argmin(curve))
    if k in (0, len(weights) - 1):
        return weights[k], float(curve[k])
    before, at, after = (float(v) for v in curve[k - 1 : k + 2])
    bend = before - 2 * at + after
    shift = 0.0 if bend <= 0 else 0.5 * (before - after) / bend
    return weights[k] + shift * (weights[1] - weights[0]), max(0.0, at - 0.5 * bend * shift * shift)


def judged(
    found: Place, width: float, floor: float, offsets: Sequence[LineOffset], *, alike: bool
) -> Estimate | Absent:
    """The weight, or why none is told.

    ``width``: how far apart the parents are, ``floor``: the nearest blend and the one beside it, nats;
    ``offsets``: both parents, where they were asked as the suspect was; ``alike``: the line was stored and
    run as the suspect. Where a parent's interval does not hold its own weight, the suspect's is widened by
    as much as the parent is beside it.
    """
    if width < LEAST_WIDTH:
        return Absent("the two parents say nearly the same next")
    if not alike and len(offsets) < 2:
        return Absent(
            "the suspect was not run as the blends are, and how far that moves next tokens is known only "
            "where both parents were asked as it was (--panel, --line-served)"
        )
    allowed = max(MOST_OFF * width, MOST_BESIDE * max([floor, *(o.divergence for o in offsets)]))
    if found.divergence > allowed:
        return Absent(
            f"the suspect is off the line: at the nearest blend {found.divergence / width:.1%} is left of "
            f"what divides the parents, so that it is no merge of these two alone, was changed afterwards, "
            f"or was stored in another way"
        )
    return _widened(found.weight, max((_beside(o) for o in offsets), default=0.0))


def _beside(offset: LineOffset) -> float:
    """How far from its own weight a parent was found; 0 where its interval holds it."""
    found = offset.found
    return 0.0 if found.low <= offset.weight <= found.high else abs(found.estimate - offset.weight)


def _widened(weight: Estimate, by: float) -> Estimate:
    return Estimate(weight.estimate, weight.low - by, weight.high + by, weight.level)
