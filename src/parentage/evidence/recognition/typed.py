"""Numbers that a person may have typed for several weights at once, near an estimate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final

from parentage.numerics.feasible.candidates import description_length

__all__ = ["proportions", "typed"]

# A weight in 16 bits is off by up to 2**-9 of itself, lambda and a sum of weights by as much again.
SLACK: Final = 0.02
# The same of a proportion of two.
PROPORTION: Final = 0.006
CLOSE: Final = 0.0015
# First weights that proportions are read at: hundredths up to two.
HUNDREDTHS: Final = 200


def typed(values: Sequence[float], digits: Sequence[int] = (1, 2)) -> Iterator[tuple[float, ...]]:
    """Decimals that all values are near to, the fewest digits first; none of them zero."""
    tried = set[tuple[float, ...]]()
    for count in digits:
        unit = 10.0**-count
        rows = [_both(v / unit) for v in values]
        for whole in product(*rows):
            simple = tuple(round(n * unit, count) for n in whole)
            near = all(abs(s - v) <= SLACK * max(abs(v), 0.1) for s, v in zip(simple, values, strict=True))
            if near and simple not in tried and all(simple):
                tried.add(simple)
                yield simple


def _both(value: float) -> list[int]:
    """The whole numbers around a value, the nearer one first."""
    return sorted({math.floor(value), math.ceil(value)}, key=lambda n: abs(n - value))


def proportions(values: Sequence[float]) -> Iterator[tuple[float, ...]]:
    """Weights of at most two decimals in the proportions of ``values``: close ones first, the shortest of
    them before the others; none where a value is zero, which is no weight that somebody typed."""
    if not all(values):
        return
    found = dict[tuple[float, ...], tuple[float, float, float]]()
    for hundredths in range(1, HUNDREDTHS + 1):
        wanted = [v * hundredths / 100 / values[0] for v in values]
        simple = tuple(round(w, 2) for w in wanted)
        off = [abs(s - w) / abs(w) if w else 1.0 for s, w in zip(simple, wanted, strict=True)]
        if max(off) <= PROPORTION and all(simple):
            far = float(max(off) > CLOSE)
            found[simple] = (far, sum(description_length(s) for s in simple), max(off))
    yield from sorted(found, key=lambda s: (found[s], s))
