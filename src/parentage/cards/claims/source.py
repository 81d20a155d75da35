"""The text of a card, bounded, with places in it."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

__all__ = ["MAX_BODY", "MAX_CHARACTERS", "Source", "source_of"]

# Metadata of cards reach megabytes of results. Of the three real cards at hand the longest text has 15,000
# characters; the worst texts that were tried take 7 seconds for what is read of them.
MAX_CHARACTERS = 2**22
MAX_BODY = 2**17
_HIDDEN = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127, 0xFEFF], " ")


@dataclass(frozen=True, slots=True)
class Source:
    """The card's text and the offset at which each of its lines begins."""

    text: str
    starts: tuple[int, ...]

    def offset_of(self, line: int) -> int:
        """Characters before a line, which counts from 1."""
        return self.starts[min(max(line, 1), len(self.starts)) - 1]

    def line_of(self, offset: int) -> int:
        """The line that holds a character."""
        return bisect.bisect_right(self.starts, offset)

    def find(self, words: str, line: int, last: int | None = None) -> tuple[int, int]:
        """Line and offset of ``words`` in the lines ``line`` to ``last``, of their beginning where markup
        stands between them, else of the line itself."""
        start = self.offset_of(line)
        end = start + 20_000 if last is None else self.offset_of(last + 1)
        if last is not None and last >= len(self.starts):
            end = len(self.text)
        for part in (words, words[:24], words.partition(" ")[0]):
            at = self.text.find(part, start, end) if part else -1
            if at >= 0:
                return self.line_of(at), at
        return line, start


def source_of(text: str) -> Source:
    """The text with line ends as ``\\n`` and control characters as spaces, cut at ``MAX_CHARACTERS``."""
    plain = text[:MAX_CHARACTERS].replace("\r\n", "\n").replace("\r", "\n").translate(_HIDDEN)
    starts = [0]
    while (at := plain.find("\n", starts[-1])) >= 0:
        starts.append(at + 1)
    return Source(plain, tuple(starts))
