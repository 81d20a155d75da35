"""Numbers found by the rule itself: move them until the replay is the suspect, then take the simplest.

What a rule makes of the operands is compared with the suspect, and the difference is followed back along
the rule's own response to each number (Gauss and Newton). Unlike a fit of an unrounded formula this has no
bias: at the true numbers nothing is left. Simple numbers near the estimate are tried on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.evidence.recognition.candidate import Candidate
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.nearness import nearness
from parentage.evidence.recognition.replaying import misses_any, replay_tensor
from parentage.evidence.recognition.spans import half_cells
from parentage.merging.operands import pieces
from parentage.numerics.feasible import candidates
from parentage.numerics.storage.formats import to_float64
from parentage.records.dtypes import DType
from parentage.records.recognition import Numbers

__all__ = ["Free", "moved", "refined", "replays_on"]

Floats = NDArray[np.float64]
# Other typed numbers that come to about the same as an estimate.
Readings = Callable[[Numbers], Iterable[Numbers]]
# Steps of the search; each halves what is off or better while deltas are above a grid step.
ROUNDS: Final = 6
NARROWING: Final = 10
# A step that leaves more than this of what was left leads nowhere.
SLOWEST: Final = 0.97
SMOOTH: Final = "parentage-1"
# How far a number is moved to see the rule's response.
RESPONSE: Final = 0.02
# Directions that the rule does not respond to (the size of weights that are divided by their sum).
SINGULAR: Final = 1e-2
# Steps of the last search.
COARSEST: Final = 1e-3
FINEST: Final = 1e-7
# Decimals of a typed number that are tried while the estimate still moves.
PLAIN: Final = (1, 2)
FINER: Final = (3, 4)
SIMPLEST: Final = 3
LARGEST: Final = 8.0


@dataclass(frozen=True, slots=True)
class Free:
    """A number that is looked for: of an operand, or of the merge (``operand`` None)."""

    name: str
    operand: int | None = None
    low: float = -LARGEST
    high: float = LARGEST

    def of(self, numbers: Numbers) -> float:
        """Its value."""
        row = numbers.shared if self.operand is None else numbers.each[self.operand]
        return float(row[self.name])


def moved(numbers: Numbers, free: Sequence[Free], values: Sequence[float]) -> Numbers:
    """The numbers with others in some places."""
    each, shared = [dict(row) for row in numbers.each], dict(numbers.shared)
    for one, value in zip(free, values, strict=True):
        row = shared if one.operand is None else each[one.operand]
        row[one.name] = float(min(max(value, one.low), one.high))
    return Numbers(tuple(each), shared)


def replays_on(candidate: Candidate, names: Sequence[str], context: Context) -> bool:
    """Does every informative element of these tensors come out?"""
    seen = False
    for name in names:
        if candidate.exact == 1.0:
            missed = misses_any(candidate, name, context)
            if missed:
                return False
            seen = seen or missed is not None
            continue
        counted = replay_tensor(candidate, name, context, enough=candidate.exact)
        if counted is None:
            continue
        if not counted.replays(candidate.exact):
            return False
        seen = seen or counted.informative > 0
    return seen


def _no_more(numbers: Numbers) -> Iterator[Numbers]:
    yield from ()


def refined(
    variants: Sequence[Candidate],
    free: Sequence[Free],
    context: Context,
    names: Sequence[str] = (),
    also: Readings = _no_more,
    *,
    settled_too: bool = False,
) -> Iterator[Candidate]:
    """Variants of one recipe (its arithmetics, likeliest first), each with numbers that replay ``names``
    (the probe) where there are any near its own, the simplest of them; else with the nearest found.

    The first that replays ends it; once another method did, only plain numbers are tried. A recipe that is
    far off on the first tensor is looked for no further. ``also``: what else may have been typed for them;
    ``settled_too``: even once another method replays, which may be the same in other numbers.
    """
    names = names or context.probes
    if not variants or not names:
        return
    # Our own arithmetic responds smoothly; where coefficients are rounded to 16 bits there are steps.
    smooth = next((v for v in variants if v.arithmetic == SMOOTH), variants[0])
    at = np.array([one.of(smooth.numbers) for one in free])
    limits = nearness(context.held)
    at, left = _walk(smooth, free, context, names[0], at, ROUNDS * limits.longer)
    found = list[Candidate]()
    if left <= limits.hopeful:
        for one in variants:
            typed = _typed(one, free, context, names, at, PLAIN)
            if typed is not None:
                yield typed
                return
        if context.settled and settled_too and left <= limits.near:
            here = moved(smooth.numbers, free, [float(x) for x in at])
            yield from islice(_other_readings(variants, here, context, names, also), 1)
        for one in variants if left <= limits.near and not context.settled else ():
            there, rest = _walk(one, free, context, names[0], at, NARROWING * limits.longer)
            exact = one.having(moved(one.numbers, free, [float(x) for x in there]))
            found.append(exact)
            if one.dtype is DType.F32 and (
                rest > limits.nearly or not _near(exact, free, context, names[1:], there)
            ):
                # Nothing is rounded on the way: near the right numbers nearly nothing would be left.
                continue
            better = _at_last(exact, free, context, names, also, rest)
            if better is not None:
                yield better
                return
    yield from found or [smooth.having(moved(smooth.numbers, free, [float(x) for x in at]))]


def _near(
    candidate: Candidate, free: Sequence[Free], context: Context, names: Sequence[str], at: Floats
) -> bool:
    """May numbers next to these replay the other tensors too? What was changed later has none that do."""
    limits = nearness(context.held)
    rounds = NARROWING * limits.longer
    return all(_walk(candidate, free, context, name, at, rounds)[1] <= limits.nearly for name in names)


def _other_readings(
    variants: Sequence[Candidate],
    numbers: Numbers,
    context: Context,
    names: Sequence[str],
    also: Readings,
) -> Iterator[Candidate]:
    """What else may have been typed for numbers, where it replays."""
    for other in also(numbers):
        for one in variants:
            if replays_on(one.having(other), names, context):
                yield one.having(other)


def _at_last(
    candidate: Candidate,
    free: Sequence[Free],
    context: Context,
    names: Sequence[str],
    also: Readings,
    left: float,
) -> Candidate | None:
    """Typed numbers next to where a tool's own arithmetic led, other readings of them, or any that fit."""
    at = np.array([one.of(candidate.numbers) for one in free])
    plain = _typed(candidate, free, context, names, at, PLAIN)
    if plain is not None:
        return plain
    for numbers in also(candidate.numbers):
        if replays_on(candidate.having(numbers), names, context):
            return candidate.having(numbers)
    finer = _typed(candidate, free, context, names, at, FINER)
    if finer is not None:
        return finer
    return _exactly(candidate, free, context, names) if left <= nearness(context.held).nearly else None


def _typed(
    candidate: Candidate,
    free: Sequence[Free],
    context: Context,
    names: Sequence[str],
    at: Floats,
    decimals: Sequence[int],
) -> Candidate | None:
    """Typed numbers next to an estimate that replay everything."""
    tried = set[tuple[float, ...]]()
    for digits in decimals:
        rows = [_next_to(float(x), digits) for x in at]
        for simple in product(*rows):
            if simple in tried:
                continue
            tried.add(simple)
            one = candidate.having(moved(candidate.numbers, free, simple))
            if replays_on(one, names, context):
                return one
    return None


def _next_to(value: float, digits: int) -> tuple[float, ...]:
    """The nearest decimal, and the second nearest while they are few."""
    nearest = round(value, digits)
    if digits > 2:
        return (nearest,)
    other = round(nearest + (1 if value > nearest else -1) * 10.0**-digits, digits)
    return nearest, other


def _walk(
    candidate: Candidate,
    free: Sequence[Free],
    context: Context,
    name: str,
    at: Floats,
    rounds: int,
) -> tuple[Floats, float]:
    """Step by step to where the least is left of one tensor, and how much that is (mean, half cells)."""
    best, least = at, np.inf
    for _ in range(rounds):
        further, left = _step(candidate, free, context, name, at)
        before, least, best = least, *((left, at) if left < least else (least, best))
        if further is None or left == 0 or left > SLOWEST * before or np.abs(further - at).max() < 1e-9:
            break
        at = further
    return best, float(least)


def _exactly(
    candidate: Candidate, free: Sequence[Free], context: Context, names: Sequence[str]
) -> Candidate | None:
    """Numbers without a short name: the larger tensors narrow down what the first allows."""
    at = np.array([one.of(candidate.numbers) for one in free])
    for name in names:
        at, left = _walk(candidate, free, context, name, at, NARROWING)
        if left > nearness(context.held).nearly:
            return None
        exact = candidate.having(moved(candidate.numbers, free, [float(x) for x in at]))
        if replays_on(exact, names, context):
            return _simplest(exact, free, context, names)
    at = _polished(candidate, free, context, names, at)
    exact = candidate.having(moved(candidate.numbers, free, [float(x) for x in at]))
    return _simplest(exact, free, context, names) if replays_on(exact, names, context) else None


def _polished(
    candidate: Candidate, free: Sequence[Free], context: Context, names: Sequence[str], at: Floats
) -> Floats:
    """Where single elements are off, each number is moved by itself, in steps that are halved."""

    def off(values: Floats) -> int:
        one = candidate.having(moved(candidate.numbers, free, [float(x) for x in values]))
        counts = [replay_tensor(one, name, context) for name in names]
        return sum(c.informative - c.matches for c in counts if c is not None)

    least, step = off(at), COARSEST
    while least and step > FINEST:
        better = False
        for k in range(len(free)):
            for way in (step, -step):
                aside = at.copy()
                aside[k] += way
                if (here := off(aside)) < least:
                    at, least, better = aside, here, True
        step = step if better else step / 2
    return at


def _step(
    candidate: Candidate, free: Sequence[Free], context: Context, name: str, at: Floats
) -> tuple[Floats | None, float]:
    """One step towards where nothing is left, and what is left here; None where the rule refuses or does
    not respond."""
    wanted = context.probe(name).values[0]
    half = context.once(f"half cells {name}", lambda: _half_cells(wanted, context))
    here = _made(candidate, free, context, name, at)
    if here is None:
        return None, np.inf
    finite = np.isfinite(wanted) & np.isfinite(here)
    left = nearness(context.held).clipped(np.where(finite, (wanted - here) / half, 0.0))
    far = float(np.abs(left).mean())
    if far == 0.0:
        return None, far
    columns = []
    for k in range(len(free)):
        aside = np.zeros(len(free))
        aside[k] = RESPONSE
        up, down = (
            _made(candidate, free, context, name, at + way * aside, unrounded=True) for way in (1, -1)
        )
        if up is None or down is None:
            return None, far
        columns.append((up - down) / (2 * RESPONSE))
    matrix = np.stack([np.where(finite, c / half, 0.0) for c in columns], axis=1)
    if not (np.abs(matrix).sum(axis=0) > 0).all():
        return None, far
    size = np.linalg.norm(matrix, axis=0)
    change = np.linalg.lstsq(matrix / size, left, rcond=SINGULAR)[0] / size
    low, high = (np.array([getattr(one, side) for one in free]) for side in ("low", "high"))
    return np.clip(at + np.clip(change, -0.5, 0.5), low, high), far


def _half_cells(wanted: Floats, context: Context) -> Floats:
    half = half_cells(wanted, context.held)
    # Numbers next to zero have the finest cells, and would lead alone.
    return np.maximum(half, np.median(half))


def _made(
    candidate: Candidate,
    free: Sequence[Free],
    context: Context,
    name: str,
    at: Floats,
    *,
    unrounded: bool = False,
) -> Floats | None:
    """What the rule makes of one tensor with these numbers, as float64 [n]; ``unrounded``: in our float32,
    where it exists, for a response that is not lost in grid steps."""
    one = candidate.having(moved(candidate.numbers, free, [float(x) for x in at]))
    unrounded = unrounded and SMOOTH in one.rule.profiles
    if unrounded:
        one = replace(one, arithmetic=SMOOTH, dtype=DType.F32)
    operands = context.operands(name, one.operands, one.base)
    if operands is None:
        return None
    stored = DType.F32 if unrounded else context.groups[name].suspect.dtype
    profile = one.profile(stored)
    parts = []
    try:
        rule = one.rule.prepare(operands, one.parameters(name), profile, name)
    except UsageError:
        return None
    for start, count in pieces(operands.elements, rule.granularity):
        with np.errstate(all="ignore"):
            parts.append(to_float64(rule.apply(start, operands.read(start, count)), stored))
    return np.concatenate(parts)


def _simplest(
    candidate: Candidate, free: Sequence[Free], context: Context, names: Sequence[str]
) -> Candidate:
    """Numbers that need the fewest characters among those that replay as well."""
    rows = []
    for one in free:
        value = one.of(candidate.numbers)
        low, high = (_reach(candidate, one, value, way, context, names) for way in (-1, 1))
        rows.append([*candidates.simplest_in(low, high, SIMPLEST), value])
    for values in _cheapest_first(rows):
        simple = candidate.having(moved(candidate.numbers, free, values))
        if replays_on(simple, names, context):
            return simple
    return candidate


def _cheapest_first(rows: Sequence[Sequence[float]]) -> Iterator[tuple[float, ...]]:
    every = list(product(*rows))[:64]
    yield from sorted(every, key=lambda v: (sum(candidates.description_length(x) for x in v), v))


def _reach(
    candidate: Candidate, one: Free, value: float, way: int, context: Context, names: Sequence[str]
) -> float:
    """The farthest value, of those that halving comes to, that still replays."""
    step = 2.0**-4
    for _ in range(22):
        if replays_on(
            candidate.having(moved(candidate.numbers, (one,), (value + way * step,))), names, context
        ):
            return value + way * step
        step /= 2
    return value
