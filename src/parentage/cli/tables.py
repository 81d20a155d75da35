"""What ``inspect`` and ``diff`` print on a terminal.

Names come from the models under examination and are hostile until shown otherwise: they are put
into ``Text`` objects (never parsed as markup) after control characters have been written out.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from parentage.cli.streams import emit_json
from parentage.records.absence import Absent
from parentage.records.codec import to_plain
from parentage.records.difference import BaseDeltas, ComponentDifference, Difference, TensorDifference
from parentage.records.inspection import InspectedTensor, Inspection, Numbers
from parentage.records.json_files import dumps
from parentage.reports.wording import (
    bytes_text,
    clipped,
    count_text,
    plain,
    share_text,
    size_text,
    visible,
)

__all__ = ["print_difference", "print_inspection", "print_json"]

# Lines that are not read on a terminal need not be broken to fit one.
PIPE_WIDTH = 160
# Narrower consoles would break the numbers of so many columns; --json has all of them.
ALL_COLUMNS = 120
NAME_LIMIT = 72
PROSE_LIMIT = 400
DASH = "–"


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A title (``>`` before it: numbers), the cell of an item, and whether little room is enough."""

    title: str
    cell: Callable[[T], str]
    always: bool = True


def print_json(schema: str, version: int, record: object) -> None:
    """Print one record as JSON, under its schema's name and version."""
    emit_json(dumps({"schema": schema, "version": version, **to_plain(record)}))


def print_inspection(found: Inspection, *, limit: int) -> None:
    """Print one checkpoint; ``limit`` tensors and oddities at most, all when it is 0."""
    console = _console()
    total = found.total
    console.print(Text(visible(found.locator), style="bold"))
    console.print(
        Text(
            f"{count_text(total.tensors)} tensors, {count_text(total.layers)} layers, "
            f"{count_text(total.elements)} numbers, {bytes_text(total.size)}"
        )
    )
    if not isinstance(found.revision, Absent):
        console.print(Text(f"revision {visible(found.revision)}"))
    _section(console, "Weight files", _weight_files(found))
    _section(console, "Beside the weights", _side_files(found))
    _section(console, "What config.json says", _entries(found.config))
    _section(console, "What the weight files' headers say", _entries(found.metadata))
    _section(console, "Sources that its own files name (claims only)", _lines(found.declared, limit))
    _section(console, "By component", _components(found))
    _section(console, "Oddities", _lines(found.oddities, limit))
    _section(console, "Tensors by layer and role", _tensors(found, limit, _is_wide(console)))


def print_difference(found: Difference, *, limit: int) -> None:
    """Print two checkpoints compared; the ``limit`` tensors that differ most, all when it is 0."""
    console = _console()
    _section(console, "Models", _models(found))
    _section(console, "All together", _together(found))
    _section(console, "By component", _component_differences(found, _is_wide(console)))
    for grid, table in _offset_tables(found.tensors):
        _section(console, f"Units in the last place of {grid}", table)
    _section(
        console, "Tensors, those that differ most first", _differences(found, limit, _is_wide(console))
    )
    _section(console, "In one model only", _one_sided(found, limit))


def _console() -> Console:
    console = Console(highlight=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(highlight=False, width=PIPE_WIDTH)


def _is_wide(console: Console) -> bool:
    return console.width >= ALL_COLUMNS


def _section(console: Console, title: str, body: RenderableType | None) -> None:
    if body is not None:
        console.print()
        console.print(Text(title, style="bold"))
        console.print(Padding(body, (0, 0, 0, 2), expand=False))


def _table(*columns: str) -> Table:
    """A table without rules; a name that begins with ``>`` heads a column of numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        right = name.startswith(">")
        header = Text(name.removeprefix(">"))
        # Names give way on a narrow console; a number that is broken is misread.
        table.add_column(header, justify="right" if right else "left", overflow="fold", no_wrap=right)
    return table


def _columns(items: Iterable[T], columns: Sequence[Column[T]], *, wide: bool) -> Table:
    """A table of the columns that a console has room for."""
    used = [column for column in columns if wide or column.always]
    table = _table(*(column.title for column in used))
    for item in items:
        _add(table, *(column.cell(item) for column in used))
    return table


def _add(table: Table, *cells: object) -> None:
    table.add_row(*(Text(clipped(cell, NAME_LIMIT)) for cell in cells))


def _lines(lines: Sequence[str], limit: int) -> RenderableType | None:
    if not lines:
        return None
    shown, rest = _first(lines, limit)
    text = Text("\n".join(clipped(line, PROSE_LIMIT) for line in shown))
    return text.append(rest, style="dim")


def _first(items: Sequence[Any], limit: int) -> tuple[Sequence[Any], str]:
    if limit == 0 or len(items) <= limit:
        return items, ""
    return items[:limit], f"\nand {count_text(len(items) - limit)} more: --limit 0 or --json shows all"


def _with_rest(table: Table, rest: str) -> RenderableType:
    return Group(table, Text(rest.strip(), style="dim")) if rest else table


def _entries(entries: object) -> RenderableType | None:
    if isinstance(entries, Absent):
        return Text(plain(entries, "unknown"), style="dim")
    if not isinstance(entries, dict) or not entries:
        return None
    table = _table("entry", "value")
    for key, value in entries.items():
        words = str(value) if isinstance(value, (bool, int, float)) else plain(value)
        _add(table, key, words)
    return table


def _weight_files(found: Inspection) -> RenderableType:
    table = _table("file", ">size", ">tensors", "SHA-256")
    for file in found.weight_files:
        digest = plain(file.sha256, "unknown")
        _add(table, file.name, bytes_text(file.size), count_text(file.tensors), digest)
    return table


def _side_files(found: Inspection) -> RenderableType | None:
    if not found.side_files:
        return None
    table = _table("kind", "file", ">size")
    for file in found.side_files:
        size = DASH if isinstance(file.size, Absent) else bytes_text(file.size)
        _add(table, file.kind, file.name, size)
    return table


def _components(found: Inspection) -> RenderableType:
    table = _table("component", "dtype", "numbers are", ">layers", ">tensors", ">numbers", ">size")
    for row in found.components:
        _add(
            table,
            row.component,
            row.dtype,
            ", ".join(row.effective_dtypes) or DASH,
            count_text(row.layers),
            count_text(row.tensors),
            count_text(row.elements),
            bytes_text(row.size),
        )
    return table


_TENSOR_COLUMNS: tuple[Column[InspectedTensor], ...] = (
    Column(">layer", lambda t: DASH if isinstance(t.layer, Absent) else str(t.layer)),
    Column("role", lambda t: t.role),
    Column("tensor", lambda t: t.name),
    Column("dtype", lambda t: t.dtype),
    Column("numbers are", lambda t: _carried(t.numbers), always=False),
    Column("shape", lambda t: _shape(t.shape)),
    Column(">size", lambda t: bytes_text(t.size), always=False),
    Column("CRC-32", lambda t: DASH if isinstance(t.checksum, Absent) else t.checksum, always=False),
)


def _tensors(found: Inspection, limit: int, wide: bool) -> RenderableType:
    shown, rest = _first(sorted(found.tensors, key=_place), limit)
    return _with_rest(_columns(shown, _TENSOR_COLUMNS, wide=wide), rest)


def _carried(numbers: Numbers | Absent) -> str:
    return DASH if isinstance(numbers, Absent) else numbers.effective_dtype


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "one number"


def _place(t: InspectedTensor) -> tuple[int, str, list[tuple[int, str]]]:
    return (-1 if isinstance(t.layer, Absent) else t.layer, t.role, _natural(t.name))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts layer 2 before layer 10."""
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+|[0-9]", name)
    return [(int(p), "") if p[0] in "0123456789" else (-1, p) for p in parts]


def _models(found: Difference) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for role, name in (("first", found.first), ("second", found.second), ("base", found.base)):
        table.add_row(Text(role, style="dim"), Text(plain(name, "none")))
    return table


def _together(found: Difference) -> RenderableType:
    total = found.total
    lines = [
        f"{count_text(total.tensors)} tensors compared, {count_text(total.same_bits)} of them the same "
        f"in every bit examined, {count_text(total.same_values)} in every value",
        f"{count_text(total.examined)} of {count_text(total.elements)} numbers examined: "
        f"{_share(total.equal_values, total.examined)} have equal values",
        f"relative delta {_size(total.relative_delta)}"
        + (f"; {_base_words(total.base)}" if isinstance(total.base, BaseDeltas) else ""),
    ]
    if total.dtypes_differ:
        lines.append(
            f"{count_text(total.dtypes_differ)} tensors are stored in different dtypes: only their "
            "values are compared, not their bits"
        )
    apart = sum(t.first_not_finite + t.second_not_finite for t in found.tensors)
    if apart:
        lines.append(f"{count_text(apart)} numbers are NaN or infinite and count in no size")
    return Text("\n".join(lines))


def _base_words(base: BaseDeltas) -> str:
    return (
        f"from the base, the first {_size(base.first_relative)} and the second "
        f"{_size(base.second_relative)}; cosine of the two deltas {_cosine(base)}"
    )


def _component_differences(found: Difference, wide: bool) -> RenderableType:
    columns: list[Column[ComponentDifference]] = [
        Column("component", lambda c: c.component),
        Column(">tensors", lambda c: count_text(c.tensors)),
        Column(">numbers", lambda c: count_text(c.examined)),
        Column(">equal values", lambda c: _share(c.equal_values, c.examined)),
        Column(">relative delta", lambda c: _size(c.relative_delta)),
    ]
    if not isinstance(found.base, Absent):
        columns += _BASE_COLUMNS
    return _columns(found.components, columns, wide=wide)


_BASE_COLUMNS: tuple[Column[Any], ...] = (
    Column(">first–base", lambda c: _base_cell(c.base, "first_relative"), always=False),
    Column(">second–base", lambda c: _base_cell(c.base, "second_relative"), always=False),
    Column(">cosine", lambda c: DASH if isinstance(c.base, Absent) else _cosine(c.base)),
)


def _base_cell(base: BaseDeltas | Absent, name: str) -> str:
    return DASH if isinstance(base, Absent) else _size(getattr(base, name))


def _offset_tables(tensors: Iterable[TensorDifference]) -> Iterable[tuple[str, Table]]:
    """For each grid, how many numbers lie how far apart, over all tensors."""
    counts: dict[str, Counter[tuple[int, int | None]]] = {}
    for t in tensors:
        if isinstance(t.offsets, Absent):
            continue
        ranges = counts.setdefault(t.offsets.grid, Counter())
        for r in t.offsets.ranges:
            ranges[r.low, None if isinstance(r.high, Absent) else r.high] += r.count
    for grid in sorted(counts):
        table, whole = _table(">apart", ">numbers", ">share"), counts[grid].total()
        for (low, high), count in sorted(counts[grid].items(), key=lambda item: item[0][0]):
            words = count_text(low) if high in (low, None) else f"{count_text(low)} to {count_text(high)}"
            words += " or more" if high is None else ""
            _add(table, words, count_text(count), _share(count, whole))
        yield grid, table


def _equal(t: TensorDifference) -> str:
    """Equal bits, or equal values where the dtypes differ."""
    if isinstance(t.equal_bits, Absent):
        return f"{_share(t.equal_values, t.examined)} (values)"
    return _share(t.equal_bits, t.examined)


_DIFFERENCE_COLUMNS: tuple[Column[TensorDifference], ...] = (
    Column("tensor", lambda t: t.name),
    Column("dtype", lambda t: _both(t.first_dtype, t.second_dtype), always=False),
    Column(">equal", _equal),
    Column(">median", lambda t: _step(t, "median")),
    Column(">95 %", lambda t: _step(t, "percentile_95"), always=False),
    Column(">max", lambda t: _step(t, "largest")),
    Column("grid", lambda t: DASH if isinstance(t.offsets, Absent) else t.offsets.grid, always=False),
    Column(">rel. delta", lambda t: _size(t.relative_delta)),
    Column(">rms / std", lambda t: _size(t.spread_delta), always=False),
)


def _differences(found: Difference, limit: int, wide: bool) -> RenderableType:
    columns = _DIFFERENCE_COLUMNS + (() if isinstance(found.base, Absent) else _BASE_COLUMNS)
    shown, rest = _first(sorted(found.tensors, key=_nearness), limit)
    return _with_rest(_columns(shown, columns, wide=wide), rest)


def _both(first: str, second: str) -> str:
    return first if first == second else f"{first}, {second}"


def _step(t: TensorDifference, name: str) -> str:
    if isinstance(t.offsets, Absent):
        return DASH
    steps: int = getattr(t.offsets, name)
    if steps < 10**6:
        return count_text(steps)
    digits, exponent = f"{steps:.2e}".split("e")
    return f"{digits}e{int(exponent)}"


def _nearness(t: TensorDifference) -> tuple[float, float, list[tuple[int, str]]]:
    size = 0.0 if isinstance(t.relative_delta, Absent) else t.relative_delta
    equal = t.equal_values if isinstance(t.equal_bits, Absent) else t.equal_bits
    return (-size, equal / t.examined if t.examined else 1.0, _natural(t.name))


def _one_sided(found: Difference, limit: int) -> RenderableType | None:
    if not found.one_sided:
        return None
    table = _table("model", "tensor", "dtype", "shape", "reason")
    shown, rest = _first(found.one_sided, limit)
    for t in shown:
        _add(table, t.model, t.tensor, t.dtype, _shape(t.shape), t.reason)
    return _with_rest(table, rest)


def _share(count: int, whole: int) -> str:
    return share_text(count / whole) if whole else DASH


def _size(value: float | Absent) -> str:
    return DASH if isinstance(value, Absent) else size_text(value)


def _cosine(base: BaseDeltas) -> str:
    return DASH if isinstance(base.cosine, Absent) else f"{base.cosine:+.4f}"
