"""How far a recovered number may move before the probe no longer replays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from parentage.evidence.recognition.candidate import Candidate
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.replaying import drawn_before, misses_any, replay_tensor
from parentage.records.absence import Absent
from parentage.records.recognition import Numbers, RangeOf

__all__ = ["ranges_of"]

# The way from a value is halved from a tenth down to a ten-millionth.
FIRST: Final = 0.1
HALVINGS: Final = 20
SHARED: Final = Absent("a parameter of the merge")


def ranges_of(candidate: Candidate, context: Context) -> tuple[RangeOf, ...]:
    """One range a number that the replay depends on: its ends are the nearest values tried that do not.

    Farther values were not excluded one by one: they are by what a replay is, a count that falls with the
    distance from the truth.
    """
    found = []
    for operand, name, value in _numbers(candidate):
        if _free(candidate, name, operand):
            low = _end(candidate, context, operand, name, value, -1)
            high = _end(candidate, context, operand, name, value, 1)
            if low is None or high is None:
                continue
            found.append(RangeOf(name, SHARED if operand is None else operand, value, low, high))
    return tuple(found)


def _numbers(candidate: Candidate) -> Iterator[tuple[int | None, str, float]]:
    for k, row in enumerate(candidate.numbers.each):
        for name, value in row.items():
            if isinstance(value, float):
                yield k, name, value
    for name, value in candidate.numbers.shared.items():
        if isinstance(value, float):
            yield None, name, value


def _free(candidate: Candidate, name: str, operand: int | None) -> bool:
    declared = next((d for d in candidate.rule.parameters if d.name == name), None)
    return declared is not None and declared.kind == "number" and declared.low < declared.high


def _end(
    candidate: Candidate, context: Context, operand: int | None, name: str, value: float, way: int
) -> float | None:
    """The nearest excluded value that halving comes to; None where the farthest replays as well."""
    step, end = FIRST, None
    for _ in range(HALVINGS):
        moved = value + way * step
        if _replays(candidate.having(_moved(candidate.numbers, operand, name, moved)), context):
            break
        end = moved
        step /= 2
    return end


def _moved(numbers: Numbers, operand: int | None, name: str, value: float) -> Numbers:
    if operand is None:
        return Numbers(numbers.each, {**numbers.shared, name: value})
    each = [{**row, name: value} if k == operand else row for k, row in enumerate(numbers.each)]
    return Numbers(tuple(each), numbers.shared)


def _replays(candidate: Candidate, context: Context) -> bool:
    drawn = drawn_before(candidate, context)
    for name in context.probes:
        if candidate.exact == 1.0:
            if misses_any(candidate, name, context, drawn=drawn.get(name, 0)):
                return False
            continue
        counted = replay_tensor(candidate, name, context, enough=candidate.exact, drawn=drawn.get(name, 0))
        if counted is not None and not counted.replays(candidate.exact):
            return False
    return True
