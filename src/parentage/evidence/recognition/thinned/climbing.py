"""From numbers that are nearly right to those that replay: one after the other, by the replay itself.

What a merge keeps falls smoothly with the distance of each share and weight from the truth, so that the
count of replayed elements leads: each number is moved through what may have been typed for it, the others
held. A recipe that gives the whole first tensor is then held against all that were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from parentage.evidence.recognition.candidate import Candidate
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.replaying import drawn_before, replay_tensor
from parentage.methods.estimates.numbers import Typed
from parentage.records.dtypes import DType

__all__ = ["Begun", "Climb", "Given", "every_arithmetic", "likeliest"]

Row = Mapping[str, Any]
Moves = Mapping[str, Sequence[float]]
# Rounds through all numbers.
ROUNDS: Final = 3
# Recipes that a climb has before it is given more, of the method that starts nearest, and of each other.
START: Final = 8
BUDGET: Final = 260
LATER: Final = 60
# The same of each round through finer numbers: hundredths of a share of which a third is left, and more.
FINER: Final = 200
# Looks at a ratio of weights, ratios at one look, and the share of a recipe below which numbers are not it.
LOOKS: Final = 3
RATIOS: Final = 7
HOPELESS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Given:
    """What is moved: a ``row`` of shares for each parent, and weights ``typed``."""

    rows: tuple[Row, ...]
    typed: Typed


class Climb:
    """The best recipe so far on tensors: the share of the first, and of all once that is 1."""

    def __init__(self, context: Context, names: Sequence[str], made: Callable[[Given], Candidate]) -> None:
        self._context, self._names, self._made = context, names, made
        self._seen = dict[str, tuple[float, float]]()
        self.budget = START
        self.arithmetic = ""
        self.given: Given | None = None
        self.candidate: Candidate | None = None
        self.best = (-1.0, -1.0)

    @property
    def exact(self) -> bool:
        """Does it give every element?"""
        return self.best == (1.0, 1.0)

    @property
    def over(self) -> bool:
        """Is there nothing more to try?"""
        return self.exact or self.budget <= 0

    def start(self, given: Given, arithmetics: Sequence[str]) -> None:
        """From one recipe, in the arithmetic that gives most of it: of changes of one size, which are many
        where parents are stored in 16 bits, two tools keep different ones."""
        best = (-2.0, -2.0), ""
        for name in arithmetics:
            self.arithmetic = name
            best = max(best, (self.tries(given), name), key=lambda x: x[0])
        self.arithmetic = best[1]

    def tries(self, given: Given) -> tuple[float, float]:
        """What one recipe gives; kept where it is the best."""
        made = self._made(given)
        candidate = replace(made, arithmetic=self.arithmetic or made.arithmetic)
        key = f"{candidate.arithmetic} {candidate.label}"
        if key not in self._seen:
            if self.budget <= 0:
                return -1.0, -1.0
            self.budget -= 1
            self._seen[key] = self._score(candidate)
        score = self._seen[key]
        if score > self.best:
            self.best, self.given, self.candidate = score, given, candidate
        return score

    def all_of(self, tried: Iterable[Given]) -> None:
        """Each until one gives everything."""
        for given in tried:
            if self.over:
                return
            self.tries(given)

    def _score(self, candidate: Candidate) -> tuple[float, float]:
        drawn = drawn_before(candidate, self._context)

        def share(name: str, enough: float) -> tuple[int, int]:
            counted = replay_tensor(candidate, name, self._context, enough=enough, drawn=drawn.get(name, 0))
            return (0, 1) if counted is None else (counted.matches, counted.informative)

        matches, whole = share(self._names[0], max(min(self.best[0], 1.0) - 0.05, 0.0))
        if matches < whole or not whole:
            return (matches / whole if whole else 0.0), -1.0
        for name in self._names[1:]:
            more, of = share(name, 0.0)
            matches, whole = matches + more, whole + of
        return 1.0, matches / whole


@dataclass(frozen=True, slots=True)
class Begun:
    """A climb that was started, and what may have been typed: ``rows`` for each parent, ``numbers``
    (weights, simplest first), and scales of weights to look ``along`` before. ``finer``: what else may have
    been typed for a parent's shares, number by number, where the first tensor allows many."""

    climb: Climb
    rows: Sequence[Sequence[Row]]
    numbers: Sequence[Typed]
    along: Sequence[Sequence[Typed]] = ()
    finer: Sequence[Moves] = ()

    @classmethod
    def of(
        cls,
        climb: Climb,
        rows: Sequence[Sequence[Row]],
        numbers: Sequence[Typed],
        along: Sequence[Sequence[Typed]],
        arithmetics: Sequence[str],
        finer: Sequence[Moves] = (),
    ) -> Begun | None:
        """Started from the simplest numbers; None where none fit."""
        if not rows or not all(rows) or not numbers:
            return None
        first = along[0][len(along[0]) // 2] if along else numbers[0]
        climb.start(Given(tuple(r[0] for r in rows), first), arithmetics)
        return cls(climb, rows, numbers, along, finer)


def likeliest(begun: Sequence[Begun]) -> Iterator[Candidate]:
    """The first recipe that gives everything that was read, in every arithmetic; else what gives the most.

    What starts nearest is climbed first; the others have fewer recipes to go.
    """
    ordered = sorted(begun, key=lambda b: b.climb.best, reverse=True)
    for place, b in enumerate(ordered):
        b.climb.budget = LATER if place else BUDGET
        _climbed(b.climb, b.rows, b.numbers, b.along)
        _settled(b.climb, b.finer)
        if b.climb.exact and b.climb.candidate is not None:
            yield from every_arithmetic(b.climb.candidate)
            return
    best = max(ordered, key=lambda b: b.climb.best, default=None)
    if best is not None and best.climb.candidate is not None:
        yield best.climb.candidate


def every_arithmetic(candidate: Candidate) -> Iterator[Candidate]:
    """The recipe in each arithmetic of its dtype."""
    for profile in candidate.rule.profiles:
        if not profile.startswith("parentage") or candidate.dtype is DType.F32:
            yield replace(candidate, arithmetic=profile)


def _climbed(
    climb: Climb,
    rows: Sequence[Sequence[Row]],
    numbers: Sequence[Typed],
    ratios: Sequence[Sequence[Typed]] = (),
) -> None:
    """From where it was started to a recipe that gives everything, or as far as its budget goes."""
    for round_ in range(ROUNDS):
        if climb.over or climb.best[0] < HOPELESS:
            return
        before = climb.best
        for k in range(len(rows)):
            climb.all_of(_rows(climb, k, rows[k]))
        for scale in ratios if round_ == 0 else ():
            _along(climb, scale)
        near = _near(climb, numbers) if ratios else numbers
        climb.all_of(Given(_now(climb).rows, t) for t in near)
        if climb.best == before:
            return


def _settled(climb: Climb, finer: Sequence[Moves]) -> None:
    """Shares of which the first tensor allows many are told by the others, one number after the other."""
    for _ in range(ROUNDS):
        if climb.exact or climb.best[0] < 1.0:
            return
        before, climb.budget = climb.best, FINER
        for k, moves in enumerate(finer):
            for name, values in moves.items():
                climb.all_of(_moved(climb, k, name, values))
        if climb.best == before:
            return


def _moved(climb: Climb, k: int, name: str, values: Sequence[float]) -> Iterator[Given]:
    for value in values:
        now = _now(climb)
        row = {**now.rows[k], name: value}
        yield replace(now, rows=(*now.rows[:k], row, *now.rows[k + 1 :]))


def _now(climb: Climb) -> Given:
    assert climb.given is not None
    return climb.given


def _rows(climb: Climb, k: int, options: Sequence[Row]) -> Iterator[Given]:
    for row in options:
        now = _now(climb)
        yield replace(now, rows=(*now.rows[:k], row, *now.rows[k + 1 :]))


def _along(climb: Climb, scale: Sequence[Typed]) -> None:
    """To where most is given along a scale of weights, each look between the neighbours of the best."""
    low, high = 0, len(scale) - 1
    for _ in range(LOOKS):
        step = max((high - low) // (RATIOS - 1), 1)
        places = [*range(low, high, step), high]
        rows = _now(climb).rows
        given = [(climb.tries(Given(rows, scale[i])), -abs(2 * i - low - high), i) for i in places]
        at = max(given)[2]
        low, high = max(at - step, 0), min(at + step, len(scale) - 1)
        if step == 1:
            break


def _near(climb: Climb, numbers: Sequence[Typed]) -> list[Typed]:
    """Typed weights whose ratios are nearest to those that were found, in steps of their length."""
    found = _now(climb).typed.weights

    def off(t: Typed) -> float:
        pairs = zip(t.weights[1:], found[1:], strict=True)
        return max(abs(a * found[0] / (b * t.weights[0]) - 1) for a, b in pairs)

    return sorted(numbers, key=lambda t: (round(off(t) / CLOSE), t.length))


# Ratios that are as near as this are told apart by their length alone.
CLOSE: Final = 2.0**-9
