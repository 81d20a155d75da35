"""Where the charts put their marks, and what the maps say in each cell."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.findings import ConsistencyCurve, ControlCurve
from parentage.reports.charts import Frame, change_bars, curve_chart, histogram, weight_bar
from parentage.reports.maps_svg import MATCH_STEPS, match_map, match_step, weight_maps
from tests.reports.worlds import demo, empty, trained


def test_a_map_has_a_row_for_each_layer_and_a_column_for_each_component() -> None:
    (found,) = weight_maps(demo())
    layers, outside = found.grids
    assert [label for label, _ in layers.rows] == ["0", "1", "2", "3", "4", "5"]
    assert layers.columns[:2] == ("attention.q", "attention.k")
    assert outside.columns == ("embedding", "norm")
    assert layers.rows[0][1][0] is not None
    assert layers.rows[0][1][0].text == "0.600"


def test_a_copied_tensor_does_not_bend_the_mean_of_its_cell() -> None:
    report = demo()
    first = report.tensors[1]
    copied = replace(first, relation="copy", weights=(Estimate(1, 1, 1, 1.0), Estimate(0, 0, 0, 1.0)))
    (found,) = weight_maps(replace(report, tensors=(first, copied)))
    cell = found.grids[0].rows[0][1][0]
    assert cell is not None
    assert cell.text == "0.600"
    assert cell.mixed
    assert "parts differ: a linear merge; a copy" in cell.reading


def test_weights_of_another_blend_are_not_shown_as_the_parents() -> None:
    report = demo()
    one = replace(report, verdict=replace(report.verdict, parents=report.verdict.parents[:1]))
    assert weight_maps(one) == ()


def test_three_parents_get_three_maps() -> None:
    report = demo()
    weights = tuple(Estimate(w, w - 0.01, w + 0.01, 0.95) for w in (0.5, 0.3, 0.2))
    parents = (*report.verdict.parents, replace(report.verdict.parents[0], name="third"))
    three = replace(
        report,
        verdict=replace(report.verdict, parents=parents),
        tensors=tuple(replace(t, weights=weights) for t in report.tensors),
    )
    cells = [m.grids[0].rows[0][1][0] for m in weight_maps(three)]
    assert [c.text for c in cells if c] == ["0.500", "0.300", "0.200"]


def test_only_an_exact_match_gets_the_first_colour() -> None:
    assert match_step(1.0) == 0
    assert match_step(1 - 1e-12) == 1
    assert match_step(0.0) == len(MATCH_STEPS) - 1
    report = demo()
    huge = replace(report.tensors[1], elements_examined=10**15)
    off = replace(report.tensors[1], match=1 - 1e-9, elements_examined=1)
    found = match_map(replace(report, tensors=(huge, off)))
    assert not isinstance(found, Absent)
    cell = found.grids[0].rows[0][1][0]
    assert cell is not None
    assert (cell.colour, cell.text) == ("m1", "0.9999")


def test_the_curve_marks_the_middle_of_a_plateau() -> None:
    curve = ConsistencyCurve("A", "B", (0.0, 0.25, 0.5, 0.75, 1.0), (0.1, 0.9, 0.9, 0.9, 0.2))
    chart = curve_chart(curve)
    assert not isinstance(chart, Absent)
    assert (chart.peak.weight, chart.peak.share) == ("0.5", "0.900000")


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


def test_this_model_stands_first_among_the_published_figures() -> None:
    bars = change_bars(trained().post_training)
    assert [b.own for b in bars] == [True, False, False, False]
    assert [b.own for b in change_bars(empty().post_training)] == [False, False, False]
