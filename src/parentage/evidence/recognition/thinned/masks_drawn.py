"""From which seed were the masks drawn? A tool's stream goes through tensors and parents in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.thinned.looking import Look, parts_of
from parentage.merging.operands import Operands
from parentage.methods.draws import CounterDraws, Draws, TorchDraws
from parentage.methods.estimates.masks import Kept, Spread, rank_in_row
from parentage.methods.estimates.participation import Parts
from parentage.methods.estimates.readings import Reading
from parentage.methods.estimates.seeds import ALL_SEEDS, FIRST_WORDS, Draw, seeds_within
from parentage.methods.estimates.structures import Structure, outcomes_of, told_by

__all__ = ["OUR_SEEDS", "SEEDS", "Drawn", "drawn_masks", "draws_of", "places_of"]

# Seeds that are gone through unless an audit reads everything: 2 s of one core; those below hold every
# date written as a number.
SEEDS: Final = 1 << 26
# Seeds of our own arithmetic, each of which costs a hash.
OUR_SEEDS: Final = 4096
# Elements of the first tensor that are read, and bits of a stream that have to be known for one seed to be
# left of 2**32 with a chance of 2**-16.
FIRST: Final = 8192
BITS: Final = 48.0
# Seeds that a tensor behind others is held against, and words of a stream that are gone through for it.
SMALL_SEEDS: Final = 10_000
FARTHEST: Final = 1 << 16
# Elements that a seed of our own is held against.
SOME: Final = 200
# Standard errors that a factor measured on another tensor is trusted within.
ERRORS: Final = 4.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """``order``: parents (from 0) in the order in which they drew; ``ours``: in our own arithmetic."""

    seed: int
    order: tuple[int, ...]
    ours: bool


@dataclass(frozen=True, slots=True)
class _Tensor:
    """What a tensor tells of the masks of every parent: ``before`` it the tool took so many words."""

    name: str
    before: int
    elements: int
    kept: list[Kept]
    ranks: list[NDArray[np.float64]]
    spreads: Sequence[Spread | None]

    def known(self, j: int, begin: int) -> Draw:
        """Of parent ``j``'s numbers, the first of which is word ``begin``."""
        spread, kept = self.spreads[j], self.kept[j]
        assert spread is not None
        where = np.flatnonzero(kept.kept | kept.dropped)
        low, high = spread.bounds(self.ranks[j][where])
        return Draw.of(begin + where, kept.kept[where], low, high)


def drawn_masks(
    context: Context, look: Look, spreads: Sequence[Spread | None], *, seeds: int
) -> Drawn | str:
    """The seed, or why none was found. ``spreads`` [K]: None for a parent that stays whole, and draws
    nothing; ``seeds``: how many are gone through."""
    thinned = [j for j, s in enumerate(spreads) if s is not None]
    ours = _ours(look, spreads, thinned)
    if ours is not None:
        return ours
    tensor = next(_telling(context, look, spreads, thinned), None)
    if tensor is None:
        return "no tensor at the beginning of the tool's order tells enough elements"
    for j in thinned:
        for seed in _seeds(tensor.known(j, tensor.before), seeds):
            order = _order(tensor, seed, j, [i for i in thinned if i != j])
            if order is not None:
                return Drawn(seed, order, False)
    return f"none of {min(seeds, ALL_SEEDS):,} seeds draws the masks of {tensor.name}"


def _seeds(known: Draw, seeds: int) -> list[int]:
    """The seed that fits, in a list; a tensor behind others is held against small seeds alone."""
    if known.bits < BITS:
        return []
    if known.places[0] < FIRST_WORDS:
        found = seeds_within(known, 0, min(seeds, ALL_SEEDS))
    else:
        found = [seed for seed in range(SMALL_SEEDS) if known.holds(seed)]
    return found if len(found) == 1 else []


def _telling(
    context: Context, look: Look, spreads: Sequence[Spread | None], thinned: Sequence[int]
) -> Iterator[_Tensor]:
    """The first tensors in the tool's order that tell anything."""
    for name, before in places_of(context, look, len(thinned)).items():
        operands = context.operands(name, look.operands, 0)
        if before > FARTHEST or operands is None:
            continue
        reading = _reading(context, look, name, operands, spreads)
        if reading is not None:
            kept = [reading.kept(j, elected=look.thinned.elected is True) for j in range(len(spreads))]
            ranks = [rank_in_row(np.abs(d), reading.row) for d in reading.parts.deltas]
            if any(_count(kept[j]) for j in thinned):
                yield _Tensor(name, before, operands.elements, kept, ranks, spreads)


def _reading(
    context: Context, look: Look, name: str, operands: Operands, spreads: Sequence[Spread | None]
) -> Reading | None:
    """The tensor as it was read already, else its beginning as the others predict it."""
    if name in look.names:
        return look.thinned.readings[look.names.index(name)]
    row = operands.shape[-1] if operands.shape else 1
    count = max(row, FIRST // max(row, 1) * row)
    parts, row = parts_of(context, name, look.operands, look.dtype, count) or (None, 0)
    if parts is None or not parts.changed.any():
        return None
    return _predicted(look, parts, row, spreads)


def _count(kept: Kept) -> int:
    return int(np.count_nonzero(kept.kept | kept.dropped))


def _predicted(look: Look, parts: Parts, row: int, spreads: Sequence[Spread | None]) -> Reading:
    """A tensor read with what others said of the coefficients, within what its own factor may be off."""
    found = look.thinned
    lone, slack = [], []
    for j, spread in enumerate(spreads):
        values = [r.structure.lone[j] for r in found.readings]
        size = np.abs(parts.deltas[j])
        middle = float(np.mean(values))
        reach = max(r.structure.slack[j] for r in found.readings) + float(np.ptp(values)) / abs(middle)
        if spread is not None and np.ptp(values) > 0 and size.sum() > 0:
            p = spread.density[0]
            reach += ERRORS * float(np.sqrt((1 - p) / p * (size**2).sum()) / size.sum())
        lone.append(middle)
        slack.append(reach)
    shares = found.readings[0].structure.shares
    structure = Structure(tuple(lone), shares, tuple(slack), found.readings[0].structure.share_slack)
    outcome = outcomes_of(parts, structure)
    return Reading(parts, row, structure, told_by(parts, structure, outcome), outcome)


def _order(tensor: _Tensor, seed: int, first: int, rest: Sequence[int]) -> tuple[int, ...] | None:
    """The order in which the other parents drew after the first."""
    for order in permutations(rest):
        places = [tensor.before + turn * tensor.elements for turn in range(1, len(order) + 1)]
        if all(tensor.known(j, at).holds(seed) for j, at in zip(order, places, strict=True)):
            return first, *order
    return None


def _ours(look: Look, spreads: Sequence[Spread | None], thinned: Sequence[int]) -> Drawn | None:
    """Our own draws go by tensor and operand: any tensor tells."""
    reading, elected = look.thinned.readings[0], look.thinned.elected is True
    kept = [reading.kept(j, elected=elected) for j in range(len(spreads))]
    ranks = [r[0] for r in map(look.thinned.ranks, range(len(spreads)))]
    tensor = _Tensor(look.names[0], 0, reading.parts.base.size, kept, ranks, spreads)
    known = {j: tensor.known(j, 0).head(SOME) for j in thinned}
    if sum(k.bits for k in known.values()) < BITS:
        return None
    for order in permutations(range(len(spreads))):
        for seed in range(OUR_SEEDS):
            draws = CounterDraws(seed, look.names[0])
            if all(known[j].fits(draws, order.index(j)) for j in thinned):
                return Drawn(seed, order, True)
    return None


def places_of(context: Context, look: Look, thinned: int) -> dict[str, int]:
    """Words that a tool took before each tensor, where ``thinned`` parents draw."""
    found, drawn = {}, 0
    for name in sorted(context.groups):
        found[name] = drawn
        operands = context.outline(name, look.operands, 0)
        if operands is not None:
            drawn += thinned * operands.elements
    return found


def draws_of(drawn: Drawn, name: str, before: int, elements: int) -> Draws:
    """The numbers of one tensor; a parent's operand is its place in the order."""
    return CounterDraws(drawn.seed, name) if drawn.ours else TorchDraws(drawn.seed, before, elements)
