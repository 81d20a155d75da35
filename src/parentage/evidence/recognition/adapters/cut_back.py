"""Combinations of the adapters' changes themselves, cut back to a low rank.

The change of the suspect is U U' M, U its own leading left vectors, M the weighted sum of the adapters'
changes, whole or pruned by size. So U U' times each of them is a regressor. U is read from the suspect,
rounding and all; weights are then moved until what the method itself makes fits best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.evidence.recognition.adapters.drawn import SEEDS, WORDS, closest, least
from parentage.evidence.recognition.adapters.proposals import (
    FINEST,
    PROFILES,
    Looked,
    densities,
    plain_weights,
)
from parentage.evidence.recognition.adapters.sets import AdapterSet, Combined, Target
from parentage.evidence.recognition.adapters.terms import Estimated, Matrix, even, least_squares
from parentage.evidence.recognition.context import Context
from parentage.methods.adapters.mixing import Mixing
from parentage.methods.draws import CounterDraws, Draws, TorchDraws
from parentage.methods.method import Profile, Value
from parentage.methods.registry import method
from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import to_float32, to_float64

__all__ = ["Seen", "by_changes", "seen_of"]

# Rows and columns of the matrix that is looked at; numbers of all changes together that sizes are taken of.
ROWS, COLUMNS, SIZES = 2**14, 256, 2**21
# Numbers of one block of columns.
BLOCK: Final = 2**20
# Singular values of rounding are below this share of its energy's root times the sides'.
NOISE: Final = 1.5
# The largest share of the shorter side that a low rank may be.
THIN: Final = 0.6
# What a recipe leaves over of the change: vectors that were read through rounding are off themselves. What
# peft made leaves 1e-5 and less, under other densities and seeds .02 and more.
SHARE: Final = 1e-3
STEPS: Final = 4
# Elements of a matrix that is drawn for: each seed costs the draws of all of them.
DRAWN: Final = 2**22
SMALL: Final = 1e-4
PRUNED: Final = {
    "adapter_ties_svd": Mixing("largest", elect=True),
    "adapter_magnitude_prune_svd": Mixing("largest"),
}
DRAWN_BY: Final = {
    "adapter_dare_linear_svd": Mixing("random"),
    "adapter_dare_ties_svd": Mixing("random", elect=True),
}


@dataclass(frozen=True)
class Seen:
    """Columns of the suspect's change [m, c], widths of its cells, and the adapters' changes [K, m, c]
    with the sizes of their numbers, ascending."""

    target: Target
    change: Matrix
    widths: Matrix
    changes: Matrix
    sizes: list[NDArray[np.float32]]

    @cached_property
    def parts(self) -> tuple[Matrix, Matrix]:
        """Left vectors [m, k] and singular values [k] of the suspect's change."""
        left, values, _ = np.linalg.svd(self.change, full_matrices=False)
        return left, values

    @property
    def rank(self) -> int:
        """Singular values above what rounding leaves."""
        level = np.sqrt(float(np.mean(self.widths**2)) / 12) * sum(np.sqrt(self.change.shape))
        return int(np.count_nonzero(self.parts[1] > NOISE * level))

    @property
    def thin(self) -> bool:
        """Is the rank far from full?"""
        return bool(self.rank <= THIN * min(self.change.shape))


def seen_of(found: AdapterSet, context: Context) -> Seen | None:
    """The smallest matrix that all adapters change; None where there is none."""
    fit = [t for t in found.targets if t.base.shape[0] <= ROWS and all(h is not None for h in t.how)]
    return _seen(min(fit, key=lambda t: (t.base.elements, t.name)), found, context) if fit else None


def by_changes(looked: Looked, seen: Seen) -> Iterator[Combined]:
    """``adapter_svd``, those that prune by size and cut back, and those that thin at random and do."""
    # Small singular values may drown in rounding; more of them than a tool keeps unasked were asked for.
    rank = min(max(*looked.found.ranks, seen.rank), *seen.change.shape)
    yield from _cut(seen, looked, rank)
    yield from _cut_by_chance(seen, looked, rank)


def _seen(target: Target, found: AdapterSet, context: Context) -> Seen:
    m, n = target.base.shape
    width = min(n, COLUMNS, max(1, BLOCK // m))

    def block(read: Any, ref: Any) -> NDArray[np.unsignedinteger]:
        return np.concatenate([read(ref, row * n, width) for row in range(m)])

    bits = block(context.checkpoints[0].read, target.suspect)
    cells = rounding_cells(bits, target.suspect.dtype)
    base = to_float64(block(found.opened[0].read, target.base), target.base.dtype)
    change = (to_float64(bits, target.suspect.dtype) - base).reshape(m, width)
    sides = [_sides(how, opened) for how, opened in zip(target.how, found.opened, strict=True)]
    step = max(1, -(-m * n * len(sides) // SIZES))
    rows = np.arange(0, m, step)
    sizes = [np.sort(np.abs((b[rows] @ a) * s).astype(np.float32), axis=None) for b, a, s in sides]
    changes = np.stack([(b @ a[:, :width]) * s for b, a, s in sides])
    return Seen(target, change, even(cells.high - cells.low).reshape(m, width), changes, sizes)


def _sides(how: Any, opened: Any) -> tuple[Matrix, Matrix, float]:
    a, b = (
        to_float32(opened.read(f, 0, f.elements), f.dtype).reshape(f.shape).astype(np.float64)
        for f in (how.a, how.b)
    )
    return (a.T, b.T, how.scaling) if how.turned else (b, a, how.scaling)


Weigh = Callable[[Sequence[Matrix]], Estimated | None]


def _weigh(seen: Seen, rank: int) -> Weigh:
    vectors = seen.parts[0][:, :rank]
    widths = np.where(seen.widths > 0, seen.widths, np.inf)

    def weigh(terms: Sequence[Matrix]) -> Estimated | None:
        regressors = [((vectors @ (vectors.T @ t)) / widths).reshape(-1) for t in terms]
        return least_squares(np.stack(regressors, axis=1), (seen.change / widths).reshape(-1), len(terms))

    return weigh


def _given(found: AdapterSet, rank: int, *, by_count: bool = False) -> dict[str, Value]:
    more: dict[str, Value] = {} if rank == max(found.ranks) else {"svd_rank": rank}
    return {**more, "by_count": True} if by_count else more


def _cut(seen: Seen, looked: Looked, rank: int) -> Iterator[Combined]:
    found, weigh = looked.found, _weigh(seen, rank)
    whole = weigh(list(seen.changes))
    if whole is not None and whole.explains(SHARE):
        yield from _polished(Combined("adapter_svd", "", (), _given(found, rank)), whole, seen, found)
    for name, mixing in PRUNED.items():
        for by_count in (False, True) if mixing.elect else (False,):

            def pruned(d: float, mixing: Mixing = mixing, by_count: bool = by_count) -> Estimated | None:
                return weigh(_terms(seen, mixing, d, by_count))

            more = _given(found, rank, by_count=by_count)
            for density, estimate in densities(pruned, SHARE):
                start = Combined(name, "", (), {**more, "density": density})
                yield from _polished(start, estimate, seen, found)


def _cut_by_chance(seen: Seen, looked: Looked, rank: int) -> Iterator[Combined]:
    """Changes that were thinned at random by one of a few seeds."""
    m, n = seen.target.base.shape
    if m * n > DRAWN:
        return
    for profile in PROFILES:
        one = Combined("adapter_dare_linear_svd", profile, (1.0,) * len(seen.changes), {"density": 0.5}, 0)
        before = looked.found.drawn_before(one)
        if before and seen.target.base.name not in before:
            continue
        drawn = before.get(seen.target.base.name, 0)
        seeds = SEEDS[: max(1, WORDS // (drawn + m * n))]
        for name, mixing in DRAWN_BY.items():
            for by_count in (False, True) if mixing.elect else (False,):
                thinned = _Thinned(seen, _weigh(seen, rank), mixing, by_count, profile, drawn)
                for seed in closest(seeds, thinned.left):
                    for density, estimate in densities(thinned.weighed(seed), SHARE):
                        shared = {**_given(looked.found, rank, by_count=by_count), "density": density}
                        start = Combined(name, profile, (), shared, seed)
                        yield from _polished(start, estimate, seen, looked.found)


@dataclass(frozen=True, slots=True)
class _Thinned:
    """What is left over where a seed thinned the changes."""

    seen: Seen
    weigh: Weigh
    mixing: Mixing
    by_count: bool
    profile: str
    drawn: int

    def weighed(self, seed: int) -> Callable[[float], Estimated | None]:
        m, n = self.seen.target.base.shape
        draws: Draws = CounterDraws(seed, self.seen.target.name)
        if not self.profile.startswith("parentage"):
            draws = TorchDraws(seed, self.drawn, m * n)
        width = self.seen.change.shape[1]
        uniform = [
            draws.uniform(k, 0, m * n).reshape(m, n)[:, :width] for k in range(len(self.seen.changes))
        ]

        def weigh(density: float) -> Estimated | None:
            pairs = zip(self.seen.changes, uniform, strict=True)
            rows = [np.where(u < np.float32(density), x / density, 0.0) for x, u in pairs]
            return self.weigh(_elected(rows, self.by_count) if self.mixing.elect else rows)

        return weigh

    def left(self, seed: int) -> float:
        return least(self.weighed(seed))


def _terms(seen: Seen, mixing: Mixing, density: float, by_count: bool) -> list[Matrix]:
    rows = []
    for change, sizes in zip(seen.changes, seen.sizes, strict=True):
        count = int(density * sizes.size)
        least = sizes[sizes.size - count] if count else np.inf
        rows.append(np.where(np.abs(change).astype(np.float32) >= least, change, 0.0))
    return _elected(rows, by_count) if mixing.elect else rows


def _elected(rows: Sequence[Matrix], by_count: bool) -> list[Matrix]:
    total = np.sum([np.sign(r) if by_count else r for r in rows], axis=0)
    sign = np.where(total >= 0, 1.0, -1.0)
    count_ = np.maximum(np.sum([np.sign(r) == sign for r in rows], axis=0), 1)
    return [np.where(np.sign(r) == sign, r, 0.0) / count_ for r in rows]


def _polished(start: Combined, estimate: Estimated, seen: Seen, found: AdapterSet) -> Iterator[Combined]:
    """Recipes whose weights fit best what the method itself makes."""
    for profile in PROFILES if start.seed is None else (start.profile,):
        recipe = Combined(start.method, profile, tuple(estimate.weights), start.shared, start.seed)
        made = _maker(seen, recipe, found)
        best = _moved(made, np.array(estimate.weights), seen)
        if best is not None:
            weights, errors = best
            for plain in plain_weights(weights, errors, FINEST):
                yield Combined(start.method, profile, plain, start.shared, start.seed)


Made = Callable[[NDArray[np.float64]], Matrix | None]


def _maker(seen: Seen, recipe: Combined, found: AdapterSet) -> Made:
    """The change's columns as the method makes them, by weights; None where it refuses."""
    dtype, width = seen.target.base.dtype, seen.change.shape[1]
    operands = found.operands(seen.target)
    drawn = found.drawn_before(recipe).get(seen.target.base.name, 0)

    def made(weights: NDArray[np.float64]) -> Matrix | None:
        one = replace(recipe, weights=tuple(map(float, weights)))
        try:
            rule: Any = method(recipe.method).prepare(
                operands,
                found.parameters(one, seen.target, drawn),
                Profile(recipe.profile, dtype, dtype),
                seen.target.name,
            )
        except UsageError:
            return None
        right = rule.a[:, :width].astype(np.float64)
        product: Matrix = (rule.b.astype(np.float64) @ right) * float(rule.scaling)
        return product

    return made


def _moved(made: Made, weights: NDArray[np.float64], seen: Seen) -> tuple[Matrix, Matrix] | None:
    """Weights and standard errors after a few steps of Gauss and Newton."""
    widths = np.where(seen.widths > 0, seen.widths, np.inf)
    errors = np.zeros_like(weights)
    for _ in range(STEPS):
        here = made(weights)
        if here is None:
            return None
        slopes = []
        for k in range(weights.size):
            there = made(weights + SMALL * (np.arange(weights.size) == k))
            if there is None:
                return None
            slopes.append(((there - here) / SMALL / widths).reshape(-1))
        step = least_squares(
            np.stack(slopes, axis=1), ((seen.change - here) / widths).reshape(-1), weights.size
        )
        if step is None:
            return None
        weights, errors = weights + step.weights, step.errors
        if np.all(np.abs(step.weights) < 0.1 * errors):
            break
    return weights, errors
