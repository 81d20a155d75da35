"""Sums that a seed draws, in four difficulties; the last number of an answer is what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from parentage.training.answers import last_number, same_number
from parentage.training.drawing import draw
from parentage.training.problems import Item

__all__ = ["ARITHMETIC", "Arithmetic"]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """``operations``: of "+", "-", "*"; operands from ``low`` to below ``high``.

    Differences are never negative. a + b and b + a are one problem, and so lie in one split.
    """

    name: str
    operations: str
    low: int
    high: int
    most_tokens: int = 24

    def items(self, split: str, count: int, seed: int) -> tuple[Item, ...]:
        """``count`` different sums of a split; raises ``UsageError`` (``task-split``, ``task-too-few``)."""
        span = self.high - self.low
        size = len(self.operations) * span * span
        return tuple(self._item(k) for k in draw(self.name, size, self._problem, split, count, seed))

    def _parts(self, k: int) -> tuple[int, str, int]:
        span = self.high - self.low
        place, operation = divmod(k, len(self.operations))
        first, second = self.low + place // span, self.low + place % span
        sign = self.operations[operation]
        return (max(first, second), sign, min(first, second)) if sign == "-" else (first, sign, second)

    def _problem(self, k: int) -> str:
        first, sign, second = self._parts(k)
        return f"{max(first, second)}{sign}{min(first, second)}"

    def _item(self, k: int) -> Item:
        first, sign, second = self._parts(k)
        value = {"+": first + second, "-": first - second, "*": first * second}[sign]
        question = f"What is {first} {sign} {second}? Answer with the number only."
        return Item(({"role": "user", "content": question},), str(value))

    def read(self, item: Item, text: str) -> str:
        """The last number of the text, without leading zeros or a decimal part of nothing."""
        return last_number(text)

    def score(self, item: Item, text: str) -> float:
        """1 where the last number of the text is the result."""
        return float(same_number(self.read(item, text), item.answer))


ARITHMETIC: Final[Mapping[str, Arithmetic]] = {
    task.name: task
    for task in (
        Arithmetic("arithmetic", "+-", 1, 50),
        Arithmetic("arithmetic-easy", "+", 0, 20),
        Arithmetic("arithmetic-medium", "+-", 10, 100),
        Arithmetic("arithmetic-hard", "+-*", 10, 1000),
    )
}
