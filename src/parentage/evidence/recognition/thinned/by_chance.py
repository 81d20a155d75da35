"""DARE and DELLA: chance decides whether an element stays.

A recipe replays where the seed of the draws is found. Where it is not, the pattern is what is measured:
each element is the base's, or the base's and a sum over some of the parents, and which of them is chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.thinned.climbing import Begun, Climb, Given, likeliest
from parentage.evidence.recognition.thinned.looking import Look, looks
from parentage.evidence.recognition.thinned.masks_drawn import (
    SEEDS,
    Drawn,
    drawn_masks,
    draws_of,
    places_of,
)
from parentage.evidence.recognition.thinned.patterns import pattern_of
from parentage.methods.dare import work_dtype
from parentage.methods.della import ByRank
from parentage.methods.draws import Draws
from parentage.methods.estimates.masks import Spread
from parentage.methods.estimates.numbers import scales, typed, weights
from parentage.methods.estimates.readings import Reading
from parentage.methods.estimates.seeds import ALL_SEEDS
from parentage.methods.grids import scalar_on_grid
from parentage.methods.registry import method
from parentage.numerics.feasible.candidates import description_length
from parentage.records.recognition import Finding, Numbers

__all__ = ["THINNED_BY_CHANCE", "Thinning"]

Row = Mapping[str, Any]
# Numbers of one parent that are tried.
EACH: Final = 4
# Combinations of all parents' numbers whose masks are drawn.
SHARES: Final = 12
# Probabilities under chance below which it was not chance.
UNEVEN: Final = 1e-6
# How far a 16-bit probability is from the typed one.
NEAR: Final = 2.0**-8


@dataclass(frozen=True, slots=True)
class Thinning:
    """A look in which chance decided; ``spreads`` [K]: None for a parent that stays whole; ``drawn``: the
    seed, or why it is not known."""

    look: Look
    spreads: tuple[Spread | None, ...]
    drawn: Drawn | str


def _thinnings(context: Context) -> tuple[Thinning, ...]:
    def work() -> tuple[Thinning, ...]:
        return tuple(t for look in looks(context) if (t := _thinning(context, look)) is not None)

    return cast(tuple[Thinning, ...], context.once("thinned by chance", work))


def _thinning(context: Context, look: Look) -> Thinning | None:
    spreads: list[Spread | None] = []
    for j in range(look.thinned.parents):
        windows = look.thinned.windows(j)
        if windows is not None:
            if not all(w.whole for w in windows):
                return None
            spreads.append(None)
            continue
        spread = look.thinned.spread(j)
        if spread is None or not _random(look, j, spread):
            return None
        spreads.append(spread)
    if all(s is None for s in spreads):
        return None
    seeds = ALL_SEEDS if context.full else SEEDS
    return Thinning(look, tuple(spreads), drawn_masks(context, look, spreads, seeds=seeds))


def _random(look: Look, j: int, spread: Spread) -> bool:
    """May chance have decided? What follows sizes in another way, or rows, needs no seed."""
    tests = look.thinned.randomness(j, spread)
    return 0 < spread.density[0] < 1 and min(tests.ranks, tests.neighbours) >= UNEVEN


def _propose(context: Context) -> Iterator[Candidate]:
    for found in _thinnings(context):
        if isinstance(found.drawn, Drawn):
            yield from likeliest(list(_begun(context, found, found.drawn)))


def _begun(context: Context, found: Thinning, drawn: Drawn) -> Iterator[Begun]:
    """Every method that draws so, with and without rescaling."""
    look = found.look
    by_rank = any(s is not None and s.epsilon[1] > 0 for s in found.spreads)
    for family in ("della", "dare") if by_rank else ("dare", "della"):
        rows = _shares(context, found, drawn, family)
        for rescale in (True, False) if all(rows) else ():
            rows, factors = _agreeing(context, found, drawn, rows) if rescale else (rows, None)
            numbers, along = weights(look.thinned, factors), scales(look.thinned, factors)
            for name in _names(family, look.thinned.elected):
                climb = Climb(context, look.names, partial(_candidate, found, drawn, name, rescale))
                begun = Begun.of(climb, rows, numbers, along, [_arithmetic(drawn)])
                if begun is not None:
                    yield begun


def _agreeing(
    context: Context, found: Thinning, drawn: Drawn, rows: list[list[Row]]
) -> tuple[list[list[Row]], list[list[float]] | None]:
    """The first numbers of each parent whose masks give factors by which all tensors agree on weights, put
    in front; and the factors. A mask that is off by an element gives another factor."""
    places = sorted(product(*(range(len(r)) for r in rows)), key=sum)[:SHARES]
    for chosen in places:
        first = [r[k] for r, k in zip(rows, chosen, strict=True)]
        factors = _factors(context, found, drawn, first)
        if weights(found.look.thinned, factors):
            ordered = [[x, *(o for o in r if o is not x)] for x, r in zip(first, rows, strict=True)]
            return ordered, factors
    return rows, _factors(context, found, drawn, [r[0] for r in rows])


def _arithmetic(drawn: Drawn) -> str:
    return "parentage-1" if drawn.ours else "mergekit-0.1.5"


def _names(family: str, elected: bool | None) -> tuple[str, ...]:
    plain, signs = f"{family}_linear", "della" if family == "della" else "dare_ties"
    return (plain,) if elected is False else (signs,) if elected else (plain, signs)


def _shares(context: Context, found: Thinning, drawn: Drawn, family: str) -> list[list[Row]]:
    """Densities (and epsilons) of each parent that the very draws allow, simplest first."""
    each: list[list[Row]] = []
    for j, spread in enumerate(found.spreads):
        if spread is None:
            whole: Row = {"density": 1.0}
            each.append([whole])
        else:
            rows = _dare(context, found, drawn, j) if family == "dare" else _della(context, found, drawn, j)
            each.append(rows)
    return each


def _length(row: Row) -> float:
    return sum(description_length(float(x)) for x in row.values())


def _draws(context: Context, found: Thinning, drawn: Drawn) -> Iterator[tuple[Reading, Draws]]:
    """Each tensor that was read, and what its masks were drawn with."""
    before = places_of(context, found.look, len(drawn.order))
    for name, reading in zip(found.look.names, found.look.thinned.readings, strict=True):
        yield reading, draws_of(drawn, name, before[name], reading.parts.base.size)


def _masks(
    context: Context, found: Thinning, drawn: Drawn, j: int, row: Row
) -> Iterator[tuple[Reading, NDArray[np.bool_]]]:
    """Parent ``j``'s masks as its numbers draw them."""
    turn, work = drawn.order.index(j), work_dtype(found.look.dtype)
    for reading, draws in _draws(context, found, drawn):
        delta = reading.parts.deltas[j].astype(np.float32)
        if "epsilon" not in row:
            chance = scalar_on_grid(row["density"], work)
            yield reading, draws.uniform(turn, 0, delta.size) < chance
            continue
        rule = ByRank(draws, turn, row["density"], row["epsilon"], reading.row, work, drawn.ours)
        yield reading, rule(0, delta)


def _dare(context: Context, found: Thinning, drawn: Drawn, j: int) -> list[Row]:
    """The largest number of what stayed and the least of what was dropped leave few densities."""
    low, high, turn = 0.0, 1.0, drawn.order.index(j)
    for kept, (reading, draws) in zip(
        found.look.thinned.kept(j), _draws(context, found, drawn), strict=True
    ):
        u = draws.uniform(turn, 0, reading.parts.base.size)
        if kept.kept.any():
            low = max(low, float(u[kept.kept].max()))
        if kept.dropped.any():
            high = min(high, float(u[kept.dropped].min()))
    work = work_dtype(found.look.dtype)
    near = typed((low * (1 - NEAR), high * (1 + NEAR)), 64)
    fits = [x for x in near if low < float(scalar_on_grid(x, work)) <= high]
    return [{"density": x} for x in fits[:EACH]]


def _della(context: Context, found: Thinning, drawn: Drawn, j: int) -> list[Row]:
    """Densities and epsilons whose masks the fewest elements contradict."""
    spread = found.spreads[j]
    assert spread is not None
    kept = found.look.thinned.kept(j)
    tried: list[tuple[int, float, Row]] = []
    pairs = product(typed(spread.density[1:], 6), typed(spread.epsilon[1:], 12))
    for density, epsilon in ((d, e) for d, e in pairs if 0 < e < d < 1 - e):
        row: Row = {"density": density, "epsilon": epsilon}
        off = 0
        for known, (_, stays) in zip(kept, _masks(context, found, drawn, j, row), strict=True):
            off += int(np.count_nonzero(known.kept & ~stays) + np.count_nonzero(known.dropped & stays))
        tried.append((off, _length(row), row))
    return [row for _, _, row in sorted(tried, key=lambda x: x[:2])[:EACH]]


def _factors(context: Context, found: Thinning, drawn: Drawn, rows: Sequence[Row]) -> list[list[float]]:
    """What gives each thinned task vector the L1 norm of the whole, from the masks as drawn."""
    factors = []
    for j, row in enumerate(rows):
        if found.spreads[j] is None:
            factors.append([1.0] * len(found.look.names))
            continue
        mine = []
        for reading, stays in _masks(context, found, drawn, j, row):
            sizes = np.abs(reading.parts.deltas[j])
            mine.append(float(sizes.sum() / max(sizes[stays].sum(), 1e-30)))
        factors.append(mine)
    return factors


def _candidate(found: Thinning, drawn: Drawn, name: str, rescale: bool, given: Given) -> Candidate:
    rows, numbers = given.rows, given.typed
    order = [*drawn.order, *(j for j in range(len(rows)) if j not in drawn.order)]
    operands = (found.look.operands[0], *(found.look.operands[1 + j] for j in order))
    each = ({}, *({"weight": numbers.weights[j], **rows[j]} for j in order))
    shared: dict[str, Any] = {"normalize": numbers.normalize, "lambda": numbers.factor, "rescale": rescale}
    declared = {d.name: d.default for d in method(name).parameters}
    shared = {k: v for k, v in shared.items() if v != declared[k]}
    return Candidate(
        name, operands, 0, Numbers(each, shared), _arithmetic(drawn), found.look.dtype, seed=drawn.seed
    )


def _find(context: Context) -> tuple[Finding, ...]:
    # Of two dtypes that explain the same models the narrower one comes first.
    found = {t.look.operands: t for t in reversed(_thinnings(context))}
    return tuple(pattern_of(context, t.look, t.spreads, t.drawn) for t in reversed(found.values()))


THINNED_BY_CHANCE: Final = Recogniser("thinned-by-chance", _propose, find=_find)
