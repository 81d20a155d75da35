"""How one number runs over a model, as a recipe would write it: a value, a gradient over depth, by names.

What is yielded comes near every tensor's own number, the shortest first. Whether it holds is for a replay
to say: nothing here is evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.feasible.candidates import description_length
from parentage.records.recipe import Clause

__all__ = ["Point", "descriptions", "tokens"]

Floats = NDArray[np.float64]
Clauses = tuple[Clause, ...]
# Anchors of a gradient and names of one setting, at most: recipes that people publish have up to seven and
# three (mergekit's examples: five and two).
MOST_ANCHORS: Final = 8
MOST_FILTERS: Final = 3
MOST_TOKENS: Final = 16
# Decimals that are tried for an anchor.
DECIMALS: Final = (1, 2, 3, 4)
# Descriptions that are handed on.
HANDED_ON: Final = 6
# What a clause costs beside its filter and its numbers, in characters of YAML.
CLAUSE: Final = 10.0
COMMA: Final = 2.0


@dataclass(frozen=True, slots=True)
class Point:
    """A tensor's own number. ``name``: as filters see it; ``depth`` in [0, 1], 0 outside the layers;
    ``slack``: how far a description may lie beside ``value``."""

    name: str
    depth: float
    value: float
    slack: float


@dataclass(frozen=True, slots=True)
class _Fit:
    """Values that come near all points of a group: one, or the anchors of a gradient."""

    values: tuple[float, ...]
    cost: float


def descriptions(points: Sequence[Point]) -> Iterator[Clauses]:
    """Settings near all points, the shortest first, none longer than one value a tensor would be."""
    listed = sum(len(p.name) + CLAUSE + description_length(p.value) for p in points)
    found = sorted(_settings(points), key=lambda item: (item[0], str(item[1])))
    told = list(dict.fromkeys(clauses for cost, clauses in found if cost < listed or len(clauses) == 1))
    yield from told[:HANDED_ON]


def _settings(points: Sequence[Point]) -> Iterator[tuple[float, Clauses]]:
    groups = tokens([p.name for p in points])
    known: dict[frozenset[int], list[_Fit]] = {}

    def fits(indices: frozenset[int]) -> list[_Fit]:
        if indices not in known:
            known[indices] = list(_fits([points[k] for k in sorted(indices)]))
        return known[indices]

    everything = frozenset(range(len(points)))
    good = [(token, members) for token, members in groups if members < everything and fits(members)]
    for count in range(MOST_FILTERS + 1):
        for chosen in combinations(good[:MOST_TOKENS], count):
            rest = everything.difference(*(members for _, members in chosen))
            apart = sum(len(m) for _, m in chosen) + len(rest) == len(everything)
            if not rest or not apart:
                continue
            for last in fits(rest):
                firsts = [(token, fits(members)[0]) for token, members in chosen]
                cost = last.cost + CLAUSE + sum(f.cost + len(t) + CLAUSE for t, f in firsts)
                clauses = (*(Clause(_value(f), t) for t, f in firsts), Clause(_value(last)))
                yield cost, clauses


def _value(fit: _Fit) -> float | tuple[float, ...]:
    return fit.values[0] if len(fit.values) == 1 else fit.values


def tokens(names: Sequence[str]) -> list[tuple[str, frozenset[int]]]:
    """Parts of names that some of them have and others have not, one for each choice: a whole word between
    dots where one makes it, else the shortest; choices of many names first."""
    found: dict[frozenset[int], str] = {}
    words = {w for name in names for w in name.split(".")}
    parts = {t for name in names for t in _parts(name)}
    for token in sorted(parts, key=lambda t: (t not in words, len(t), t)):
        members = frozenset(k for k, name in enumerate(names) if token in name)
        if len(members) < len(names):
            found.setdefault(members, token)
    return sorted(((t, m) for m, t in found.items()), key=lambda item: (-len(item[1]), item[0]))


def _parts(name: str) -> set[str]:
    words = [w for w in name.split(".") if w and not w.isdigit() and w not in ("weight", "bias")]
    pairs = re.findall(r"[a-z_]{3,}\.[a-z_]{3,}", name, re.IGNORECASE)
    return {*words, *pairs, *(w for word in words for w in word.split("_") if len(w) > 3)}


def _fits(points: Sequence[Point]) -> Iterator[_Fit]:
    """A value, else the fewest anchors that do; each in a few typed readings, shortest first."""
    values, slack = np.array([p.value for p in points]), np.array([p.slack for p in points])
    depths = np.array([p.depth for p in points])
    most = min(MOST_ANCHORS, len(set(depths.tolist())))
    for anchors in range(1, most + 1):
        matrix = _matrix(depths, anchors)
        if np.linalg.matrix_rank(matrix) < anchors:
            continue
        # Those that are known best count most.
        trust = slack.min() / slack if np.ptp(slack) > 0 else np.ones_like(slack)
        near = np.linalg.lstsq(matrix * trust[:, None], values * trust, rcond=None)[0]
        # What is rounded to a decimal may lie farther off than the estimate does.
        if (np.abs(matrix @ near - values) > slack).any():
            continue
        told = False
        for digits in DECIMALS:
            typed = np.asarray(np.round(near, digits), np.float64)
            if (np.abs(matrix @ typed - values) <= 2 * slack).all():
                told = True
                yield _fit(typed)
        if told:
            return


def _fit(values: Floats) -> _Fit:
    found = tuple(float(v) for v in values)
    return _Fit(found, sum(description_length(v) + COMMA for v in found))


def _matrix(depths: Floats, anchors: int) -> Floats:
    """How much of each anchor a depth takes [points, anchors]: linear between neighbours."""
    scaled = depths * (anchors - 1)
    low = np.minimum(scaled.astype(np.int64), anchors - 1)
    share = scaled - low
    matrix = np.zeros((depths.size, anchors))
    rows = np.arange(depths.size)
    matrix[rows, low] += 1 - share
    matrix[rows, np.minimum(low + 1, anchors - 1)] += share
    return matrix
