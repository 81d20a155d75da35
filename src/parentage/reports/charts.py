"""Geometry of the report's charts: from a Report's numbers to coordinates, marks and labels.

Nothing here writes markup. The templates draw what these functions place, so that every text that
reaches the page goes through the template engine's escaping.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.findings import ConsistencyCurve
from parentage.reports.wording import clipped, match_text, share_text

__all__ = [
    "Column",
    "CurveChart",
    "Frame",
    "Histogram",
    "Peak",
    "Series",
    "Tick",
    "WeightBar",
    "curve_chart",
    "histogram",
    "weight_bar",
]

# Dash patterns and colours that the style sheet tells apart; further controls share them.
SERIES_STYLES = 5
# What fits below the axis on a phone, where its letters are half as wide again.
AXIS_NAME = 24
# Below this the highest point is no estimate: models of one training run reach .98 far from any blend,
# and with noise or an unrelated model rounding alone puts it at a half.
SHARP = 0.99


@dataclass(frozen=True, slots=True)
class Frame:
    """The drawing area and, inside it, the plot; user units of the SVG's view box."""

    width: int = 640
    height: int = 340
    left: int = 78
    right: int = 622
    top: int = 18
    bottom: int = 276

    def x(self, value: float, low: float, high: float) -> float:
        """Where ``value`` of ``low`` to ``high`` lies, from left to right."""
        return self.left + (self.right - self.left) * (value - low) / (high - low)

    def y(self, share: float) -> float:
        """Where ``share`` of 0 to 1 lies, from bottom to top; outside values sit on the edge."""
        return self.bottom - (self.bottom - self.top) * min(1.0, max(0.0, share))


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of an axis and where it stands."""

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Series:
    """One model's line; ``style`` 0 is the suspect, 1 to 5 are controls."""

    name: str
    points: str
    style: int


@dataclass(frozen=True, slots=True)
class Peak:
    """The weight that explains most, on the grid of the curve; ``sharp``: it may be read as one."""

    x: str
    y: str
    weight: str
    share: str
    anchor: str
    sharp: bool


@dataclass(frozen=True, slots=True)
class CurveChart:
    """Consistency over the first parent's weight, suspect and controls; ``rows`` are the numbers.

    ``axis`` is the first parent's name, short enough to stand below the axis.
    """

    frame: Frame
    first: str
    second: str
    axis: str
    series: tuple[Series, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    peak: Peak
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One bar of the histogram, with its count and its share of all."""

    x: str
    y: str
    width: str
    height: str
    middle: str
    offset: str
    count: int
    share: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by offset from the replay, in units of the last place, on a logarithmic scale."""

    frame: Frame
    columns: tuple[Column, ...]
    y_ticks: tuple[Tick, ...]
    total: int
    beyond: bool


@dataclass(frozen=True, slots=True)
class WeightBar:
    """A weight within its interval, as bars of 0 to 100 units."""

    filled: str
    low: str
    span: str


def curve_chart(curve: ConsistencyCurve | Absent) -> CurveChart | Absent:
    """The curve's lines, ticks and peak; Absent where fewer than two points could be drawn."""
    if isinstance(curve, Absent):
        return curve
    if len(curve.grid) < 2 or curve.grid[-1] <= curve.grid[0]:
        return Absent("the curve has too few points to draw")
    frame = Frame()
    lines = [(0, "suspect", curve.suspect)]
    for index, control in enumerate(curve.controls):
        lines.append((1 + index % SERIES_STYLES, control.name, control.shares))
    return CurveChart(
        frame=frame,
        first=curve.first,
        second=curve.second,
        axis=clipped(curve.first, AXIS_NAME),
        series=tuple(Series(name, _points(frame, curve.grid, ys), style) for style, name, ys in lines),
        x_ticks=_weight_ticks(frame, curve.grid[0], curve.grid[-1]),
        y_ticks=tuple(Tick(_px(frame.y(k / 4)), f"{k * 25} %") for k in range(5)),
        peak=_peak(frame, curve),
        rows=_curve_rows(curve),
    )


def _px(value: float) -> str:
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def _points(frame: Frame, grid: Sequence[float], shares: Sequence[float]) -> str:
    low, high = grid[0], grid[-1]
    pairs = zip(grid, shares, strict=True)
    return " ".join(f"{_px(frame.x(a, low, high))},{_px(frame.y(s))}" for a, s in pairs)


def _weight_ticks(frame: Frame, low: float, high: float) -> tuple[Tick, ...]:
    step = next((s for s in (0.05, 0.1, 0.25, 0.5, 1.0, 2.0) if (high - low) / s <= 6), high - low)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [k * step for k in range(first, last + 1)]
    return tuple(Tick(_px(frame.x(v, low, high)), f"{v:.4g}") for v in values)


def _peak(frame: Frame, curve: ConsistencyCurve) -> Peak:
    top = max(curve.suspect)
    first = curve.suspect.index(top)
    last = first
    # A plateau is marked in its middle: its first point would read as an estimate too low.
    while last + 1 < len(curve.suspect) and curve.suspect[last + 1] == top:
        last += 1
    weight = (curve.grid[first] + curve.grid[last]) / 2
    x = frame.x(weight, curve.grid[0], curve.grid[-1])
    middle = (frame.left + frame.right) / 2
    anchor = "start" if x < middle else "end"
    return Peak(_px(x), _px(frame.y(top)), f"{weight:.4g}", match_text(top), anchor, top >= SHARP)


def _curve_rows(curve: ConsistencyCurve) -> tuple[tuple[str, ...], ...]:
    columns = (curve.suspect, *(c.shares for c in curve.controls))
    return tuple(
        (f"{weight:.4g}", *(f"{column[k]:.4f}" for column in columns))
        for k, weight in enumerate(curve.grid)
    )


def histogram(offsets: Mapping[str, int] | Absent, *, clipped_at: int = 8) -> Histogram | Absent:
    """Bars on a logarithmic scale, offsets ascending; the outermost hold what lies farther off."""
    if isinstance(offsets, Absent):
        return offsets
    counts = sorted((int(key), count) for key, count in offsets.items())
    total = sum(count for _, count in counts)
    if total == 0:
        return Absent("no element was counted")
    frame = Frame(height=320)
    decades = max(1.0, math.log10(max(count for _, count in counts)))
    width = (frame.right - frame.left) / len(counts)
    columns = []
    for index, (offset, count) in enumerate(counts):
        top = frame.y(_decade_share(count, decades))
        left = frame.left + index * width
        columns.append(
            Column(
                x=_px(left + width * 0.12),
                y=_px(top),
                width=_px(width * 0.76),
                height=_px(frame.bottom - top),
                middle=_px(left + width / 2),
                offset=_offset_text(offset, clipped_at),
                count=count,
                share=share_text(count / total),
            )
        )
    step = max(1, math.ceil(decades / 5))
    ticks = tuple(
        Tick(_px(frame.y(_decade_share(10**k, decades))), _short_count(10**k))
        for k in range(0, int(decades) + 1, step)
    )
    beyond = any(abs(offset) >= clipped_at for offset, count in counts if count)
    return Histogram(frame, tuple(columns), ticks, total, beyond)


def _decade_share(count: int, decades: float) -> float:
    # One element must still be seen, so the scale starts a little below 1, not at it.
    return 0.0 if count == 0 else (math.log10(count) + 0.25) / (decades + 0.25)


def _offset_text(offset: int, clipped_at: int) -> str:
    sign = "−" if offset < 0 else "+" if offset > 0 else ""
    if abs(offset) >= clipped_at:
        return f"≤{sign}{abs(offset)}" if offset < 0 else f"≥{sign}{offset}"
    return f"{sign}{abs(offset)}"


def _short_count(count: int) -> str:
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count // size}{unit}"
    return str(count)


def weight_bar(weight: Estimate) -> WeightBar:
    """The weight and its interval within 0 to 1; a narrow interval is still wide enough to see."""
    low, high = _hundred(weight.low), _hundred(weight.high)
    span = max(0.6, high - low)
    return WeightBar(_px(_hundred(weight.estimate)), _px(min(low, 100 - span)), _px(span))


def _hundred(share: float) -> float:
    return 100 * min(1.0, max(0.0, share))
