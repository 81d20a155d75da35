"""A rule that makes one tensor, followed over the others: with its numbers, with numbers of their own, and
with numbers that run over the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Final

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.parts.places import Place, alone
from parentage.evidence.recognition.parts.schedules import Scheduled, Which, schedules
from parentage.evidence.recognition.replaying import Counted, comes_out, drawn_before
from parentage.records.recognition import Numbers

__all__ = ["LEAST", "Ground", "Grown", "grow", "tells"]

# Informative elements below which a tensor's own numbers say nothing.
LEAST: Final = 200
SMALLEST: Final = 1024
LARGEST: Final = 2**22
# Tensors in a row, away from the first, that have no such numbers: the rule ends before them.
ENDS: Final = 2
# Proposals for one tensor that are replayed.
PROPOSED: Final = 12
# How much of a change stays, which runs over a model more often than weights do.
# How far to either side a tensor's span of shares is looked for, and how often the way is halved.
REACH, LEAST_SHARE, SPAN_HALVINGS = 0.25, 1e-3, 9
THINNING: Final = ("density", "gamma", "epsilon")


@dataclass(frozen=True)
class Ground:
    """What is still to be explained: the audit, where its tensors lie, and which are open. ``drawn``: of
    each rule, the random words before each tensor."""

    context: Context
    places: Mapping[str, Place]
    open: tuple[str, ...]
    drawn: dict[str, dict[str, int]] = field(default_factory=dict)

    def before(self, candidate: Candidate, name: str) -> int:
        """Random words that a tool took before a tensor."""
        if candidate.rule.random is None:
            return 0
        if candidate.label not in self.drawn:
            self.drawn[candidate.label] = drawn_before(candidate, self.context)
        return self.drawn[candidate.label].get(name, 0)

    def comes_out(self, candidate: Candidate, name: str) -> Counted | None:
        """The counts where every element comes out; None elsewhere."""
        return comes_out(candidate, name, self.context, drawn=self.before(candidate, name))


@dataclass(frozen=True)
class Grown:
    """A rule with its numbers, and the tensors that it gives whole."""

    candidate: Candidate
    recogniser: Recogniser
    given: Mapping[str, Counted]
    known: Mapping[str, Numbers]
    schedule: Scheduled | None = None

    def having(self, name: str, ground: Ground) -> Candidate:
        """The candidate as it makes one tensor, open or not."""
        if self.schedule is not None:
            return self.candidate.giving(name, self.schedule.numbers(self.candidate, name, ground.places))
        return self.candidate


def tells(ground: Ground, name: str) -> bool:
    """Is it a matrix of a size at which numbers are looked for?"""
    shape = ground.context.groups[name].suspect.shape
    size = ground.places[name].elements
    return len([n for n in shape if n > 1]) >= 2 and SMALLEST <= size <= LARGEST


def grow(first: Candidate, one: Recogniser, seed: str, ground: Ground) -> Grown:
    """All open tensors that the rule gives, with the shortest numbers that do."""
    given = {n: c for n in ground.open if (c := ground.comes_out(first, n)) is not None}
    known = {n: first.numbers for n, c in given.items() if tells(ground, n) and c.informative >= LEAST}
    grown = Grown(first, one, given, known)
    if len(given) == len(ground.open) or not _numeric(first.numbers):
        return grown
    for names in _stacks(seed, ground):
        found = _outward(first, one, seed, [n for n in names if n not in known], known, ground)
        if not found and len(known) > 1:
            continue
        known = {**known, **found}
        grown = _better(grown, _scheduled(first, one, known, ground))
        if len(grown.given) == len(ground.open):
            return grown
    return _better(grown, _by_tensor(first, one, given, known, ground))


def _numeric(numbers: Numbers) -> bool:
    """Has the recipe numbers that may differ from tensor to tensor?"""
    rows = (*numbers.each, numbers.shared)
    return any(isinstance(v, float) for row in rows for v in row.values())


def _better(one: Grown, other: Grown | None) -> Grown:
    return one if other is None or len(other.given) <= len(one.given) else other


def _stacks(seed: str, ground: Ground) -> Iterator[list[str]]:
    """Open matrices by role, by layer; the seed's role first, then the roles of smaller ones."""
    roles: dict[str, list[str]] = {}
    for name in ground.open:
        if tells(ground, name):
            roles.setdefault(ground.places[name].role, []).append(name)
    own = ground.places[seed].role
    sizes = {role: min(ground.places[n].elements for n in names) for role, names in roles.items()}
    for role in sorted(roles, key=lambda r: (r != own, sizes[r], r)):
        yield sorted(roles[role], key=lambda n: (_layer(ground, n), n))


def _layer(ground: Ground, name: str) -> int:
    found = ground.places[name].layer
    return -1 if found is None else found


def _outward(
    first: Candidate,
    one: Recogniser,
    seed: str,
    names: Sequence[str],
    known: Mapping[str, Numbers],
    ground: Ground,
) -> dict[str, Numbers]:
    """Own numbers of a role's tensors, from the seed's layer up and down, until the rule ends."""
    found, at = dict[str, Numbers](), _layer(ground, seed)
    above = [n for n in names if _layer(ground, n) >= at]
    below = [n for n in reversed(names) if _layer(ground, n) < at]
    for side in (above, below):
        missed, nearest = 0, first
        for name in side:
            numbers = _own_numbers(nearest, one, name, ground)
            missed = missed + 1 if numbers is None else 0
            if numbers is not None:
                # A neighbour's numbers are a nearer start than the seed's.
                found[name], nearest = numbers, first.having(numbers)
            elif missed == ENDS:
                break
    return found


def _own_numbers(first: Candidate, one: Recogniser, name: str, ground: Ground) -> Numbers | None:
    """Numbers with which the rule gives one tensor, where it has any."""
    here = alone(ground.context, name)
    ground = replace(ground, context=here)
    own = one.own(here, first, name) if one.looks_alone else ()
    for numbers in islice(chain(own, _proposed(first, one, here)), PROPOSED):
        counted = ground.comes_out(first.giving(name, numbers), name)
        if counted is not None and counted.informative >= LEAST:
            return numbers
    return None


def _proposed(first: Candidate, one: Recogniser, here: Context) -> Iterator[Numbers]:
    for found in one.propose(here):
        same = (found.method, found.operands, found.base) == (first.method, first.operands, first.base)
        computed = (found.arithmetic, found.dtype) == (first.arithmetic, first.dtype)
        if same and computed and _switches(found.numbers) == _switches(first.numbers):
            # Weights that one tensor does not tell from others are rather those of the first.
            yield _thinned_as(first.numbers, found.numbers)
            yield found.numbers


def _thinned_as(first: Numbers, found: Numbers) -> Numbers:
    """The first's weights with the shares of elements that were found."""
    each = tuple(
        {k: found.each[i].get(k, v) if k in THINNING else v for k, v in row.items()}
        for i, row in enumerate(first.each)
    )
    return replace(first, each=each)


def _switches(numbers: Numbers) -> list[tuple[str, bool]]:
    return sorted((k, v) for k, v in numbers.shared.items() if isinstance(v, bool))


def _scheduled(
    first: Candidate, one: Recogniser, known: Mapping[str, Numbers], ground: Ground
) -> Grown | None:
    """The first setting near all known numbers that replays all of their tensors, and what it gives."""
    ordered = sorted(known, key=lambda n: (ground.places[n].elements, n))

    def span(name: str, which: Which) -> tuple[float, float]:
        return _span(first, known[name], name, which, ground)

    for schedule in schedules(first, known, ground.places, span):
        grown = Grown(first, one, {}, known, schedule)
        if all(ground.comes_out(grown.having(n, ground), n) is not None for n in ordered):
            given = {
                n: c for n in ground.open if (c := ground.comes_out(grown.having(n, ground), n)) is not None
            }
            return replace(grown, given=given)
    return None


def _span(
    first: Candidate, numbers: Numbers, name: str, which: Which, ground: Ground
) -> tuple[float, float]:
    """The least and the largest share that halving finds to give the whole tensor."""
    operand, parameter = which
    value = float((numbers.shared if operand is None else numbers.each[operand])[parameter])

    def gives(share: float) -> bool:
        if operand is None:
            moved = replace(numbers, shared={**numbers.shared, parameter: share})
        else:
            rows = [{**r, parameter: share} if k == operand else r for k, r in enumerate(numbers.each)]
            moved = replace(numbers, each=tuple(rows))
        return ground.comes_out(first.giving(name, moved), name) is not None

    ends = []
    for end in (max(value - REACH, LEAST_SHARE), min(value + REACH, 1.0)):
        inside, outside = value, end
        if gives(end):
            inside = end
        for _ in range(0 if inside == end else SPAN_HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if gives(middle) else (inside, middle)
        ends.append(inside)
    return ends[0], ends[1]


def _by_tensor(
    first: Candidate,
    one: Recogniser,
    given: Mapping[str, Counted],
    known: Mapping[str, Numbers],
    ground: Ground,
) -> Grown:
    """Each tensor with its own numbers; small ones with those of a matrix of their layer."""
    found, own = dict(given), {n: v for n, v in known.items() if v != first.numbers}
    for name in ground.open:
        if name in found:
            continue
        layer = ground.places[name].layer
        tried = [own[name]] if name in own else _of_layer(own, layer, ground)
        for numbers in tried:
            counted = ground.comes_out(first.giving(name, numbers), name)
            if counted is not None:
                found[name], own[name] = counted, numbers
                break
    kept = {n: v for n, v in own.items() if n in found and n not in given}
    return Grown(replace(first, own=kept), one, found, known)


def _of_layer(own: Mapping[str, Numbers], layer: int | None, ground: Ground) -> list[Numbers]:
    rows = [v for n, v in own.items() if ground.places[n].layer == layer]
    return [v for k, v in enumerate(rows) if v not in rows[:k]][:3]
