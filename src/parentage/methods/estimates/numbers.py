"""Numbers that a person may have typed for a merge of thinned task vectors, simplest first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Final

import numpy as np

from parentage.methods.estimates.masks import Window
from parentage.methods.estimates.readings import Range, Thinned, common
from parentage.numerics.feasible.candidates import description_length, simplest_in

__all__ = ["Typed", "densities", "factors_by_size", "gammas", "scales", "typed", "weights"]

# Factors on the merged task vector that are tried beside 1, and weights of the first parent where only
# ratios are known.
LAMBDAS: Final = tuple(round(0.05 * k, 2) for k in range(2, 41) if k != 20)
FIRST: Final = tuple(round(0.05 * k, 2) for k in range(1, 31)) + tuple(
    round(0.01 * k, 2) for k in range(1, 101) if k % 5
)
# Numbers of one parameter, and combinations, that are gone through.
EACH: Final = 3
MOST: Final = 400
# A range of a ratio that is wider than this, as a share of it, is looked along before numbers are typed for
# it; at so many places.
WIDE: Final = 2.0**-8
PLACES: Final = 49


@dataclass(frozen=True, slots=True)
class Typed:
    """Weights [K], the factor lambda, and whether they are divided by their sum."""

    weights: tuple[float, ...]
    factor: float
    normalize: bool

    @property
    def length(self) -> float:
        """Characters that it takes to write them down; weights that sum to 1 are what people type."""
        words = sum(description_length(w) for w in self.weights)
        lengthy = 0.0 if self.factor == 1 else description_length(self.factor) + 2
        return words + lengthy - (2.0 if abs(sum(self.weights) - 1) < 1e-9 else 0.0)


def densities(windows: Sequence[Window], *, tails: bool) -> Range | None:
    """Shares that stay, by windows of several tensors; ``tails``: both ends go."""
    ends = []
    for w in windows:
        low = (w.last[0] if tails else w.elements) - w.first[1]
        high = (w.last[1] if tails else w.elements) - w.first[0]
        ends.append((low / w.elements, (high + 1) / w.elements))
    return common(ends)


def gammas(windows: Sequence[Window]) -> Range | None:
    """Shares of the largest elements that go."""
    return common(
        [
            ((w.elements - w.last[1]) / w.elements, (w.elements - w.last[0] + 1) / w.elements)
            for w in windows
        ]
    )


def typed(found: Range, limit: int = EACH) -> list[float]:
    """Numbers in [low, high) from 0 to 1."""
    low, high = max(found[0], 0.0), min(found[1], 1.0 + 1e-12)
    if high > 1.0:
        return [1.0, *(x for x in simplest_in(low, 1.0, limit) if x < 1.0)][:limit]
    return [x for x in simplest_in(low, high, limit + 1) if x < found[1]][:limit]


def factors_by_size(found: Thinned, j: int, windows: Sequence[Window]) -> list[float]:
    """What gives each thinned task vector the L1 norm of the whole, from the middle of its window."""
    factors = []
    for r, w in zip(found.readings, windows, strict=True):
        sizes = np.sort(np.abs(r.parts.deltas[j]))
        stay = sizes[sum(w.first) // 2 : (sum(w.last) + 1) // 2].sum()
        factors.append(float(sizes.sum() / stay) if stay > 0 else 1.0)
    return factors


def weights(found: Thinned, factors: Sequence[Sequence[float]] | None) -> list[Typed]:
    """Weights and lambda that come to the coefficients; ``factors`` [K][tensors] of thinning."""
    effective = [
        found.coefficient(j, None if factors is None else factors[j]) for j in range(found.parents)
    ]
    known = [e for e in effective if e is not None]
    if len(known) < found.parents:
        return []
    tried = _averaged(found, known) if found.averages else _added(found, known)
    return sorted(tried, key=lambda t: t.length)[:MOST]


def _added(found: Thinned, effective: Sequence[Range]) -> list[Typed]:
    tried = [Typed(w, 1.0, False) for w in _products(effective)]
    if found.parents == 1:
        tried += [Typed((w,), x, True) for x in simplest_in(*effective[0], EACH) for w in FIRST]
    for factor in LAMBDAS:
        scaled = [(low / factor, high / factor) for low, high in effective]
        tried += [Typed(w, factor, False) for w in islice(_products(scaled), 2)]
    if found.elected is not True and found.parents > 1:
        # Divided by their sum, lambda is what the coefficients come to.
        whole = sum(low for low, _ in effective), sum(high for _, high in effective)
        ratios = [_quotient(e, effective[0]) for e in effective[1:]]
        if all(r is not None for r in ratios):
            known = [r for r in ratios if r is not None]
            tried += _proportional(known, simplest_in(*whole, 2), digits=2)
    return tried


def _quotient(a: Range, b: Range) -> Range | None:
    """All quotients; None where the divisor may be zero."""
    if b[0] <= 0 <= b[1]:
        return None
    ends = [x / y for x in a for y in b]
    return min(ends), max(ends)


def _averaged(found: Thinned, effective: Sequence[Range]) -> list[Typed]:
    factor, ratios = common(effective), _ratios(found)
    if factor is None or not ratios:
        return []
    return _proportional(ratios, simplest_in(*factor, EACH), digits=2)


def _ratios(found: Thinned) -> list[Range]:
    """Every weight over the first one; empty where tensors contradict each other."""
    ratios = [found.ratio(j) for j in range(1, found.parents)]
    known = [r for r in ratios if r is not None]
    return known if len(known) == len(ratios) else []


def _proportional(ratios: Sequence[Range], factors: Sequence[float], *, digits: int) -> list[Typed]:
    """Weights of which only proportions count: decimals of a few digits, else the simplest for each first
    one."""
    plain, other = list[Typed](), list[Typed]()
    for first in FIRST:
        rest = [(r[0] * first, r[1] * first) for r in ratios]
        for w in islice(product(*(_decimals(r, digits) for r in rest)), EACH):
            plain += [Typed((first, *w), x, True) for x in factors]
        if first <= 1:
            other += [Typed((first, *w), x, True) for w in islice(_products(rest), 1) for x in factors]
    return plain or other


def _decimals(ends: Range, digits: int) -> list[float]:
    """Numbers of so many digits in a range, those nearest to its middle first; never zero."""
    low, high = min(ends), max(ends)
    scale, middle = 10**digits, (low + high) / 2
    found = [round(k / scale, digits) for k in range(math.ceil(low * scale), math.floor(high * scale) + 1)]
    return sorted((x for x in found if x), key=lambda x: abs(x - middle))[:EACH]


def scales(found: Thinned, factors: Sequence[Sequence[float]] | None = None) -> list[list[Typed]]:
    """For weights that are averaged and whose ratios are known roughly (16 bits): weights along each
    ratio's range, the others in the middle of theirs. Empty where nothing is to be looked along.
    ``factors`` [K][tensors] of thinning."""
    effective = [
        found.coefficient(j, None if factors is None else factors[j]) for j in range(found.parents)
    ]
    known = [e for e in effective if e is not None]
    ratios = _ratios(found) if found.averages and len(known) == found.parents else []
    factor = common(known) if ratios else None
    if factor is None:
        return []
    lambda_ = simplest_in(*factor, 1)[0]
    middles = [(low + high) / 2 for low, high in ratios]
    every = []
    for j, (low, high) in enumerate(ratios):
        if (high - low) > WIDE * abs(low + high) / 2:
            places = np.linspace(low, high, PLACES).tolist()
            rows = [[0.5, *(0.5 * m for m in (*middles[:j], x, *middles[j + 1 :]))] for x in places]
            every.append([Typed(tuple(row), lambda_, True) for row in rows])
    return every


def _products(ranges: Sequence[Range]) -> Iterator[tuple[float, ...]]:
    each = [simplest_in(low, high, EACH) for low, high in ((min(r), max(r)) for r in ranges)]
    yield from sorted(product(*each), key=lambda w: sum(map(description_length, w)))
