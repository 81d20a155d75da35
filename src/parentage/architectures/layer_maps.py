"""Which layer of another model each layer of the suspect comes from: by number, unless content clearly says
otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.layer_prints import AFAR, Likeness, compare_layers
from parentage.architectures.naming import Naming
from parentage.errors import ReadError
from parentage.records.absence import Absent

__all__ = ["LayersFound", "choose_layers", "map_layers", "shared_stacks", "stacks_compared_afar"]

Floats = NDArray[np.float64]
# Layers of one model, and of unrelated ones, correlate by some hundredths; a layer and its fine-tune by
# more than .9 (real MiniLM: above .999, against .03 and less). Between the two nothing is moved.
ALIKE = 0.5
LEAD = 0.25
TIE = 1e-3
# Text, images, sound, further tokens: no model has more stacks than these.
MOST_STACKS = 16
UNLIKE = Absent("no layer of it is like this one")


@dataclass(frozen=True, slots=True)
class LayersFound:
    """``prefix``: the suspect's names up to a layer's number.

    ``layers``: the other's number for each of the suspect's, Absent where none is like it. ``dropped``:
    the other's layers that the suspect has nowhere."""

    stack: str
    prefix: str
    layers: Mapping[int, int | Absent]
    dropped: tuple[int, ...]


def stacks_compared_afar(mine: Naming, theirs: Naming) -> list[str]:
    """Stacks whose layers are compared by content over a network: those whose numbers of layers differ."""
    if not (mine.checkpoint.by_range or theirs.checkpoint.by_range):
        return []
    return [s for s in shared_stacks(mine, theirs) if len(mine.layers(s)) != len(theirs.layers(s))]


def shared_stacks(mine: Naming, theirs: Naming) -> list[str]:
    """Stacks of several layers that both models have, as many as are compared."""
    shared = (s for s in mine.stacks() if len(mine.layers(s)) > 1 and theirs.layers(s))
    return list(islice(shared, MOST_STACKS))


def map_layers(mine: Naming, theirs: Naming, afar: bool = False) -> tuple[LayersFound, ...]:
    """A map for each stack whose layers do not all meet by number.

    Over a network content is read only where that is asked for (``afar``) and the numbers of layers differ:
    elsewhere layers meet by number, and only those that the suspect has fewer of are told
    (``afar.layers`` looks at them again, once the sample was read).
    """
    stacks = shared_stacks(mine, theirs)
    remote = mine.checkpoint.by_range or theirs.checkpoint.by_range
    find = _map_stack if not remote else _map_afar if afar else _fewer
    found = (find(mine, theirs, stack) for stack in stacks)
    return tuple(f for f in found if f is not None)


def _map_stack(mine: Naming, theirs: Naming, stack: str) -> LayersFound | None:
    likeness = compare_layers(mine, theirs, stack)
    return None if likeness is None else choose_layers(stack, mine.prefix(stack), likeness)


def _map_afar(mine: Naming, theirs: Naming, stack: str) -> LayersFound | None:
    """From few and long reads; by number where these fail, as the report says of all that lies afar."""
    found = None
    if len(mine.layers(stack)) != len(theirs.layers(stack)):
        try:
            likeness = compare_layers(mine, theirs, stack, AFAR)
        except ReadError:
            likeness = None
        found = None if likeness is None else choose_layers(stack, mine.prefix(stack), likeness)
    return found or _fewer(mine, theirs, stack)


def _fewer(mine: Naming, theirs: Naming, stack: str) -> LayersFound | None:
    """By number alone: the other's layers beyond the suspect's."""
    own, other = mine.layers(stack), theirs.layers(stack)
    if max(other) <= max(own):
        return None
    layers = {n: n if n in other else UNLIKE for n in own}
    return LayersFound(stack, mine.prefix(stack), layers, tuple(n for n in other if n not in layers))


def choose_layers(stack: str, prefix: str, likeness: Likeness) -> LayersFound | None:
    """The best counterparts; None where all layers meet by number or none is like any."""
    own, theirs = likeness.own, likeness.theirs
    filled = np.nan_to_num(likeness.correlation, nan=-1.0)
    if not (filled >= ALIKE).any():
        return None
    chosen = [_choose(filled[k], number, theirs) for k, number in enumerate(own)]
    used = set(chosen)
    dropped = tuple(n for n in theirs if n not in used)
    straight = all(number in (None, n) for n, number in zip(own, chosen, strict=True))
    # One in whose place the suspect has another is exchanged, and not dropped.
    if straight and max(theirs) <= max(own):
        return None
    layers = {n: UNLIKE if number is None else number for n, number in zip(own, chosen, strict=True)}
    return LayersFound(stack, prefix, layers, dropped)


def _choose(row: Floats, number: int, theirs: Sequence[int]) -> int | None:
    """The other's layer for one of the suspect's: its own number unless another is far more alike."""
    top = float(row.max())
    if top < ALIKE:
        return None
    by_layer = dict(zip(theirs, row.tolist(), strict=True))
    own = by_layer.get(number, -1.0)
    if own >= ALIKE and own > top - LEAD:
        return number
    # Of layers that are one another's copies, the nearest.
    alike = [n for n, r in by_layer.items() if r >= top - TIE]
    return min(alike, key=lambda n: (abs(n - number), n))
