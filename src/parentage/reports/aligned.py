"""Rows of a terminal that are a table where there is room for one, and lines where there is not."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

__all__ = ["Aligned", "indented"]

GAP = 2


def indented(body: RenderableType) -> RenderableType:
    """Two columns to the right."""
    return Padding(body, (0, 0, 0, 2), expand=False)


class Aligned:
    """Rows of cells as a table, where every cell fits on its line, else the first above the others.

    ``spare`` columns at the right give way first: they repeat what the others say.
    """

    def __init__(self, rows: Sequence[Sequence[Text]], head: Sequence[str] = (), spare: int = 0) -> None:
        self.rows, self.head, self.spare = rows, head, spare

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = len(self.rows[0])
        for count in (columns, columns - self.spare):
            if self._width(count) <= options.max_width:
                yield self._table(count)
                return
        for row in self.rows:
            yield row[0]
            yield indented(Text("  ").join(self._labelled(row)))

    def _width(self, count: int) -> int:
        titles = [Text(title) for title in self.head[:count]]
        lines = [*self.rows, titles] if titles else self.rows
        widest = [max(line[k].cell_len for line in lines) for k in range(count)]
        return sum(widest) + GAP * (count - 1)

    def _table(self, count: int) -> Table:
        table = Table.grid(padding=(0, GAP))
        for _ in range(count):
            table.add_column(no_wrap=True)
        if self.head:
            table.add_row(*(Text(title, style="dim") for title in self.head[:count]))
        for row in self.rows:
            table.add_row(*row[:count])
        return table

    def _labelled(self, row: Sequence[Text]) -> list[Text]:
        kept = row[1 : len(row) - self.spare]
        if not self.head:
            return [cell for cell in kept if cell]
        return [
            Text(f"{title} ", style="dim") + cell for title, cell in zip(self.head[1:], kept, strict=True)
        ]
