"""What one α and one delta size a row predict of a table, under stated assumptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from published import POOLED, as_rows

from parentage.methods.linear import arithmetic
from parentage.numerics.published.rounding_bias import (
    GAUSSIAN,
    Moments,
    Origin,
    Pairs,
    Rule,
    Shape,
    centred,
    expected_moments,
    linear,
    stored_pairs,
    tailed,
)
from parentage.numerics.published.rounding_bias_fit import (
    Curve,
    Profile,
    Row,
    curve_of,
    fit_rows,
    mixed,
    profile,
)
from parentage.numerics.storage.formats import to_float64
from parentage.records.absence import Absent
from parentage.records.dtypes import DType

__all__ = [
    "MAIN",
    "POWERS",
    "SIZES",
    "World",
    "curve",
    "grid_around",
    "main_profiles",
    "number",
    "plain",
    "profile_of",
    "replayed_by",
    "tail_profiles",
    "turning_points",
]

Floats = NDArray[np.float64]
Measure = Callable[[Pairs, float], Moments]

# Relative deltas. A factor of 1.3 apart the curve's spline errs by less than 1e-4 (a tenth of a digit).
SIZES: Floats = np.geomspace(0.003, 0.1, 14)
# Mixtures reach beyond the sizes that they are centred on.
WIDE_SIZES: Floats = np.geomspace(0.0007, 0.5, 26)
# Any spread would do: only its place within a binade matters, and "spread" below varies that.
SPREAD = 0.02


def plain(pairs: Pairs, alpha: float) -> Moments:
    """A pure merge: one exact blend, one rounding."""
    return expected_moments(pairs, linear(alpha))


# Laws of the deltas, from heavy tails to light ones. On real weights one law alone held the planted weight
# in 167 of 240 tables, the best of these in 239 (section "real").
POWERS: Final = (0.7, 1.0, 1.5, 2.0, 3.0)
# Where no fit is near, a look is enough.
FAR: Final = (0.5, 0.53, 0.55, 0.59, 0.6, 0.62, 0.65)


@dataclass(frozen=True, slots=True)
class World:
    """Assumptions: laws of weights and deltas, where A started, what was computed, how mixed a row is."""

    name: str = field(compare=False)
    weights: Shape = GAUSSIAN
    delta: Shape = GAUSSIAN
    origin: Origin = Origin.STORED
    spread: float = SPREAD
    measure: Measure = field(default=plain)
    log_spread: float = 0.0
    wide: bool = False


MAIN: Final = World("B as published, A tuned from it, Gaussian weights and deltas")


# Pairs of one law at all sizes: half a gigabyte at most. Loops go law by law.
@lru_cache(maxsize=32)
def _pairs(weights: Shape, delta: Shape, origin: Origin, spread: float, size: float) -> Pairs:
    return stored_pairs(weights=centred(weights, spread), delta=delta, size=spread * size, origin=origin)


@cache
def curve(world: World, alpha: float) -> Curve:
    """The figures of one weight by relative delta."""
    sizes = WIDE_SIZES if world.log_spread or world.wide else SIZES
    laws = (world.weights, world.delta, world.origin, world.spread)
    return curve_of(sizes, [world.measure(_pairs(*laws, float(s)), alpha) for s in sizes])


def profile_of(world: World, alphas: Sequence[float], rows: Sequence[Row]) -> Profile:
    """The table's fit under ``world`` at each weight."""
    found = [curve(world, alpha) for alpha in alphas]
    if not world.log_spread:
        return profile(np.array(alphas), found, rows)
    pooled = [r for r in rows if r.name in POOLED]
    single = [r for r in rows if r.name not in POOLED]
    means = [mixed(c, world.log_spread) for c in found]
    parts = zip(means, found, strict=True)
    misfits = [fit_rows(m, pooled).chi_squared + fit_rows(c, single).chi_squared for m, c in parts]
    return Profile(np.array(alphas), np.array(misfits), len(rows) - 1)


def replayed_by(name: str) -> Measure:
    """A merger's own arithmetic, as the instrument replays it, in place of one exact blend."""
    blend = arithmetic(name)

    def measure(pairs: Pairs, alpha: float) -> Moments:
        def rule(a: Floats, b: Floats) -> Floats:
            operands = [a.astype(np.float32), b.astype(np.float32)]
            bits = blend.apply([alpha, 1 - alpha], operands, out_dtype=DType.BF16)
            return to_float64(bits, DType.BF16)

        chosen: Rule = rule
        return expected_moments(pairs, chosen)

    return measure


def turning_points(low: float, high: float, steps: int) -> list[float]:
    """The weights (2j+1)/2k at which a delta of k <= ``steps`` grid steps turns to the next one."""
    found = {(2 * j + 1) / (2 * k) for k in range(1, steps + 1) for j in range(k)}
    return sorted(x for x in found if low < x < high)


def grid_around(low: float, high: float, step: float, steps: int) -> list[float]:
    """Multiples of ``step`` in ``low``..``high``, and both sides of every turning point."""
    hair = 1e-6
    count = round((high - low) / step)
    regular = {round(low + k * step, 9) for k in range(count + 1)}
    points = turning_points(low, high, steps)
    at = {x for x in regular if min((abs(x - p) for p in points), default=1.0) > hair / 2}
    return sorted(at | {p - hair for p in points} | {p + hair for p in points})


def tail_profiles(world: World, alphas: Sequence[float], rows: Sequence[Row]) -> list[Profile]:
    """The fit under deltas of each of ``POWERS``."""
    return [profile_of(replace(world, delta=tailed(p)), alphas, rows) for p in POWERS]


@cache
def main_profiles() -> tuple[Profile, ...]:
    """The published table under the main assumptions and each law of the deltas."""
    near = grid_around(0.558, 0.578, 0.002, 16)
    return tuple(tail_profiles(MAIN, sorted({*near, *FAR, 4 / 7}), as_rows()))


def number(value: float | Absent) -> str:
    """Four decimals, or why there are none."""
    return value.reason if isinstance(value, Absent) else f"{value:.4f}"
