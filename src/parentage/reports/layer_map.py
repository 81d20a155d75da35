"""The suspect's layers and where they come from, in words and as rows of a map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parentage.records.absence import Absent
from parentage.records.report import LayerOrigin, LayerPlace, Reordering, Report
from parentage.reports.wording import count_text

__all__ = ["LayerGrid", "LayerRun", "layer_grid", "layer_runs", "reordering_text"]


@dataclass(frozen=True, slots=True)
class LayerRun:
    """Neighbouring layers of the suspect that come from neighbouring layers of one model.

    ``source``: the model's name, Absent where no layer given is alike; ``theirs``: its layers.
    """

    stack: str
    own: str
    source: str | Absent
    theirs: str
    copied: bool


@dataclass(frozen=True, slots=True)
class LayerGrid:
    """``rows``: each layer of the suspect, with a cell for each model: the layer's number there, and the
    class that colours it."""

    stack: str
    models: tuple[str, ...]
    rows: tuple[tuple[int, tuple[tuple[str, str], ...]], ...]


def layer_runs(report: Report) -> tuple[LayerRun, ...]:
    """All layers in order, those that go on where the one before stopped in one run."""
    if isinstance(report.layers, Absent):
        return ()
    return tuple(_runs(report.layers))


def _runs(places: Sequence[LayerPlace]) -> Iterator[LayerRun]:
    start = 0
    for k in range(1, len(places) + 1):
        if k == len(places) or not _goes_on(places[k - 1], places[k]):
            yield _run(places[start], places[k - 1])
            start = k


def _goes_on(before: LayerPlace, after: LayerPlace) -> bool:
    one, two = _told(before), _told(after)
    if before.stack != after.stack or after.layer != before.layer + 1:
        return False
    if one is None or two is None:
        return one is two
    same = (one.model, one.copied) == (two.model, two.copied)
    return same and two.number == _next(one.number)


def _next(number: int | Absent) -> int | None:
    return None if isinstance(number, Absent) else number + 1


def _told(place: LayerPlace) -> LayerOrigin | None:
    """The model that has the layer as it is; else the first with a layer like it."""
    copied = [o for o in place.origins if o.copied]
    known = [o for o in place.origins if not isinstance(o.number, Absent)]
    return next(iter(copied or known), None)


def _run(first: LayerPlace, last: LayerPlace) -> LayerRun:
    begin, end = _told(first), _told(last)
    own = _numbers(first.layer, last.layer)
    if begin is None or end is None or isinstance(begin.number, Absent) or isinstance(end.number, Absent):
        return LayerRun(first.stack, own, Absent("no layer of a model given is like this"), "", False)
    theirs = _numbers(begin.number, end.number)
    return LayerRun(first.stack, own, begin.model, theirs, begin.copied)


def _numbers(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}–{last}"


def reordering_text(found: Reordering) -> str:
    """One kind of unit in one sentence."""
    where = f"layers {_listed(found.layers)}" if found.layers else "outside the layers"
    parts = [
        f"{count_text(count)} {words}"
        for count, words in (
            (found.moved, "in another place"),
            (found.multiplied, "times a power of two or negated"),
            (found.scaled, "times another factor, which was not undone"),
        )
        if count
    ]
    told = f"{found.unit} of {found.model} ({where}): of {count_text(found.units)}, {', '.join(parts)}"
    return told if found.one_order else f"{told}; tensors of one layer show different orders"


def _listed(numbers: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ", ".join(_numbers(r[0], r[-1]) for r in runs)


def layer_grid(report: Report) -> tuple[LayerGrid, ...]:
    """The map of each stack."""
    if isinstance(report.layers, Absent):
        return ()
    stacks = dict.fromkeys(p.stack for p in report.layers)
    return tuple(_grid(s, [p for p in report.layers if p.stack == s]) for s in stacks)


def _grid(stack: str, places: Sequence[LayerPlace]) -> LayerGrid:
    models = tuple(dict.fromkeys(o.model for p in places for o in p.origins))
    return LayerGrid(stack, models, tuple((p.layer, tuple(_cell(p, m) for m in models)) for p in places))


def _cell(place: LayerPlace, model: str) -> tuple[str, str]:
    found = next((o for o in place.origins if o.model == model), None)
    if found is None or isinstance(found.number, Absent):
        return "–", "blank"
    return str(found.number), "m0" if found.copied else "m3"
