"""The HTML in a card: its visible text and its tables. Nothing in it runs, nothing is fetched."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

__all__ = ["Cell", "MarkupReader", "Table"]

_UNSEEN = frozenset({"script", "style", "template", "noscript", "iframe", "object", "svg", "head"})
_BREAKS = frozenset(
    "p div br li ul ol h1 h2 h3 h4 h5 h6 table tr section article header footer".split()  # noqa: SIM905
) | {"details", "summary", "pre", "hr", "dd", "dt"}
MAX_COLUMNS = 64
MAX_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its visible text, and the line that it begins on."""

    text: str
    line: int


@dataclass(slots=True)
class Table:
    """Rows of cells; the first is the header."""

    rows: list[list[Cell]] = field(default_factory=list)


class MarkupReader(HTMLParser):
    """Reads the pieces of HTML of one card in turn; text and tables gather in ``texts`` and ``tables``."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[tuple[str, int]] = []
        self.tables: list[Table] = []
        self._first = 0
        self._unseen = 0
        self._depth = 0
        self._text: list[str] = []
        self._text_line = 0
        self._cell: list[str] | None = None
        self._cell_line = 0

    def read(self, piece: str, line: int) -> None:
        """A piece that begins on ``line``; an element may begin in one piece and end in a later one."""
        self.reset()
        self._first = line
        self.feed(piece)
        self.close()
        self._flush()

    def _line(self) -> int:
        return self._first + self.getpos()[0] - 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens a block, a table or a cell."""
        if tag in _UNSEEN:
            self._unseen += 1
        if tag in _BREAKS:
            self._flush()
        if tag == "table":
            self._depth += 1
            self.tables.append(Table())
        elif tag == "tr" and self._depth and len(self.tables[-1].rows) < MAX_ROWS:
            self.tables[-1].rows.append([])
        elif tag in ("td", "th") and self._depth:
            self._end_cell()
            self._cell, self._cell_line = [], self._line()

    def handle_endtag(self, tag: str) -> None:
        """Closes what the tag opened."""
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        if tag in ("td", "th", "tr", "table"):
            self._end_cell()
        if tag == "table":
            self._depth = max(0, self._depth - 1)
        if tag in _BREAKS:
            self._flush()

    def handle_data(self, data: str) -> None:
        """Visible text, to the cell or the block that it stands in."""
        if self._unseen:
            return
        if self._cell is not None:
            self._cell.append(data)
        elif not self._depth:
            if not self._text:
                # A block may begin with empty lines: its words stand where the first of them does.
                blank = len(data) - len(data.lstrip())
                self._text_line = self._line() + data[:blank].count("\n")
            self._text.append(data)

    def _end_cell(self) -> None:
        if self._cell is None:
            return
        rows = self.tables[-1].rows
        if rows and len(rows[-1]) < MAX_COLUMNS:
            rows[-1].append(Cell(_spaced("".join(self._cell)), self._cell_line))
        self._cell = None

    def _flush(self) -> None:
        text = _spaced("".join(self._text))
        if text and self._cell is None:
            self.texts.append((text, self._text_line))
        self._text = []


def _spaced(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
