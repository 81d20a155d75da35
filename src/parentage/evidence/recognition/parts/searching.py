"""Where no recipe makes the whole suspect: does it fall into parts, each by a rule of its own?

A rule is looked for on one matrix, followed over the others, and so on with what is left; tensors that are
a model's own come last. Only an answer that leaves no tensor over is one: a part of a model that comes out
is no merge, and what is left over may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from parentage.evidence.recognition.candidate import Candidate, Recogniser, label_of
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.parts.growing import Ground, Grown, grow, tells
from parentage.evidence.recognition.parts.places import places_of
from parentage.evidence.recognition.parts.regions import holds, regions
from parentage.evidence.recognition.parts.rules import rules_on, seeds
from parentage.evidence.recognition.parts.schedules import Scheduled, ranged
from parentage.evidence.recognition.ranges import ranges_of
from parentage.evidence.recognition.replaying import (
    Counted,
    as_record,
    control_of,
    replay_record,
    replay_tensor,
)
from parentage.merging.operands import pieces
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.recognition import EVERYWHERE, MethodReplay, MethodTensor, Numbers, Where

__all__ = ["Found", "by_parts"]

MOST_RULES: Final = 5
# Rules of one method that are followed from a matrix.
FOLLOWED: Final = 3
# Matrices that no rule makes before the search is given up.
REFUSED: Final = 2
# Tensors up to this size, and those in which the operands agree, are tried with every part's rule: several
# may make them, and the simplest regions are chosen.
SMALL: Final = 2**16
# Tensors on which ranges and controls are replayed.
PROBED: Final = 3
TAKEN_OVER: Final = Recogniser("passthrough", lambda context: ())


@dataclass(frozen=True, slots=True)
class Found:
    """``parts``: rules with their tensors, in the order of their regions, each followed by its controls.
    ``whole``: the one rule there is beside tensors taken over, replayed on every tensor; else None."""

    parts: tuple[MethodReplay, ...]
    whole: tuple[MethodReplay, ...]


def by_parts(context: Context, names: Sequence[str], left: int) -> Found | None:
    """Parts that give every element of the named tensors, where there are any; ``left`` were not read."""
    places = places_of(context)
    copied = {n: k for n in names if (k := _copied(context, n)) is not None}
    ground = Ground(context, places, tuple(names))
    found = _rules(ground, copied)
    if not found:
        return None
    given = {n for part in found for n in part.given}
    found += _taken_over(ground, [n for n in names if n not in given])
    if any(all(n not in part.given for part in found) for n in names):
        return None
    context.progress("parts of the merge", 1, 1)
    silent = {n for p in found for n, c in p.given.items() if p.known and not c.informative}
    found = [_widened(part, ground, names, silent) for part in found]
    made = {n: frozenset(k for k, p in enumerate(found) if n in p.given) for n in names}
    told = regions(made, {n: places[n].layer for n in names}, len(found))
    if told is None:
        return None
    parts = _records(told, found, ground, left)
    rules = [p for p in found if p.recogniser is not TAKEN_OVER]
    return Found(parts, _whole(rules[0], ground, names, left) if len(rules) == 1 else ())


def _rules(ground: Ground, copied: Mapping[str, int]) -> list[Grown]:
    found, refused = list[Grown](), set[str]()
    while len(found) < MOST_RULES and len(refused) < REFUSED:
        given = {n for part in found for n in part.given}
        ground = replace(ground, open=tuple(n for n in ground.open if n not in given))
        seed = next((n for n in seeds(ground, refused) if n not in copied), None)
        if seed is None:
            break
        ground.context.progress("parts of the merge", len(found), len(found) + 1)
        rules = rules_on(seed, ground)
        if rules:
            found.append(_followed(rules, seed, ground))
        else:
            refused.add(seed)
    return found


def _followed(rules: Sequence[tuple[Candidate, Recogniser]], seed: str, ground: Ground) -> Grown:
    """The rule that gives most of what is open, the first of equals."""
    best = grow(*rules[0], seed, ground)
    for candidate, one in rules[1:FOLLOWED]:
        if len(best.given) == len(ground.open):
            break
        other = grow(candidate, one, seed, ground)
        best = other if len(other.given) > len(best.given) else best
    return best


def _copied(context: Context, name: str) -> int | None:
    """The one source that the tensor equals whole; None where there is none, or all sources are alike."""
    same = [k for k in context.sources if _same(context, name, k)]
    return same[0] if same and len(same) < len(context.sources) else None


def _same(context: Context, name: str, model: int) -> bool:
    own, other = context.operands(name, (0,)), context.operands(name, (model,))
    if own is None or other is None:
        return False
    stored = own.parts[0].tensor.dtype
    for start, count in pieces(own.elements, 1):
        ours = own.read(start, count)[0]
        theirs = to_float32(round_to(other.read(start, count)[0], stored), stored)
        if not np.array_equal(ours, theirs):
            return False
    return True


def _taken_over(ground: Ground, names: Sequence[str]) -> list[Grown]:
    """Each source with the tensors that it gives as they are, the one with the most first."""
    found, rest = list[Grown](), list(names)
    while rest:
        same = {k: [n for n in rest if _same(ground.context, n, k)] for k in ground.context.sources}
        model = max(same, key=lambda k: len(same[k]))
        if not same[model]:
            break
        stored = ground.context.groups[same[model][0]].suspect.dtype
        candidate = Candidate(
            "passthrough", (model,), None, Numbers(({"scale": 1.0},)), "parentage-1", stored
        )
        given = {n: _equal(ground.places[n].elements) for n in same[model]}
        found.append(Grown(candidate, TAKEN_OVER, given, {}))
        rest = [n for n in rest if n not in given]
    return found


def _equal(elements: int) -> Counted:
    return Counted(elements, elements, 0, 0, 0, [0])


def _widened(part: Grown, ground: Ground, names: Sequence[str], silent: set[str]) -> Grown:
    """The part with all that it gives as well as another does, of small tensors and of those that tell
    nothing."""
    more = dict(part.given)
    for name in names:
        if name in more:
            continue
        if part.recogniser is TAKEN_OVER:
            if _same(ground.context, name, part.candidate.operands[0]):
                more[name] = _equal(ground.places[name].elements)
        elif name in silent or ground.places[name].elements <= SMALL:
            counted = ground.comes_out(part.having(name, ground), name)
            if counted is not None:
                more[name] = counted
    return replace(part, given=more)


def _records(
    told: Sequence[tuple[int, Where]], found: Sequence[Grown], ground: Ground, left: int
) -> tuple[MethodReplay, ...]:
    taken, parts = set[str](), list[MethodReplay]()
    for number, where in told:
        part = found[number]
        names = [n for n in part.given if n not in taken and holds(where, n, ground.places[n].layer)]
        taken |= set(names)
        tensors = tuple(_tensor(part, n, part.given[n], ground) for n in names)
        if not tensors:
            continue
        own = replace(_replay(part, tensors, ground, left, names), where=where)
        parts += [own, *_controls(part, own, ground, names)]
    return tuple(parts)


def _tensor(part: Grown, name: str, counted: Counted, ground: Ground) -> MethodTensor:
    numbers = part.having(name, ground).numbers_of(name)
    return as_record(name, counted, None if numbers == part.candidate.numbers else numbers)


def _replay(
    part: Grown, tensors: tuple[MethodTensor, ...], ground: Ground, left: int, names: Sequence[str]
) -> MethodReplay:
    stored = {ground.context.groups[n].suspect.dtype.value for n in names}
    record = replay_record(part.candidate, tensors, " ".join(sorted(stored)), left)
    if part.recogniser is TAKEN_OVER:
        return replace(record, label="")
    known = [n for n in part.known if n in names]
    if part.schedule is None:
        probed = replace(ground.context, probes=tuple(_smallest(known, ground)))
        fixed = not part.candidate.own and bool(known)
        return replace(record, ranges=ranges_of(part.candidate, probed) if fixed else ())

    def replays(schedule: Scheduled, tried: Sequence[str]) -> bool:
        other = replace(part, schedule=schedule)
        return all(ground.comes_out(other.having(n, ground), n) is not None for n in tried)

    courses = ranged(part.schedule, part.candidate, known, ground.places, replays)
    varied = {which for which, _ in part.schedule.settings}
    return replace(record, courses=courses, label=label_of(_without(part.candidate.numbers, varied)))


def _without(numbers: Numbers, varied: set[tuple[int | None, str]]) -> Numbers:
    """The numbers that hold everywhere."""
    each = tuple(
        {k: v for k, v in row.items() if (i, k) not in varied} for i, row in enumerate(numbers.each)
    )
    return Numbers(each, {k: v for k, v in numbers.shared.items() if (None, k) not in varied})


def _smallest(names: Sequence[str], ground: Ground) -> list[str]:
    return sorted(names, key=lambda n: (ground.places[n].elements, n))[:PROBED]


def _controls(part: Grown, own: MethodReplay, ground: Ground, names: Sequence[str]) -> list[MethodReplay]:
    """The part's rule on the smallest of its matrices in each control."""
    if part.recogniser is TAKEN_OVER:
        return []
    probed = _smallest([n for n in names if tells(ground, n)], ground)
    found = []
    for control in ground.context.controls:
        counts = [
            c
            for n in probed
            if (c := replay_tensor(part.having(n, ground), n, ground.context, subject=control)) is not None
        ]
        found.append(control_of(own, control, counts))
    return found


def _whole(part: Grown, ground: Ground, names: Sequence[str], left: int) -> tuple[MethodReplay, ...]:
    """The only rule there is on every tensor: those taken over count as off it."""
    tensors = []
    for name in names:
        candidate = part.having(name, ground)
        counted = part.given.get(name) or replay_tensor(
            candidate, name, ground.context, drawn=ground.before(candidate, name)
        )
        if counted is not None:
            tensors.append(_tensor(part, name, counted, ground))
    own = _replay(part, tuple(tensors), ground, left, [t.name for t in tensors])
    given = list(part.given)
    return (replace(own, where=EVERYWHERE), *_controls(part, own, ground, given))
