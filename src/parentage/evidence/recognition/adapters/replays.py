"""Does a combination of adapters give every element of the suspect, and between which numbers?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from parentage.errors import UsageError
from parentage.evidence.recognition.adapters.sets import AdapterSet, Combined, Target
from parentage.evidence.recognition.context import Context
from parentage.methods.method import Bits, Profile, Values
from parentage.methods.registry import method
from parentage.numerics.storage.formats import ordinal, to_float32
from parentage.records.dtypes import DType

__all__ = ["Counts", "counted", "ranges_of"]

# Elements that are replayed at most, but in a full audit.
REPLAYED: Final = 2**25
# Of a combination that is cut back by singular values peft's own last bits are not reached: by element, one
# step in 16 bits; in float32 this many steps of the matrix's largest number (0.22 to 0.49 of all elements
# are equal, the others at most 1e-7 off where the largest is .3).
STEPS: Final = 4.0
# The least share of equal elements: measured .99983 to .99995 in bfloat16.
EXACT: Final = {DType.BF16: 0.998, DType.F16: 0.99, DType.F32: 0.1}
# The way from a number is divided so often, by two where a replay is cheap, by four where it decomposes.
FIRST: Final = 0.1
HALVINGS, QUARTERINGS = 20, 10


@dataclass(frozen=True, slots=True)
class Counts:
    """Elements that the recipe changes, those of them that come out, and those that are off by a last bit;
    ``left``: matrices that were not replayed."""

    tensors: tuple[str, ...]
    informative: int
    matches: int
    adjacent: int
    left: int


def counted(found: AdapterSet, recipe: Combined, context: Context) -> Counts | None:
    """Matrices replayed, the smallest first; None at the first element that does not come out."""
    names, changed, off, seen = list[str](), 0, 0, 0
    drawn, targets = found.drawn_before(recipe), _by_size(found)
    for target in targets:
        if names and seen + target.base.elements > REPLAYED and not context.full:
            break
        if recipe.seed is not None and drawn and target.base.name not in drawn:
            continue
        try:
            one = _replayed(target, found, recipe, context, drawn)
        except UsageError as error:
            # Factors of different ranks, or with what is no number: no recipe of this method.
            if error.code == "adapter-rank-large":
                continue
            return None
        if one is None:
            return None
        names.append(target.name)
        changed, off, seen = changed + one[0], off + one[1], seen + target.base.elements
    if not changed:
        return None
    return Counts(tuple(names), changed, changed - off, off, len(targets) - len(names))


def _by_size(found: AdapterSet) -> list[Target]:
    return sorted(found.targets, key=lambda t: (t.base.elements, t.name))


def _replayed(
    target: Target, found: AdapterSet, recipe: Combined, context: Context, drawn: Mapping[str, int]
) -> tuple[int, int] | None:
    """How many elements of the base changed, and how many are off by a last bit, where all come out.

    Raises ``UsageError`` where the method refuses the adapters.
    """
    dtype = target.base.dtype
    reader = found.operands(target)
    parameters = found.parameters(recipe, target, drawn.get(target.base.name, 0))
    rule = method(recipe.method).prepare(
        reader, parameters, Profile(recipe.profile, dtype, dtype), target.name
    )
    reach = STEPS * float(np.spacing(np.float32(_largest(found, target)))) if recipe.loose else 0.0
    changed = off = 0
    for start, values in reader.chunks(rows=True):
        own = context.checkpoints[0].read(target.suspect, start, values.shape[1])
        made = rule.apply(start, values)
        beside = _beside(made, own, dtype, reach, loose=recipe.loose)
        if beside is None:
            return None
        off += beside
        changed += int(np.count_nonzero(to_float32(own, dtype) != values[0]))
    return (changed, off) if off <= (1 - EXACT[dtype]) * target.base.elements else None


def _largest(found: AdapterSet, target: Target) -> float:
    largest = 0.0
    for _, values in found.operands(target).chunks():
        largest = max(largest, float(np.max(np.abs(values))))
    return largest


def _beside(made: Bits, own: Bits, dtype: DType, reach: float, *, loose: bool) -> int | None:
    """Elements that are off by a last bit; None where one is farther off."""
    differ = np.flatnonzero(made != own)
    if not differ.size:
        return 0
    if not loose:
        return None
    if dtype is DType.F32:
        gap = np.abs(_wide(made[differ], dtype) - _wide(own[differ], dtype))
        return int(differ.size) if np.all(gap <= reach) else None
    steps = np.abs(ordinal(made[differ], dtype) - ordinal(own[differ], dtype))
    return int(differ.size) if np.all(steps == 1) else None


def _wide(bits: Bits, dtype: DType) -> Values:
    return to_float32(bits, dtype)


def ranges_of(found: AdapterSet, recipe: Combined, context: Context) -> Iterator[tuple[float, ...]]:
    """Of every weight, then of the density where there is one, the nearest numbers tried that do not replay
    the smallest matrix; empty where numbers farther off do as well."""
    for k in range(len(recipe.weights)):
        yield _range(recipe.weights[k], partial(_with_weight, recipe, k), found, recipe, context)
    if "density" in recipe.shared:
        density = float(recipe.shared["density"])
        yield _range(density, partial(_with_density, recipe), found, recipe, context)


def _with_weight(recipe: Combined, k: int, value: float) -> Combined:
    weights = tuple(value if i == k else w for i, w in enumerate(recipe.weights))
    return replace(recipe, weights=weights)


def _with_density(recipe: Combined, value: float) -> Combined:
    return replace(recipe, shared={**recipe.shared, "density": value})


def _range(
    value: float,
    having: Callable[[float], Combined],
    found: AdapterSet,
    recipe: Combined,
    context: Context,
) -> tuple[float, ...]:
    ends = []
    for way in (-1, 1):
        step, end = FIRST, None
        for _ in range(QUARTERINGS if recipe.loose else HALVINGS):
            if _gives(found, having(value + way * step), context):
                break
            end = value + way * step
            step /= 4 if recipe.loose else 2
        if end is None:
            return ()
        ends.append(end)
    return tuple(ends)


def _gives(found: AdapterSet, recipe: Combined, context: Context) -> bool:
    try:
        drawn = found.drawn_before(recipe)
        known = [t for t in _by_size(found) if recipe.seed is None or not drawn or t.base.name in drawn]
        return bool(known) and _replayed(known[0], found, recipe, context, drawn) is not None
    except UsageError:
        # A density above one, or none: no recipe.
        return False
