"""Where each part of a merge lies, in few words: a range of layers, a part of the names, the rest.

Parts come in an order, and the first whose region holds a tensor makes it; the last takes what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Final

from parentage.evidence.recognition.parts.courses import tokens
from parentage.records.absence import Absent
from parentage.records.recognition import EVERYWHERE, Where

__all__ = ["holds", "regions"]

# Parts that every order of is tried; of more, the smaller come first.
MOST_ORDERED: Final = 4
NO_RANGE: Final = Absent("layers do not tell it apart")
Layers = Mapping[str, int | None]
Region = tuple[float, Where, frozenset[str]]


def holds(where: Where, name: str, layer: int | None) -> bool:
    """Does the region hold this tensor?"""
    if where.tensors:
        return name in where.tensors
    inside = isinstance(where.layers, Absent) or (
        layer is not None and where.layers[0] <= layer < where.layers[1]
    )
    return inside and (not where.filters or any(f in name for f in where.filters))


def regions(
    made: Mapping[str, frozenset[int]], layers: Layers, parts: int
) -> list[tuple[int, Where]] | None:
    """(part, its region) in order, the shortest that gives every tensor to a part that makes it.

    ``made``: by tensor, the parts whose rule gives its every element; ``layers``: None outside the trunk.
    """
    numbers = sorted(range(parts), key=lambda p: (sum(p in found for found in made.values()), p))
    orders = permutations(numbers) if parts <= MOST_ORDERED else [tuple(numbers)]
    told = [t for t in (_told(made, layers, order) for order in orders) if t is not None]
    return min(told, key=lambda t: t[0])[1] if told else None


def _told(
    made: Mapping[str, frozenset[int]], layers: Layers, order: Sequence[int]
) -> tuple[float, list[tuple[int, Where]]] | None:
    left, cost, found = set(made), 0.0, list[tuple[int, Where]]()
    for place, part in enumerate(order[:-1]):
        later = set(order[place + 1 :])
        wanted = {n for n in left if part in made[n] and not made[n] & later}
        refused = {n for n in left if part not in made[n]}
        if not wanted:
            return None
        length, where, taken = min(_choices(left, wanted, refused, layers), key=lambda c: c[0])
        cost, left = cost + length, left - taken
        found.append((part, where))
    last = order[-1]
    if not left or any(last not in made[n] for n in left):
        return None
    return cost, [*found, (last, EVERYWHERE)]


def _choices(left: set[str], wanted: set[str], refused: set[str], layers: Layers) -> Iterator[Region]:
    """Regions that hold all that is wanted and nothing that is refused, with what they cost to say."""
    names = sorted(left)
    numbers = [n for n in (layers[name] for name in wanted) if n is not None]
    ranges: list[tuple[int, int] | Absent] = [NO_RANGE]
    if len(numbers) == len(wanted):
        ranges.append((min(numbers), max(numbers) + 1))
    found = [t for t, _ in tokens(names)]
    for span in ranges:
        for chosen in ((), *((t,) for t in found)):
            if not chosen and isinstance(span, Absent):
                continue
            where = Where(span, chosen)
            taken = frozenset(n for n in names if holds(where, n, layers[n]))
            if wanted <= taken and not taken & refused:
                yield (0 if isinstance(span, Absent) else 8) + sum(map(len, chosen)) + 1, where, taken
    listed = tuple(sorted(wanted))
    yield 1e3 + sum(map(len, listed)), Where(NO_RANGE, (), listed), frozenset(wanted)
