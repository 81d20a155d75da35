"""Where the marks of a line's plots lie: a quantity with its interval over the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.exploring import PathExplored, SuspectPlace
from parentage.reports.path_text import shown_names

__all__ = ["Mark", "Plot", "Series", "plots"]

WIDTH: Final = 960
HEIGHT: Final = 260
LEFT: Final = 64
RIGHT: Final = 940
TOP: Final = 16
BOTTOM: Final = 216


@dataclass(frozen=True, slots=True)
class Mark:
    """A value and its interval, in places of the plot; ``told``: in words."""

    x: float
    y: float
    low: float
    high: float
    told: str


@dataclass(frozen=True, slots=True)
class Series:
    """One curve. ``number`` picks its colour; ``line``: points of its polyline."""

    name: str
    number: int
    line: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """``least``, ``most``: the values at the bottom and the top; ``suspect``: places of its interval."""

    title: str
    series: tuple[Series, ...]
    least: str
    most: str
    suspect: tuple[float, float, float] | None
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM


Values = Sequence[tuple[float, Estimate]]


def plots(found: PathExplored) -> tuple[Plot, ...]:
    """Loss, task, names: those that were measured."""
    points = found.points
    losses = [(p.weight, p.loss) for p in points if isinstance(p.loss, Estimate)]
    scores = [(p.weight, p.task) for p in points if isinstance(p.task, Estimate)]
    made = []
    excess = [(p.weight, p.excess) for p in points if isinstance(p.excess, Estimate)]
    for title, name, values in (
        ("Loss, nats a token", "loss", losses),
        ("Loss above the straight line between the ends, nats a token", "above", excess),
    ):
        if values:
            made.append(_plot(found, title, {name: values}, *_range(values)))
    if scores:
        made.append(_plot(found, "Right answers", {"task": scores}, 0.0, 1.0))
    named = {shown: _rates(found, name) for name, shown in shown_names(found)}
    if named:
        made.append(_plot(found, "Answers that claim a name", named, 0.0, 1.0))
    return tuple(made)


def _range(values: Values) -> tuple[float, float]:
    """The least and the most that is drawn, with room."""
    least, most = min(e.low for _, e in values), max(e.high for _, e in values)
    room = 0.05 * max(most - least, 1e-6)
    return least - room, most + room


def _rates(found: PathExplored, name: str) -> Values:
    rows = []
    for p in found.points:
        if isinstance(p.names, Absent):
            continue
        rate = next((r.share for r in p.names if r.name == name), None)
        if rate is not None:
            rows.append((p.weight, rate))
        elif p.asked:
            rows.append((p.weight, _none_of(p.asked)))
    return rows


def _none_of(asked: int) -> Estimate:
    """Wilson's interval of no claim in so many answers: its upper end is z² / (n + z²)."""
    z2 = 1.959963984540054**2
    return Estimate(0.0, 0.0, z2 / (asked + z2))


def _plot(found: PathExplored, title: str, rows: dict[str, Values], least: float, most: float) -> Plot:
    series = tuple(_series(name, k, values, least, most) for k, (name, values) in enumerate(rows.items()))
    whole = most == 1.0 and least == 0.0
    told = ("0 %", "100 %") if whole else (f"{least:.4g}", f"{most:.4g}")
    return Plot(title, series, *told, _suspect(found))


def _suspect(found: PathExplored) -> tuple[float, float, float] | None:
    if not isinstance(found.suspect, SuspectPlace):
        return None
    weight = found.suspect.weight
    if isinstance(weight, Absent):
        return None
    return _x(weight.estimate), _x(weight.low), _x(weight.high)


def _series(name: str, number: int, values: Values, least: float, most: float) -> Series:
    marks = tuple(
        Mark(
            _x(w),
            _y(e.estimate, least, most),
            _y(e.low, least, most),
            _y(e.high, least, most),
            f"{name} at weight {w:.3f}: {e.estimate:.4g} [{e.low:.4g}, {e.high:.4g}]",
        )
        for w, e in values
    )
    return Series(name, number, " ".join(f"{m.x},{m.y}" for m in marks), marks)


def _x(weight: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * weight, 1)


def _y(value: float, least: float, most: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * (value - least) / (most - least), 1)
