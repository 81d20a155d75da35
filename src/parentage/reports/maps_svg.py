"""Maps of a model, layer by component: one coloured by a parent's weight, one by match.

A map is a table of short texts, each with a colour class and a full reading, so that it can be
read without seeing its colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.report import Report, TensorVerdict
from parentage.reports.wording import count_text, match_text, relation_words

__all__ = [
    "MATCH_STEPS",
    "WEIGHT_STEPS",
    "Cell",
    "Grid",
    "Map",
    "Step",
    "column_of",
    "match_map",
    "match_step",
    "weight_maps",
    "weight_step",
]

# A relation held by less than this share of a cell's elements is a bias vector's or a norm's, too
# small to be told well, and does not make the cell mixed.
MINOR = 0.05
WEIGHT_STEPS = 11
MATCH_STEPS: tuple[tuple[float, str], ...] = (
    (1.0, "every bit"),
    (0.9999, "0.9999 or more"),
    (0.999, "0.999 or more"),
    (0.99, "0.99 or more"),
    (0.9, "0.9 or more"),
    (0.5, "0.5 or more"),
    (0.0, "less than 0.5"),
)
COPIES = ("copy", "cast-copy")


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
    """Rows are layers; a cell is None where the model has no such tensor."""

    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell | None, ...]], ...]


@dataclass(frozen=True, slots=True)
class Map:
    """The layers, then what lies outside them; ``title`` is what the colour shows."""

    title: str
    grids: tuple[Grid, ...]
    legend: tuple[Step, ...]
    mixed: bool


_Reader = Callable[[Sequence[TensorVerdict]], Cell]


def column_of(tensor: TensorVerdict) -> str:
    """The role where it refines the component (``attention.q`` of ``attention``), else that."""
    fine = tensor.role.startswith(f"{tensor.component}.")
    return tensor.role if fine else tensor.component


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
    return tuple(_map(parents[k].name, report.tensors, partial(read, parent=k), legend) for k in measured)


def match_map(report: Report) -> Map | Absent:
    """The share of equal bits in each cell."""
    if all(isinstance(t.match, Absent) for t in report.tensors):
        return Absent("no recipe was replayed on any tensor")
    legend = tuple(Step(f"m{k}", text) for k, (_, text) in enumerate(MATCH_STEPS))
    return _map("match", report.tensors, _match_cell, legend)


def weight_step(weight: float) -> int:
    """The colour of a weight; below 0 and above 1 take the ends."""
    return round(min(1.0, max(0.0, weight)) * (WEIGHT_STEPS - 1))


def match_step(match: float) -> int:
    """The colour of a match; the first only for an exact one."""
    return next((k for k, (least, _) in enumerate(MATCH_STEPS) if match >= least), len(MATCH_STEPS) - 1)


def _map(title: str, tensors: Iterable[TensorVerdict], read: _Reader, legend: tuple[Step, ...]) -> Map:
    inside: dict[tuple[int, str], list[TensorVerdict]] = {}
    outside: dict[str, list[TensorVerdict]] = {}
    for tensor in tensors:
        column = column_of(tensor)
        if isinstance(tensor.layer, Absent):
            outside.setdefault(column, []).append(tensor)
        else:
            inside.setdefault((tensor.layer, column), []).append(tensor)
    grids = []
    if inside:
        columns = tuple(dict.fromkeys(column for _, column in inside))
        layers = sorted({layer for layer, _ in inside})
        rows = tuple(
            (str(layer), tuple(_cell(inside.get((layer, c)), read) for c in columns)) for layer in layers
        )
        grids.append(Grid("layer", columns, rows))
    if outside:
        cells = tuple(_cell(found, read) for found in outside.values())
        grids.append(Grid("", tuple(outside), (("outside the layers", cells),)))
    mixed = any(c is not None and c.mixed for g in grids for _, cells in g.rows for c in cells)
    return Map(title, tuple(grids), legend, mixed)


def _cell(tensors: Sequence[TensorVerdict] | None, read: _Reader) -> Cell | None:
    if tensors is None:
        return None
    cell = read(tensors)
    if len(_relations(tensors)) < 2:
        return cell
    words = "; ".join(relation_words(r) for r in _relations(tensors))
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
        if isinstance(w := _weight(t, parent, parents), Estimate)
    ]
    if not known:
        return _nothing(tensors)
    mean = _mean(known)
    low, high = min(w for _, w in known), max(w for _, w in known)
    reading = f"{mean:.4f} in {_tensors(len(known))}"
    if len(known) > 1 and f"{low:.4f}" != f"{high:.4f}":
        reading += f", from {low:.4f} to {high:.4f}"
    return Cell(f"{mean:.3f}", f"w{weight_step(mean)}", reading)


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
    text = "1" if mean == 1.0 else match_text(mean)[:6]
    return Cell(text, f"m{match_step(mean)}", reading)


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
