"""Questions on three words: which is the longest, which comes first in the alphabet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from parentage.training.answers import last_option
from parentage.training.drawing import draw
from parentage.training.problems import Item

__all__ = ["WORDS", "WordChoice"]

# Nouns of three to nine letters, no two of which begin alike; none is part of another.
LIST: Final = (
    "apple", "bridge", "candle", "desk", "elephant", "forest", "garden", "hammer", "island", "jacket",
    "kettle", "lemon", "mountain", "needle", "orange", "pencil", "quilt", "river", "shoulder", "tree",
    "umbrella", "village", "window", "yard", "zebra", "anchor", "bottle", "cup", "dragon", "engine",
    "feather", "goat", "honey", "ice", "jewel", "knife", "ladder", "mirror", "nest", "ocean",
    "parrot", "queen", "rabbit", "snow", "turtle", "uncle", "violin", "wheel", "yellow", "zoo",
)  # fmt: skip


def _longest(words: Sequence[str]) -> str | None:
    """None where two are as long."""
    longest = max(words, key=len)
    return longest if sum(len(w) == len(longest) for w in words) == 1 else None


def _first(words: Sequence[str]) -> str | None:
    return min(words)


@dataclass(frozen=True, slots=True)
class WordChoice:
    """One of three words; the same three in another order are the same problem."""

    name: str
    question: str
    right: Callable[[Sequence[str]], str | None]
    most_tokens: int = 24

    def items(self, split: str, count: int, seed: int) -> tuple[Item, ...]:
        """``count`` different problems of a split; ``UsageError`` (``task-split``, ``task-too-few``)."""
        size = len(LIST) ** 3
        return tuple(self._item(k) for k in draw(self.name, size, self._problem, split, count, seed))

    def _words(self, k: int) -> tuple[str, str, str]:
        """Three different words, for every k, of which one is right."""
        n = len(LIST)
        while True:
            words = (LIST[k // n // n % n], LIST[k // n % n], LIST[k % n])
            if len(set(words)) == 3 and self.right(words) is not None:
                return words
            k += 1

    def _problem(self, k: int) -> str:
        return " ".join(sorted(self._words(k)))

    def _item(self, k: int) -> Item:
        words = self._words(k)
        answer = self.right(words) or ""
        text = f"{self.question} {words[0]}, {words[1]} or {words[2]}? Answer with the word only."
        others = tuple(w for w in words if w != answer)
        return Item(({"role": "user", "content": text},), answer, others)

    def read(self, item: Item, text: str) -> str:
        """The word of the three that is named last."""
        return last_option(text, (item.answer, *item.others))

    def score(self, item: Item, text: str) -> float:
        """1 where the word named last is the right one."""
        return float(self.read(item, text) == item.answer)


WORDS: Final[Mapping[str, WordChoice]] = {
    task.name: task
    for task in (
        WordChoice("words", "Which of these words is the longest:", _longest),
        WordChoice("words-alphabet", "Which of these words comes first in the alphabet:", _first),
    )
}
