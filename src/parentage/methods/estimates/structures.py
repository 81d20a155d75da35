"""How thinned task vectors were put together in one tensor: added up, or averaged by those that took part.

Coefficients come from peaks of ratios; which sets of parents then explain the tensor's elements decides
between the two, and whether signs were elected (no set holds changes of both signs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.methods.estimates.masks import Kept
from parentage.methods.estimates.participation import (
    Outcomes,
    Parts,
    added,
    averaged,
    outcomes,
    unexplained,
)
from parentage.methods.estimates.ratios import Peak, peak, ratios

__all__ = ["MOST_PARENTS", "Structure", "Told", "kept_by", "outcomes_of", "structures", "told_by"]

Floats = NDArray[np.float64]
# Task vectors whose 2**K sets are gone through.
MOST_PARENTS: Final = 5
# Peaks narrower than this, as a share of the ratio, need no second look.
SHARP: Final = 1e-3
# Looks at all numbers, values tried of one, by how much each look is narrower, and how far a share of the
# average may be off at first.
LOOKS: Final = 6
SHARES: Final = 0.3
# How far a coefficient of few steps of a coarse grid may be off at first, at least.
COARSE: Final = 0.08
# Shares of the first of two parents that are gone through where peaks are coarse, and pairs of elements
# that it takes.
SHARE_GRID: Final = np.arange(-0.5, 1.5, 0.025) + 0.0125
TELLING_PAIRS: Final = 200
TRIED: Final = 25
NARROWER: Final = 0.35
# Elements that no set explains, of those that tell most, beyond which numbers are not moved any further: a
# true structure leaves none within what its peaks are off by, shares aside.
HOPELESS: Final = 0.2
# Elements of each task vector that a number is tried on.
TELLING: Final = 4000


@dataclass(frozen=True, slots=True)
class Structure:
    """``lone`` [K]: the coefficient of each task vector where it alone takes part. ``shares`` [K]: the
    weights by which those that take part are averaged, of sum 1, None where they are added up. ``slack``
    [K]: how far each coefficient may be off, as a share of it; ``share_slack``: the same of the shares."""

    lone: tuple[float, ...]
    shares: tuple[float, ...] | None
    slack: tuple[float, ...]
    share_slack: float = 0.0

    @property
    def averages(self) -> bool:
        """Divided by the weights that took part."""
        return self.shares is not None

    @property
    def table(self) -> Floats:
        """Coefficients [2**K, K] of every set."""
        return added(self.lone) if self.shares is None else averaged(self.shares, 1.0, self.lone)


@dataclass(frozen=True, slots=True)
class Told:
    """``told``: elements that differ from the base and would tell their set; ``explained``: those of them
    that a set explains; ``mixed``, ``alike``: sets of several parents with changes of both signs, or one.
    """

    told: int
    explained: int
    mixed: int
    alike: int

    @property
    def elected(self) -> bool:
        """No set of both signs, where chance would have left some."""
        return self.mixed == 0 and self.alike > 0


def structures(parts: Parts) -> list[Structure]:
    """What the peaks allow, for [K, n] task vectors; empty where some task vector has none."""
    k = parts.deltas.shape[0]
    if k > MOST_PARENTS:
        return []
    lone = _lone(parts)
    if lone is None:
        return []
    coefficients = tuple(p.value for p in lone)
    slack = tuple((p.high - p.low) / 2 / max(abs(p.value), 1e-12) for p in lone)
    found = [_sharpened(parts, Structure(coefficients, None, slack))]
    shares = _shares(parts, coefficients) if k > 1 else None
    if shares is not None:
        found.append(_sharpened(parts, Structure(coefficients, shares[0], slack, shares[1])))
    return found


def _sharpened(parts: Parts, found: Structure) -> Structure:
    """Coefficients that leave the fewest elements without an explanation, one after the other.

    Sums of a coarse grid's steps have peaks of ratios beside the truth; only the truth explains all.
    """
    sample = parts.only(_telling(parts))
    wide = np.maximum(found.slack, COARSE if max(found.slack) >= SHARP else 0.0)
    hopeless = unexplained(sample, found.table, wide) > HOPELESS * sample.base.size
    if max(found.slack) < SHARP or hopeless:
        return found
    free = len(found.lone) + (len(found.shares) if found.shares else 0)
    slack, beside = list(found.slack), [found.share_slack] * len(found.lone)
    best, fewest = found, sample.base.size + 1
    for look in range(LOOKS):
        for j in range(free):
            width = NARROWER**look * (max(found.slack[j], COARSE) if j < len(slack) else SHARES)
            found_, left = _moved(sample, found, j, width)
            found = replace(found_, slack=found.slack)
            if j < len(slack):
                slack[j] = max(left, width / TRIED)
            else:
                beside[j - len(slack)] = max(left, width / TRIED)
        told = replace(found, slack=tuple(slack), share_slack=max(beside))
        count = unexplained(sample, told.table, np.array(slack))
        # A later look is narrower, and no better where it leaves more.
        if count <= fewest:
            best, fewest = told, count
    return best


def _moved(parts: Parts, found: Structure, j: int, width: float) -> tuple[Structure, float]:
    """One number moved within ``width`` (a share of it) to the middle of where fewest are unexplained, and
    half of that stretch."""
    steps = np.linspace(-width, width, TRIED)
    step = np.full(len(found.lone), steps[1] - steps[0])
    tried = [_with(found, j, 1 + float(x)) for x in steps]
    left = [unexplained(parts, s.table, step) for s in tried]
    best = np.flatnonzero(np.array(left) == min(left))
    middle = float(steps[best[0]] + steps[best[-1]]) / 2
    return _with(found, j, 1 + middle), float(steps[best[-1]] - steps[best[0]]) / 2


def _with(found: Structure, j: int, times: float) -> Structure:
    k = len(found.lone)
    if j < k:
        return replace(found, lone=tuple(x * times if i == j else x for i, x in enumerate(found.lone)))
    assert found.shares is not None
    shares = [x * times if i == j - k else x for i, x in enumerate(found.shares)]
    total = sum(shares)
    return replace(found, shares=tuple(x / total for x in shares))


def _telling(parts: Parts) -> NDArray[np.int64]:
    """Changed elements in which each task vector is largest beside the grid's step."""
    changed = np.flatnonzero(parts.changed)
    steps = (parts.high - parts.low)[changed]
    chosen = [
        changed[np.argsort(-np.abs(d[changed]) / steps, kind="stable")[:TELLING]] for d in parts.deltas
    ]
    return np.unique(np.concatenate(chosen))


def _lone(parts: Parts) -> tuple[Peak, ...] | None:
    """Each task vector's coefficient; those that never stand alone are found beside the others.

    Where no other parent moved an element the ratio is the coefficient's or zero: those elements come
    first. Deltas of few steps of a coarse grid have peaks at ratios of small numbers everywhere else.
    """
    k = parts.deltas.shape[0]
    moved = (parts.deltas != 0).sum(axis=0)
    found: list[Peak | None] = []
    for j, d in enumerate(parts.deltas):
        clean = _beside(parts.only((moved == 1) & (d != 0)), j) if k > 1 else None
        found.append(clean or _beside(parts, j))
    for _ in range(k):
        known = [(j, p.value) for j, p in enumerate(found) if p is not None]
        for j in (j for j, p in enumerate(found) if p is None):
            found[j] = _beside(parts, j, known)
    done = [p for p in found if p is not None]
    return tuple(done) if len(done) == k else None


def _beside(parts: Parts, j: int, known: Sequence[tuple[int, float]] = ()) -> Peak | None:
    rest = sum((c * parts.deltas[i] for i, c in known), np.zeros(parts.base.size))
    at = parts.base + rest
    start, stop = ratios(parts.deltas[j], parts.low - at, parts.high - at, parts.unit)
    return peak(start, stop)


def _shares(parts: Parts, coefficients: Sequence[float]) -> tuple[tuple[float, ...], float] | None:
    """Weights [K] of the average, of sum 1, from pairs with the first; and how far off, as a share."""
    scaled = parts.deltas * np.asarray(coefficients)[:, None]
    found, slack = [1.0], 0.0
    for j in range(1, len(coefficients)):
        share = _share(parts, scaled, j)
        if share is None or share[0] + share[1] == 0:
            return None
        low, high = ((1 - x) / x if x else 1e9 for x in share)
        found.append((low + high) / 2)
        slack = max(slack, abs(high - low) / 2 / max(abs(found[-1]), 1e-9))
    total = sum(found)
    return (tuple(x / total for x in found), slack) if total else None


def _share(parts: Parts, scaled: Floats, j: int) -> tuple[float, float] | None:
    """Bounds of the first parent's share beside parent ``j``, from elements that both moved one way."""
    alone = (parts.deltas != 0).sum(axis=0) == (parts.deltas[[0, j]] != 0).sum(axis=0)
    alike = (scaled[0] * scaled[j] > 0) & (
        np.abs(scaled[0] - scaled[j]) > 8 * parts.unit * np.abs(scaled[0])
    )
    where = np.flatnonzero(alike & alone)
    if where.size < TELLING_PAIRS:
        where = np.flatnonzero(alike)
    chosen, apart, at = parts.only(where), (scaled[0] - scaled[j])[where], (parts.base + scaled[j])[where]
    if parts.unit < SHARP:
        start, stop = ratios(apart, chosen.low - at, chosen.high - at, parts.unit)
        best = peak(start, stop, without=(0.0, 1.0))
        if best is None or best.high - best.low < SHARP:
            return None if best is None else (best.low, best.high)
    two = replace(chosen, deltas=scaled[[0, j]][:, where])
    two = two.only(_telling(two))
    half = float(SHARE_GRID[1] - SHARE_GRID[0]) / 2
    slack = np.full(2, half)
    left = [unexplained(two, averaged((x, 1 - x), 1.0), slack) for x in SHARE_GRID]
    found = float(SHARE_GRID[int(np.argmin(left))])
    return found - half, found + half


def told_by(parts: Parts, structure: Structure, found: Outcomes) -> Told:
    """How well a structure explains a tensor."""
    changed = parts.changed & found.apart
    sets = found.sets()
    where = np.flatnonzero(changed & found.explained)
    signs = np.sign(parts.deltas[:, where] * _signs(structure)[:, None])
    inside = ((sets[where] >> np.arange(signs.shape[0])[:, None]) & 1).astype(bool)
    up, down = (inside & (signs > 0)).any(axis=0), (inside & (signs < 0)).any(axis=0)
    several = inside.sum(axis=0) > 1
    mixed = int(np.count_nonzero(several & up & down))
    return Told(
        int(np.count_nonzero(changed)), int(where.size), mixed, int(np.count_nonzero(several)) - mixed
    )


def _signs(structure: Structure) -> Floats:
    """Signs [K] of what each task vector is multiplied by."""
    return np.asarray(np.sign(np.array(structure.lone)))


def kept_by(parts: Parts, structure: Structure, found: Outcomes, j: int, *, elected: bool) -> Kept:
    """What is known of parent ``j``'s mask. Where signs were elected, a change against the elected sign
    tells nothing, and only elements where all changes agree are chosen."""
    sets, told = found.sets(), found.told & (parts.deltas[j] != 0)
    member = ((sets >> j) & 1).astype(bool)
    chosen = found.apart & (parts.deltas[j] != 0)
    dropped = told & ~member
    if elected:
        signs = np.sign(parts.deltas * _signs(structure)[:, None])
        up, down = (signs > 0).any(axis=0), (signs < 0).any(axis=0)
        chosen &= ~(up & down)
        inside = ((sets >> np.arange(signs.shape[0])[:, None]) & 1).astype(bool)
        against = (inside & (signs == -signs[j])).any(axis=0)
        dropped &= ~against
    return Kept(np.abs(parts.deltas[j]), told & member, dropped, chosen)


def outcomes_of(parts: Parts, structure: Structure) -> Outcomes:
    """The structure's outcomes."""
    return outcomes(parts, structure.table, np.array(structure.slack))
