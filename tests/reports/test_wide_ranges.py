"""Where an interval says nothing, no table shows a point; what came over a network is told apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.report import NetworkCost, Report, from_json, to_json
from parentage.reports.html import render
from parentage.reports.maps import weight_maps
from parentage.reports.tensor_table import tensor_table
from parentage.reports.terminal import render_text as printed
from parentage.reports.wording import is_open
from tests.reports.large_world import large
from tests.reports.worlds import demo

WIDE = (Estimate(0.5714, 0.375, 1.5, 1.0), Estimate(0.4286, -0.5, 0.625, 1.0))


def with_one_wide(report: Report, place: int = -1) -> Report:
    tensors = list(report.tensors)
    tensors[place] = replace(tensors[place], weights=WIDE)
    return replace(report, tensors=tuple(tensors))


@pytest.mark.parametrize(
    ("low", "high", "wide"), [(0.5, 0.75, True), (0.55, 0.6, False), (0.6, 0.6, False), (0.0, 1.5, True)]
)
def test_a_range_wider_than_a_tenth_is_open(low: float, high: float, wide: bool) -> None:
    assert is_open(Estimate(0.6, low, high, 1.0)) is wide


def test_a_page_shows_the_range_alone() -> None:
    narrow = replace(demo().tensors[-1], weights=(Estimate(0.5714, 0.57, 0.58, 1.0), WIDE[1]))
    assert "0.57" in render(replace(demo(), tensors=(narrow,))).split('id="tensors"')[1].split("<small>")[0]
    page = render(with_one_wide(demo()))
    assert "0.5714" not in page
    assert '<td class="number"><small>[0.37' in page


def test_a_map_leaves_open_ranges_out_of_its_means() -> None:
    report = demo()
    first = report.tensors[1]
    wide = replace(first, weights=(Estimate(0.9, 0.3, 1.5, 1.0), Estimate(0.1, -0.5, 0.7, 1.0)))
    (both,) = weight_maps(replace(report, tensors=(first, wide)))
    cell = both.grids[0].rows[0][1][0]
    assert cell is not None
    assert (cell.text, cell.reading.split(" in ")[0]) == (".600", "0.6000")
    (alone,) = weight_maps(replace(report, tensors=(report.tensors[0], wide)))
    cells = [c for g in alone.grids for _, row in g.rows for c in row if c is not None]
    assert sorted(c.text for c in cells) == [".600", "–"]
    assert any("too wide a range" in c.reading for c in cells)


def test_the_heading_of_a_fold_gives_no_weight_that_only_an_open_range_has() -> None:
    def shown(low: float) -> bool:
        tensors = list(large().tensors)
        weights = (Estimate(0.7777, low, 0.78, 1.0), Estimate(0.2223, 0.22, 1 - low, 1.0))
        tensors[5] = replace(tensors[5], weights=weights)
        table = tensor_table(replace(large(), tensors=tuple(tensors)))
        return any("0.7777" in fold.summary for fold in table.folds)

    assert shown(0.77)
    assert not shown(0.5)


def test_what_came_over_the_network_is_told_apart_from_what_was_read() -> None:
    report = demo()
    assert isinstance(report.coverage.network, Absent)
    assert "over the network" not in printed(report)
    remote = replace(
        report, coverage=replace(report.coverage, network=NetworkCost(95_910_735, 14_583, 282))
    )
    assert "95.9 MB came over the network, in 14,583 requests" in " ".join(printed(remote).split())
    assert "95.9 MB came over the network, in 14,583 requests." in " ".join(render(remote).split())
    assert from_json(to_json(remote)) == remote
