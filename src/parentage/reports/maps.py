"""Maps of a model, layer by component: coloured by a parent's weight, by match, by difference.

A map is a table of short texts, each with a colour class and a full reading, so that it can be
read without seeing its colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeVar

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.findings import PartDifference
from parentage.records.report import Report, TensorVerdict
from parentage.reports.headline import COPIES
from parentage.reports.stacks import Place, column_of, column_rank, place_of
from parentage.reports.wording import count_text, is_open, match_text, relation_words, size_text

__all__ = [
    "DIFFERENCE_STEPS",
    "MATCH_STEPS",
    "MAX_COLUMNS",
    "MAX_ROWS",
    "MAX_STACKS",
    "WEIGHT_STEPS",
    "Cell",
    "Grid",
    "Map",
    "Step",
    "difference_maps",
    "difference_step",
    "match_map",
    "match_step",
    "weight_maps",
    "weight_step",
]

# A relation held by less than this share of a cell's elements is a bias vector's or a norm's, too
# small to be told well, and does not make the cell mixed.
MINOR = 0.05
# The largest open models have 126 layers and some 20 components; a file may claim a million.
MAX_ROWS: Final = 200
MAX_COLUMNS: Final = 40
MAX_STACKS: Final = 6
WEIGHT_STEPS: Final = 11
MATCH_STEPS: Final[tuple[tuple[float, str], ...]] = (
    (1.0, "every bit"),
    (0.9999, "0.9999 or more"),
    (0.999, "0.999 or more"),
    (0.99, "0.99 or more"),
    (0.9, "0.9 or more"),
    (0.5, "0.5 or more"),
    (0.0, "less than 0.5"),
)
# Fine-tunes move weights by 0.1 to 3 % of their spread; a step is half a decade.
DIFFERENCE_STEPS: Final[tuple[tuple[float, str], ...]] = (
    (0.0, "equal"),
    (0.001, "up to 0.1 %"),
    (0.003, "up to 0.3 %"),
    (0.01, "up to 1 %"),
    (0.03, "up to 3 %"),
    (0.1, "up to 10 %"),
    (float("inf"), "more"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """A colour of the legend and what it stands for."""

    colour: str
    text: str


@dataclass(frozen=True, slots=True)
class Cell:
    """Short text, colour class (empty: nothing measured), and the reading in full."""

    text: str
    colour: str
    reading: str
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows are layers of one stack; a cell is None where the model has no such tensor.

    Outside the layers (``outside``) the rows are components. ``cut`` says what was left out of a grid
    too large to show; empty where nothing was.
    """

    stack: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]
    cut: str = ""
    outside: bool = False


@dataclass(frozen=True, slots=True)
class Map:
    """The layers, largest stack first, then what lies outside; ``title``: what the colour shows."""

    title: str
    grids: tuple[Grid, ...]
    legend: tuple[Step, ...]
    mixed: bool
    more_stacks: int = 0


T = TypeVar("T")
_Reader = Callable[[Sequence[T]], Cell]
_OUTSIDE: Final = "outside the layers"


@dataclass(frozen=True, slots=True)
class _Placed(Generic[T]):
    place: Place
    column: str
    item: T


def weight_maps(report: Report) -> tuple[Map, ...]:
    """One map per parent; for two parents only the first's, the second being its complement."""
    parents = report.verdict.parents
    measured = [
        k
        for k in range(len(parents))
        if any(isinstance(_weight(t, k, len(parents)), Estimate) for t in report.tensors)
    ]
    if len(parents) == 2 and measured:
        measured = [0]
    legend = tuple(Step(f"w{k}", f"{k / (WEIGHT_STEPS - 1):.1f}") for k in range(WEIGHT_STEPS))
    read = partial(_weight_cell, parents=len(parents))
    placed = _placed(report.tensors)
    return tuple(_map(parents[k].name, placed, partial(read, parent=k), legend) for k in measured)


def match_map(report: Report) -> Map | Absent:
    """The share of equal bits in each cell."""
    if all(isinstance(t.match, Absent) for t in report.tensors):
        return Absent("no recipe was replayed on any tensor")
    legend = tuple(Step(f"m{k}", text) for k, (_, text) in enumerate(MATCH_STEPS))
    return _map("match", _placed(report.tensors), _match_cell, legend)


def difference_maps(report: Report) -> tuple[Map, ...]:
    """How far the suspect lies from each model, where that was measured by layer and component."""
    if isinstance(report.differences, Absent):
        return ()
    by_model: dict[str, list[_Placed[PartDifference]]] = {}
    for part in report.differences:
        layer = None if isinstance(part.layer, Absent) else part.layer
        by_model.setdefault(part.model, []).append(_Placed(Place("", layer), part.component, part))
    legend = tuple(Step(f"d{k}", text) for k, (_, text) in enumerate(DIFFERENCE_STEPS))
    return tuple(_map(model, placed, _difference_cell, legend) for model, placed in by_model.items())


def weight_step(weight: float) -> int:
    """The colour of a weight; below 0 and above 1 take the ends."""
    return round(min(1.0, max(0.0, weight)) * (WEIGHT_STEPS - 1))


def match_step(match: float) -> int:
    """The colour of a match; the first only for an exact one."""
    return next((k for k, (least, _) in enumerate(MATCH_STEPS) if match >= least), len(MATCH_STEPS) - 1)


def difference_step(size: float) -> int:
    """The colour of a difference; the first only where nothing differs."""
    return next(k for k, (most, _) in enumerate(DIFFERENCE_STEPS) if size <= most)


def _placed(tensors: Iterable[TensorVerdict]) -> list[_Placed[TensorVerdict]]:
    return [_Placed(place_of(t), column_of(t), t) for t in tensors]


def _map(title: str, placed: Sequence[_Placed[T]], read: _Reader[T], legend: tuple[Step, ...]) -> Map:
    stacks: dict[str, list[_Placed[T]]] = {}
    outside: list[_Placed[T]] = []
    for one in placed:
        (outside if one.place.layer is None else stacks.setdefault(one.place.stack, [])).append(one)
    # The largest stack is the one that a reader looks for.
    ordered = sorted(stacks.items(), key=lambda s: (-len({p.place.layer for p in s[1]}), -len(s[1]), s[0]))
    grids = [_grid(stack, found, read) for stack, found in ordered[:MAX_STACKS]]
    if outside:
        grids.append(_outside(outside, read))
    mixed = any(c is not None and c.mixed for g in grids for _, cells in g.rows for c in cells)
    return Map(title, tuple(grids), legend, mixed, max(0, len(ordered) - MAX_STACKS))


def _grid(stack: str, placed: Sequence[_Placed[T]], read: _Reader[T]) -> Grid:
    cells: dict[tuple[int | None, str], list[T]] = {}
    for one in placed:
        cells.setdefault((one.place.layer, one.column), []).append(one.item)
    columns = tuple(sorted({column for _, column in cells}, key=column_rank))
    layers = sorted({layer for layer, _ in cells if layer is not None})
    rows = tuple(
        (
            str(layer),
            tuple(
                read(found) if (found := cells.get((layer, c))) is not None else None
                for c in columns[:MAX_COLUMNS]
            ),
        )
        for layer in layers[:MAX_ROWS]
    )
    cut = _cut((len(layers) - MAX_ROWS, "layers"), (len(columns) - MAX_COLUMNS, "components"))
    return Grid(stack, columns[:MAX_COLUMNS], rows, cut)


def _outside(placed: Sequence[_Placed[T]], read: _Reader[T]) -> Grid:
    by_column: dict[str, list[T]] = {}
    for one in placed:
        by_column.setdefault(one.column, []).append(one.item)
    columns = sorted(by_column, key=column_rank)
    rows = tuple((column, (read(by_column[column]),)) for column in columns[:MAX_COLUMNS])
    return Grid("", (_OUTSIDE,), rows, _cut((len(columns) - MAX_COLUMNS, "components")), outside=True)


def _cut(*over: tuple[int, str]) -> str:
    left = [f"{count_text(n)} {what}" for n, what in over if n > 0]
    return f"{' and '.join(left)} more are not shown here" if left else ""


def _told_apart(tensors: Sequence[TensorVerdict], cell: Cell) -> Cell:
    relations = _relations(tensors)
    if len(relations) < 2:
        return cell
    words = "; ".join(relation_words(r) for r in relations)
    return Cell(cell.text, cell.colour, f"{cell.reading}; parts differ: {words}", mixed=True)


def _relations(tensors: Sequence[TensorVerdict]) -> list[str]:
    sizes: dict[str, int] = {}
    for tensor in tensors:
        sizes[tensor.relation] = sizes.get(tensor.relation, 0) + tensor.elements_examined
    least = MINOR * sum(sizes.values())
    return [relation for relation, size in sizes.items() if size > least]


def _weight(tensor: TensorVerdict, parent: int, parents: int) -> Estimate | Absent:
    # Other blends than the verdict's may have been measured; their weights are not its parents'.
    if len(tensor.weights) != parents:
        return Absent("no weight of this parent was measured")
    return tensor.weights[parent]


def _weight_cell(tensors: Sequence[TensorVerdict], *, parent: int, parents: int) -> Cell:
    # A tensor that was taken over whole has its copy's weight; it would bend the mean of the blends.
    blended = [t for t in tensors if t.relation not in COPIES]
    known = [
        (t.elements_examined, w.estimate)
        for t in blended
        if isinstance(w := _weight(t, parent, parents), Estimate) and not is_open(w)
    ]
    if not known:
        wide = sum(isinstance(_weight(t, parent, parents), Estimate) for t in blended)
        return Cell("–", "", f"{_tensors(wide)}: too wide a range") if wide else _nothing(tensors)
    mean = _mean(known)
    low, high = min(w for _, w in known), max(w for _, w in known)
    reading = f"{mean:.4f} in {_tensors(len(known))}"
    if len(known) > 1 and f"{low:.4f}" != f"{high:.4f}":
        reading += f", from {low:.4f} to {high:.4f}"
    return _told_apart(tensors, Cell(_short(f"{mean:.3f}"), f"w{weight_step(mean)}", reading))


def _short(number: str) -> str:
    """Without the nought before the point: the cells of a map are narrow on a phone."""
    return number.replace("0.", ".", 1) if number.startswith(("0.", "-0.")) else number


def _match_cell(tensors: Sequence[TensorVerdict]) -> Cell:
    known = [(t.elements_examined, t.match) for t in tensors if not isinstance(t.match, Absent)]
    if not known:
        return _nothing(tensors)
    mean = _mean(known)
    if any(match < 1.0 for _, match in known):
        # A mean over millions may round to 1, which stands for every bit being equal.
        mean = min(mean, 1 - 1e-12)
    least = min(match for _, match in known)
    reading = f"{match_text(mean)} in {_tensors(len(known))}"
    if len(known) > 1 and least < mean:
        reading += f", the least {match_text(least)}"
    text = "1" if mean == 1.0 else _short(match_text(mean)[:6])
    return _told_apart(tensors, Cell(text, f"m{match_step(mean)}", reading))


def _difference_cell(parts: Sequence[PartDifference]) -> Cell:
    elements = sum(p.elements for p in parts)
    known = [(p.elements, p.size * p.size) for p in parts]
    size = _mean(known) ** 0.5
    reading = f"{size_text(100 * size)} % of the weights' spread, over {count_text(elements)} numbers"
    return Cell(_percent(size), f"d{difference_step(size)}", reading)


def _percent(size: float) -> str:
    percent = 100 * size
    if percent == 0:
        return "0"
    return _short(f"{percent:.2f}") if 0.005 <= percent < 10 else f"{percent:.2g}"


def _nothing(tensors: Sequence[TensorVerdict]) -> Cell:
    relations = {t.relation for t in tensors}
    if relations and relations <= set(COPIES):
        return Cell("copy", "", f"{_tensors(len(tensors))}: taken over whole")
    return Cell("–", "", f"not measured in {_tensors(len(tensors))}")


def _mean(values: Sequence[tuple[int, float]]) -> float:
    total = sum(size for size, _ in values)
    if total == 0:
        return sum(value for _, value in values) / len(values)
    return sum(size * value for size, value in values) / total


def _tensors(count: int) -> str:
    return "1 tensor" if count == 1 else f"{count_text(count)} tensors"
