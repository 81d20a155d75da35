"""What the maps say in each cell, and where a tensor stands in them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.findings import PartDifference
from parentage.reports.maps import (
    DIFFERENCE_STEPS,
    MATCH_STEPS,
    MAX_COLUMNS,
    MAX_ROWS,
    MAX_STACKS,
    Cell,
    Grid,
    Map,
    difference_maps,
    difference_step,
    match_map,
    match_step,
    weight_maps,
)
from parentage.reports.stacks import Place, column_rank, place_of
from tests.reports.large_world import LAYERS, large
from tests.reports.worlds import demo, empty


def _cell(grid: Grid, row: int = 0, column: int = 0) -> Cell:
    found = grid.rows[row][1][column]
    assert found is not None
    return found


def _match(report: object) -> Map:
    found = match_map(report)  # type: ignore[arg-type]
    assert not isinstance(found, Absent)
    return found


def test_a_map_has_a_row_for_each_layer_and_a_column_for_each_component() -> None:
    (found,) = weight_maps(demo())
    layers, outside = found.grids
    assert [label for label, _ in layers.rows] == ["0", "1", "2", "3", "4", "5"]
    assert layers.columns[:3] == ("attention.q", "attention.k", "attention.v")
    assert layers.columns[-1] == "norm"
    assert [label for label, _ in outside.rows] == ["embedding", "norm"]
    assert _cell(layers).text == ".600"


def test_a_copied_tensor_does_not_bend_the_mean_of_its_cell() -> None:
    report = demo()
    first = report.tensors[1]
    copied = replace(first, relation="copy", weights=(Estimate(1, 1, 1, 1.0), Estimate(0, 0, 0, 1.0)))
    (found,) = weight_maps(replace(report, tensors=(first, copied)))
    cell = _cell(found.grids[0])
    assert cell.text == ".600"
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
    assert [_cell(m.grids[0]).text for m in weight_maps(three)] == [".500", ".300", ".200"]


@pytest.mark.parametrize(
    ("weight", "text"), [(1.25, "1.250"), (0.05, ".050"), (-0.05, "-.050"), (10.5, "10.500")]
)
def test_a_weight_outside_0_to_1_keeps_its_digits(weight: float, text: str) -> None:
    report = demo()
    weights = (Estimate(weight, weight, weight), Estimate(1 - weight, 1 - weight, 1 - weight))
    (found,) = weight_maps(replace(report, tensors=(replace(report.tensors[1], weights=weights),)))
    assert _cell(found.grids[0]).text == text


def test_only_an_exact_match_gets_the_first_colour() -> None:
    assert match_step(1.0) == 0
    assert match_step(1 - 1e-12) == 1
    assert match_step(0.0) == len(MATCH_STEPS) - 1
    report = demo()
    huge = replace(report.tensors[1], elements_examined=10**15)
    off = replace(report.tensors[1], match=1 - 1e-9, elements_examined=1)
    cell = _cell(_match(replace(report, tensors=(huge, off))).grids[0])
    assert (cell.colour, cell.text) == ("m1", ".9999")


def test_stacks_whose_layers_carry_the_same_numbers_are_told_apart() -> None:
    found = _match(large())
    assert [g.stack for g in found.grids] == [
        "model.language_model.layers",
        "model.visual.blocks",
        "mtp.layers",
        "",
    ]
    assert [len(g.rows) for g in found.grids[:3]] == [LAYERS, 27, 1]


def test_a_layer_without_a_component_leaves_a_hole_and_not_a_dash() -> None:
    text = _match(large()).grids[0]
    linear = text.columns.index("linear-attention")
    assert [row[1][linear] is None for row in text.rows[:8]] == [False, False, False, True] * 2


def test_the_layer_is_found_in_the_name_wherever_it_stands() -> None:
    tensor = replace(demo().tensors[1], layer=3, name="a.7.layers.3.up.3.weight")
    assert place_of(tensor) == Place("a.7.layers", 3)
    assert place_of(replace(tensor, name="nowhere")) == Place("", 3)
    assert place_of(replace(tensor, name="x." + "9" * 5000)) == Place("", 3)
    assert place_of(replace(tensor, layer=Absent("outside"))) == Place("", None)


def test_columns_stand_in_the_order_in_which_a_layer_computes() -> None:
    shuffled = ["norm", "mlp.down", "zebra", "attention.o", "experts.up", "attention.q", "embedding.token"]
    assert sorted(shuffled, key=column_rank) == [
        "embedding.token",
        "attention.q",
        "attention.o",
        "mlp.down",
        "experts.up",
        "zebra",
        "norm",
    ]


def test_a_map_beyond_reason_is_cut_and_says_so() -> None:
    report = demo()
    first = report.tensors[1]
    many = tuple(
        replace(first, name=f"s{k % 9}.layers.{k}.w", layer=k, role=f"r{k}", component=f"r{k}")
        for k in range(2700)
    )
    found = _match(replace(report, tensors=many))
    assert len(found.grids) == MAX_STACKS
    assert found.more_stacks == 9 - MAX_STACKS
    for grid in found.grids:
        assert len(grid.rows) == MAX_ROWS
        assert len(grid.columns) == MAX_COLUMNS
        assert grid.cut == "100 layers and 260 components more are not shown here"


def test_nothing_replayed_is_no_map() -> None:
    assert isinstance(match_map(empty()), Absent)
    assert weight_maps(empty()) == ()
    assert difference_maps(empty()) == ()


def test_differences_are_joined_as_root_mean_squares() -> None:
    parts = (
        PartDifference("O", 0, "attention", 0.01, 100),
        PartDifference("O", 0, "attention", 0.02, 300),
        PartDifference("O", Absent("outside"), "embedding", 0.0, 10),
    )
    (found,) = difference_maps(replace(demo(), differences=parts))
    layers, outside = found.grids
    expected = ((0.01**2 * 100 + 0.02**2 * 300) / 400) ** 0.5
    assert _cell(layers).text == f"{100 * expected:.2f}"
    assert _cell(layers).reading == f"{100 * expected:.3g} % of the weights' spread, over 400 numbers"
    assert (_cell(outside).text, _cell(outside).colour) == ("0", "d0")


def test_every_size_of_a_difference_has_a_colour() -> None:
    assert difference_step(0.0) == 0
    assert difference_step(5e-324) == 1
    assert difference_step(1e300) == len(DIFFERENCE_STEPS) - 1
