"""A text as words to be compared: case, width and punctuation apart, each with its place."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

__all__ = ["UNIT", "Units", "units_of"]

# A word, or one sign of a script that has no blanks.
UNIT: Final = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Units:
    """A text's words, folded, with their places in it."""

    text: str
    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]

    def between(self, first: int, last: int) -> str:
        """The text from one word up to before another, as it is written."""
        return self.text[self.spans[first][0] : self.spans[last - 1][1]] if last > first else ""


def units_of(text: str) -> Units:
    """The words of a text."""
    found = [(m[0], m.span()) for m in UNIT.finditer(text)]
    folded = tuple(unicodedata.normalize("NFKC", w).casefold() for w, _ in found)
    return Units(text, folded, tuple(s for _, s in found))
