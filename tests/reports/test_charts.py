"""Where the charts put their marks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.findings import ConsistencyCurve, ControlCurve
from parentage.reports.charts import Frame, curve_chart, histogram, weight_bar


def test_the_curve_marks_the_middle_of_a_plateau() -> None:
    curve = ConsistencyCurve("A", "B", (0.0, 0.25, 0.5, 0.75, 1.0), (0.1, 0.9, 0.9, 0.9, 0.2))
    chart = curve_chart(curve)
    assert not isinstance(chart, Absent)
    assert (chart.peak.weight, chart.peak.share, chart.peak.sharp) == ("0.5", "0.900000", False)


def test_the_curve_draws_the_suspect_and_each_control() -> None:
    controls = tuple(ControlCurve(f"c{k}", (0.1, 0.1)) for k in range(7))
    chart = curve_chart(ConsistencyCurve("A", "B", (-0.25, 1.25), (0.0, 1.0), controls))
    assert not isinstance(chart, Absent)
    frame = Frame()
    assert chart.series[0].points == f"{frame.left},{frame.bottom} {frame.right},{frame.top}"
    assert [s.style for s in chart.series] == [0, 1, 2, 3, 4, 5, 1, 2]
    assert [t.text for t in chart.x_ticks] == ["-0.25", "0", "0.25", "0.5", "0.75", "1", "1.25"]


def test_a_curve_of_one_point_is_not_drawn() -> None:
    chart = curve_chart(ConsistencyCurve("A", "B", (0.5,), (1.0,)))
    assert isinstance(chart, Absent)


def test_a_single_element_off_the_replay_is_still_seen_in_the_histogram() -> None:
    chart = histogram({"0": 10**7, "1": 1, "-1": 0})
    assert not isinstance(chart, Absent)
    heights = {c.offset: float(c.height) for c in chart.columns}
    assert heights["−1"] == 0 < heights["+1"] < heights["0"]
    assert [c.offset for c in chart.columns] == ["−1", "0", "+1"]
    assert not chart.beyond


@given(st.dictionaries(st.integers(-8, 8).map(str), st.integers(0, 10**12), max_size=17))
def test_every_column_of_a_histogram_lies_in_its_frame(counts: dict[str, int]) -> None:
    chart = histogram(counts)
    if isinstance(chart, Absent):
        assert sum(counts.values()) == 0
        return
    for column in chart.columns:
        assert chart.frame.top - 0.2 <= float(column.y) <= chart.frame.bottom
        assert float(column.x) >= chart.frame.left
        assert float(column.x) + float(column.width) <= chart.frame.right + 0.2


@given(st.floats(-2, 3), st.floats(0, 2), st.floats(0, 2))
def test_a_weight_outside_its_range_is_drawn_inside_the_bar(at: float, below: float, above: float) -> None:
    bar = weight_bar(Estimate(at, at - below, at + above, 0.95))
    assert 0 <= float(bar.filled) <= 100
    assert float(bar.low) >= 0
    assert float(bar.low) + float(bar.span) <= 100.2
