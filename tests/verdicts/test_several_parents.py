"""When a set of three is needed: by two matrices or by sizes, and never by one lucky matrix of many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parentage.records.absence import Absent
from parentage.records.weight_sets import SetComparison, WeightSet
from parentage.verdicts.readings import Readings
from parentage.verdicts.relations.linear_merge import _more_than_two
from tests.verdicts.test_look_alikes import evidence

TESTED = SetComparison(
    elements=2_000,
    weights=(0.5, 0.3, 0.2),
    low=(0.49, 0.29, 0.19),
    high=(0.51, 0.31, 0.21),
    sum_to_one=True,
    scale=1e-5,
    family="gaussian",
    log_likelihood=-100.0,
    free_weights=(0.5, 0.3, 0.2),
    free_scale=1e-5,
    free_log_likelihood=-160.0,
    delta_ll=60.0,
    drops=(50.0, 40.0, 13.0),
    drift=(0.0, 0.0),
    correlations=(0.0, 0.0, 0.0),
    off_replay=10,
    off_replay_elements=2_000,
    merge_dtype="BF16",
    coarse_step=1e-3,
    lattice_lead=40.0,
    over_pairs=3.0,
)
NEEDED = WeightSet(
    parents=(1, 2, 3),
    cast="as-stored",
    elements=2_000,
    estimate=TESTED.weights,
    low=TESTED.weights,
    high=TESTED.weights,
    sum_low=1.0,
    sum_high=1.0,
    consistency=0.5,
    feasible=False,
    slack=1.0,
    comparison=TESTED,
)
OPEN = replace(NEEDED, comparison=Absent("two of the parents explain it as well"), over_fewer=2.0)


def _readings(sets: list[WeightSet]) -> Readings:
    readings = Readings(evidence("slightly-trained-sibling"))
    readings.__dict__["_asked"] = sets
    return readings


def test_two_matrices_need_three_parents_and_one_alone_leaves_it_open() -> None:
    two = _readings([NEEDED, NEEDED, OPEN])
    assert (two.blended, two.several_needed) == ((1, 2, 3), 2)
    one = _readings([NEEDED, OPEN, OPEN, OPEN])
    assert (one.blended, one.several_needed) == ((), 1)


def test_one_matrix_whose_sizes_ask_for_three_is_enough() -> None:
    by_sizes = replace(NEEDED, comparison=replace(TESTED, over_pairs=12.0))
    assert _readings([by_sizes, OPEN, OPEN]).blended == (1, 2, 3)


def test_one_lucky_matrix_of_a_hundred_says_nothing_and_one_by_sizes_does() -> None:
    assert _readings([NEEDED, *[OPEN] * 99]).several_needed == 0
    by_sizes = replace(NEEDED, comparison=replace(TESTED, over_pairs=12.0))
    assert _readings([by_sizes, *[OPEN] * 99]).several_needed == 1


@pytest.mark.parametrize(
    ("leads", "open_"),
    [((8.4, 2.3, 6.8), True), ((2.2, 2.8, 2.2), False), ((4.3, 2.2, 4.2), False), ((0.1,) * 400, False)],
)
def test_what_no_matrix_says_all_may_say_together(leads: tuple[float, ...], open_: bool) -> None:
    assert bool(_more_than_two(leads)) is open_
