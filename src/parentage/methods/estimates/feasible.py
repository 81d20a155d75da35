"""Ranges of coefficients and shares that every element that tells allows: what is exact about them.

Where an element tells which task vectors took part in it, its rounding cell is a constraint on what they
were multiplied by; the overlap of all of them holds the truth as long as the bounds on the merger's
roundings do, however coarse the grid. The errors are those of the operands, not of the cell: each rounding
between a task vector and its sum is a share of the task vector, the last one a share of the sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parentage.methods.estimates.participation import Outcomes, Parts, roundings
from parentage.methods.estimates.structures import Structure

__all__ = ["coefficient_range", "share_range"]

Floats = NDArray[np.float64]
Range = tuple[float, float]


def coefficient_range(parts: Parts, structure: Structure, found: Outcomes, j: int) -> Range | None:
    """What task vector ``j`` was multiplied by, by the elements in which it alone took part; None where
    there are none, or no number fits them all."""
    where = np.flatnonzero(found.told & (found.sets() == 1 << j) & (parts.deltas[j] != 0))
    own = parts.only(where)
    delta = own.deltas[j]
    reach = roundings(own, structure.lone[j] * delta, np.abs(structure.lone[j] * delta))
    return _overlap(delta, own.low - own.base - reach, own.high - own.base + reach)


def share_range(
    parts: Parts, structure: Structure, found: Outcomes, j: int, lone: tuple[Range, Range]
) -> Range | None:
    """The first parent's share beside parent ``j`` where the two are averaged, by the elements in which
    they alone took part; ``lone``: ranges of their coefficients. None where nothing fits."""
    pair = found.told & (found.sets() == (1 | 1 << j))
    own = parts.only(np.flatnonzero(pair))
    (first, off), (other, wide) = (_middle(r) for r in lone)
    a, b = first * own.deltas[0], other * own.deltas[j]
    assert structure.shares is not None
    share = structure.shares[0] / (structure.shares[0] + structure.shares[j])
    value = share * a + (1 - share) * b
    reach = roundings(own, value, np.abs(share * a) + np.abs((1 - share) * b))
    reach += np.abs(share * own.deltas[0]) * off + np.abs((1 - share) * own.deltas[j]) * wide
    at = own.base + b
    return _overlap(a - b, own.low - at - reach, own.high - at + reach)


def _middle(ends: Range) -> Range:
    return (ends[0] + ends[1]) / 2, (ends[1] - ends[0]) / 2


def _overlap(factor: Floats, low: Floats, high: Floats) -> Range | None:
    """The numbers x with low <= x factor <= high everywhere."""
    known = factor != 0
    if not known.any():
        return None
    first, second = low[known] / factor[known], high[known] / factor[known]
    least, most = float(np.minimum(first, second).max()), float(np.maximum(first, second).min())
    return (least, most) if least <= most else None
