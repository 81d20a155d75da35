"""What least squares says of a bfloat16 merge that something was done to: how far training would show.

A change that is independent of A - B adds to the size of C - B, so the cosine falls; the weight moves
only where the change is large enough to dither the rounding.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from parentage.numerics.likelihoods.profile import predict, rounding_code
from parentage.numerics.published.rounding_bias import (
    GAUSSIAN,
    Moments,
    Pairs,
    Rule,
    expected_moments,
    stored_grid,
    windows,
)
from parentage.records.dtypes import DType

__all__ = ["moments_after_change", "moments_after_steps", "moments_changed_before_storing"]

Floats = NDArray[np.float64]
# Equal shares of the Gaussian, one draw from each: against 64 the figures move by less than 2e-4.
_SHARES: Final = 12
_GOLDEN: Final = (math.sqrt(5) - 1) / 2


def moments_after_change(pairs: Pairs, rule: Rule, size: float) -> Moments:
    """The merge was stored, then every element changed by a Gaussian of standard deviation ``size``
    (independent of everything, > 0) and the result stored: C = round(rule(A, B) + ε)."""
    merged = rule(pairs.tuned, pairs.base)
    stored, which = np.unique(merged, return_inverse=True)
    shift, square = _restored(stored, size)
    moved = merged - pairs.base
    shifted = moved + shift[which]
    return _assemble(pairs, shifted, moved * (moved + 2 * shift[which]) + square[which])


def _restored(stored: Floats, size: float) -> tuple[Floats, Floats]:
    """First and second moment of round(c + ε) - c for each stored c ``[n]``."""
    most = float(np.max(np.abs(stored)))
    values, low, high = stored_grid(size, most + GAUSSIAN.reach * size)
    reach = GAUSSIAN.reach * size
    row, column = windows(stored - reach, stored + reach, low, high)
    start = stored[row]
    share = special.ndtr((high[column] - start) / size) - special.ndtr((low[column] - start) / size)
    step = values[column] - start
    first = np.bincount(row, share * step, stored.size).astype(np.float64)
    return first, np.bincount(row, share * step * step, stored.size).astype(np.float64)


def moments_after_steps(pairs: Pairs, rule: Rule, share: float) -> Moments:
    """The merge was stored, then a ``share`` of all elements moved by one grid step, up or down."""
    merged = rule(pairs.tuned, pairs.base)
    moved = merged - pairs.base
    with np.errstate(divide="ignore"):
        exponent = np.floor(np.log2(np.abs(merged)))
    step = np.where(merged == 0, 0.0, 2.0 ** (exponent - 7))
    return _assemble(pairs, moved, moved * moved + share * step * step)


def moments_changed_before_storing(pairs: Pairs, alpha: float, size: float) -> Moments:
    """The merge was changed before it was first stored: C = round(αA + (1-α)B + ε).

    The rounding is dithered: from ε of a third of a step on, the bias of α is gone.
    """
    blend = alpha * pairs.tuned + (1 - alpha) * pairs.base
    moved, square = np.zeros(blend.size), np.zeros(blend.size)
    out = np.empty(blend.size)
    # Each pair its own place within the shares: common places alias with the grid (errors of 5e-3).
    place = np.arange(1, blend.size + 1) * _GOLDEN % 1.0
    for k, sign in product(range(_SHARES // 2), (1, -1)):
        change = sign * size * special.ndtri((k + place) / _SHARES)
        predict((blend + change)[None, :], np.ones(1), rounding_code(DType.BF16), False, out)
        moved += (out - pairs.base) / _SHARES
        square += (out - pairs.base) ** 2 / _SHARES
    return _assemble(pairs, moved, square)


def _assemble(pairs: Pairs, moved: Floats, square: Floats) -> Moments:
    plain = expected_moments(pairs, lambda a, b: b + moved)
    return Moments(plain.delta_squared, plain.delta_moved, float(np.sum(pairs.probability * square)))
