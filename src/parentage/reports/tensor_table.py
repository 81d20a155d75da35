"""The table of tensors as a page shows it: folded by layer when long, without empty columns.

2,924 tensors in one table take a phone seconds to lay out and nobody reads them in a row; folded by
layer, each fold says in its heading what is inside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.report import LeastSquares, Report, TensorVerdict, VerdictParent
from parentage.reports.stacks import Place, column_of, place_of
from parentage.reports.wording import count_text, is_open, match_text, relation_words

__all__ = ["FOLDED_FROM", "TABLE_LIMIT", "Fold", "Row", "TensorTable", "WeightColumn", "tensor_table"]

# The JSON report lists every one; this keeps the page of the largest open model below 3 MB.
TABLE_LIMIT: Final = 3_000
# About ten screens of a phone; MiniLM's 103 tensors stay in one table.
FOLDED_FROM: Final = 160


@dataclass(frozen=True, slots=True)
class Row:
    """One tensor, its column in the maps, and what least squares would read on it."""

    tensor: TensorVerdict
    column: str
    least_squares: LeastSquares | None


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows that belong together; ``summary`` tells what they hold without being opened."""

    label: str
    summary: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class WeightColumn:
    """A column of weights: its parent's place in the verdict, and its name."""

    parent: int
    name: str


@dataclass(frozen=True, slots=True)
class TensorTable:
    """``notes`` say what a dash stands for and why a column is missing."""

    folds: tuple[Fold, ...]
    weights: tuple[WeightColumn, ...]
    consistency: bool
    match: bool
    sigma: bool
    least_squares: bool
    usual_gaps: frozenset[str]
    notes: tuple[str, ...]
    left_out: int


def tensor_table(report: Report) -> TensorTable:
    """The table of a report; cut at ``TABLE_LIMIT`` rows."""
    tensors = report.tensors[:TABLE_LIMIT]
    weights, weight_notes = _weight_columns(tensors, report.verdict.parents)
    columns: tuple[tuple[str, Sequence[float | Estimate | Absent]], ...] = (
        ("consistency", [t.consistency for t in tensors]),
        ("match", [t.match for t in tensors]),
        ("σ of a change", [t.sigma_relative for t in tensors]),
        *((f"weight of {w.name}", [t.weights[w.parent] for t in tensors if t.weights]) for w in weights),
    )
    found = [_gaps(name, values) for name, values in columns]
    least_squares = _by_tensor(report.least_squares)
    rows = tuple(Row(t, column_of(t), least_squares.get(t.name)) for t in tensors)
    return TensorTable(
        folds=_folds(rows, report.verdict.parents),
        weights=weights,
        consistency=found[0].some,
        match=found[1].some,
        sigma=found[2].some,
        least_squares=bool(least_squares),
        usual_gaps=frozenset(g.usual for g in found if g.usual),
        notes=(*weight_notes, *(g.note for g in found if g.note)),
        left_out=len(report.tensors) - len(tensors),
    )


@dataclass(frozen=True, slots=True)
class _Gaps:
    some: bool
    usual: str
    note: str


def _gaps(name: str, values: Sequence[float | Estimate | Absent]) -> _Gaps:
    reasons = Counter(v.reason for v in values if isinstance(v, Absent))
    some = sum(reasons.values()) < len(values)
    if not reasons:
        return _Gaps(some, "", "")
    usual = min(reasons, key=lambda r: (-reasons[r], r))
    where = f"a dash under {name}" if some else f"no column for {name}"
    return _Gaps(some, usual, f"{where}: {usual}")


def _weight_columns(
    tensors: Sequence[TensorVerdict], parents: Sequence[VerdictParent]
) -> tuple[tuple[WeightColumn, ...], tuple[str, ...]]:
    columns = tuple(WeightColumn(k, p.name) for k, p in enumerate(parents))
    fitting = [t.weights for t in tensors if len(t.weights) == len(parents)]
    if not any(isinstance(w, Estimate) for row in fitting for w in row):
        return (), ()
    if len(parents) == 2 and all(_complementary(row) for row in fitting):
        note = f"the weight of {parents[1].name}: 1 less the weight of {parents[0].name}"
        return columns[:1], (note,)
    return columns, ()


def _complementary(weights: Sequence[Estimate | Absent]) -> bool:
    known = [w.estimate for w in weights if isinstance(w, Estimate)]
    return len(known) != 2 or abs(sum(known) - 1) < 1e-12


def _by_tensor(found: Sequence[LeastSquares] | Absent) -> dict[str, LeastSquares]:
    return {} if isinstance(found, Absent) else {read.tensor: read for read in found}


def _folds(rows: Sequence[Row], parents: Sequence[VerdictParent]) -> tuple[Fold, ...]:
    if len(rows) < FOLDED_FROM:
        return (Fold("", "", tuple(rows)),) if rows else ()
    groups: dict[Place, list[Row]] = {}
    for row in rows:
        groups.setdefault(place_of(row.tensor), []).append(row)
    # Files list layer 10 before layer 2.
    ordered = sorted(groups.items(), key=lambda g: (g[0].stack, -1 if g[0].layer is None else g[0].layer))
    return tuple(
        Fold(_label(place), _summary([r.tensor for r in group], parents), tuple(group))
        for place, group in ordered
    )


def _label(place: Place) -> str:
    if place.layer is None:
        return "outside the layers"
    return f"{place.stack}.{place.layer}" if place.stack else f"layer {place.layer}"


def _summary(tensors: Sequence[TensorVerdict], parents: Sequence[VerdictParent]) -> str:
    parts = [f"{count_text(len(tensors))} tensors"]
    relations = Counter(t.relation for t in tensors)
    parts.append(", ".join(relation_words(r) for r, _ in relations.most_common(3)))
    if parents:
        parts += _range("weight", _first_weights(tensors, len(parents)), lambda w: f"{w:.4f}")
    parts += _range("match", (t.match for t in tensors if not isinstance(t.match, Absent)), match_text)
    return " · ".join(parts)


def _first_weights(tensors: Iterable[TensorVerdict], parents: int) -> Iterable[float]:
    for tensor in tensors:
        if len(tensor.weights) != parents or not isinstance(first := tensor.weights[0], Estimate):
            continue
        if not is_open(first):
            yield first.estimate


def _range(name: str, values: Iterable[float], text: Callable[[float], str]) -> list[str]:
    known = sorted(values)
    if not known:
        return []
    low, high = text(known[0]), text(known[-1])
    return [f"{name} {low}" if low == high else f"{name} {low} to {high}"]
