"""Merges along spheres and towards a base, on numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from parentage.errors import UsageError
from parentage.methods.method import Parameters, Profile
from parentage.methods.registry import method
from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType
from tests.methods.readers import ArrayReader, merged

OURS = Profile("parentage-1", DType.F32, DType.F32)
TOOL = Profile("mergekit-0.1.5", DType.F32, DType.F32)
BOTH = pytest.mark.parametrize("profile", [OURS, TOOL])


def merge(
    name: str,
    models: Any,
    profile: Profile = OURS,
    base: int | None = 0,
    weights: tuple[float, ...] = (),
    **shared: Any,
) -> Any:
    values = np.array(models, np.float32)
    rows: tuple[Any, ...] = tuple({"weight": w} for w in weights)
    if base is not None and weights:
        rows = (*rows[:base], {}, *rows[base:])
    found = merged(method(name), ArrayReader(values, DType.F32, base), Parameters(rows, shared), profile)
    return to_float32(found, profile.out).reshape(values.shape[1:])


@BOTH
def test_slerp_halves_a_right_angle(profile: Profile) -> None:
    found = merge("slerp", [[1.0, 0.0], [0.0, 1.0]], profile, t=0.5)
    assert np.abs(found - math.sqrt(0.5)).max() < 1e-7
    third = merge("slerp", [[1.0, 0.0], [0.0, 1.0]], profile, t=1 / 3)
    assert np.abs(third - [math.cos(math.pi / 6), math.sin(math.pi / 6)]).max() < 2e-7


@BOTH
def test_slerp_keeps_to_a_line_where_the_models_are_nearly_parallel(profile: Profile) -> None:
    # cos = 1: .75 * 1 + .25 * 3.
    assert merge("slerp", [[1.0, 2.0], [3.0, 6.0]], profile, t=0.25).tolist() == [1.5, 3.0]
    # Opposite: a line too, through zero.
    assert merge("slerp", [[1.0, 2.0], [-1.0, -2.0]], profile, t=0.5).tolist() == [0.0, 0.0]


def test_slerp_starts_at_the_base_wherever_it_stands_in_the_list() -> None:
    models = [[0.0, 1.0], [1.0, 0.0]]
    assert merge("slerp", models, base=1, t=0.0).tolist() == [1.0, 0.0]
    assert merge("slerp", models, base=0, t=0.0).tolist() == [0.0, 1.0]


@BOTH
def test_model_stock_by_hand(profile: Profile) -> None:
    # Changes (1, 0) and (1, 1): cosine sqrt(1/2) = c; t = 2c / (1 + c) = .828427; mean (2, 1.5).
    t = 2 * math.sqrt(0.5) / (1 + math.sqrt(0.5))
    found = merge("model_stock", [[1.0, 1.0], [2.0, 1.0], [2.0, 2.0]], profile)
    assert np.abs(found - [1 + t, 1 + t / 2]).max() < 1e-6


@BOTH
def test_model_stock_stays_at_the_base_where_changes_are_at_right_angles(profile: Profile) -> None:
    found = merge("model_stock", [[1.0, 1.0], [2.0, 1.0], [1.0, 2.0]], profile)
    assert found.tolist() == [1.0, 1.0]


@BOTH
def test_a_share_for_each_row_looks_at_that_row_alone(profile: Profile) -> None:
    base = [[0.0, 0.0], [0.0, 0.0]]
    one, other = [[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]
    found = merge("model_stock", [base, one, other], profile, filter_wise=True)
    assert found.tolist() == [[1.0, 0.0], [0.0, 0.0]]


@BOTH
def test_nearswap_by_hand(profile: Profile) -> None:
    # Apart by 1, 1/2, 4, with t = 1: whole, whole, a quarter of the way.
    found = merge("nearswap", [[1.0, 1.0, 0.0], [2.0, 1.5, 4.0]], profile, t=1.0)
    assert found.tolist() == [2.0, 1.5, 1.0]


@BOTH
def test_nuslerp_takes_its_place_from_the_weights(profile: Profile) -> None:
    found = merge("nuslerp", [[1.0, 0.0], [0.0, 1.0]], profile, None, (2.0, 1.0))
    assert np.abs(found - [math.cos(math.pi / 6), math.sin(math.pi / 6)]).max() < 2e-7
    # The same of changes from a base, added to it.
    based = merge("nuslerp", [[5.0, 5.0], [6.0, 5.0], [5.0, 6.0]], profile, 0, (2.0, 1.0))
    assert np.abs(based - 5 - found).max() < 1e-6


@BOTH
def test_nuslerp_goes_row_by_row_where_it_is_asked_to(profile: Profile) -> None:
    models = [[[1.0, 0.0], [2.0, 4.0]], [[0.0, 1.0], [4.0, 8.0]]]
    found = merge("nuslerp", models, profile, None, (1.0, 1.0), nuslerp_flatten=False)
    assert np.abs(found - [[math.sqrt(0.5)] * 2, [3.0, 6.0]]).max() < 1e-6
    with pytest.raises(UsageError) as raised:
        merge("nuslerp", models, profile, None, (1.0, 1.0), nuslerp_flatten=False, nuslerp_row_wise=True)
    assert raised.value.code == "nuslerp-columns"


@BOTH
def test_multislerp_of_two_at_a_right_angle_is_half_way(profile: Profile) -> None:
    found = merge("multislerp", [[2.0, 0.0], [0.0, 2.0]], profile, None, (1.0, 1.0))
    assert np.abs(found - math.sqrt(2)).max() < 1e-6


@BOTH
def test_multislerp_of_opposites_is_a_line_for_two_and_refused_for_more(profile: Profile) -> None:
    found = merge("multislerp", [[2.0, 0.0], [-2.0, 0.0]], profile, None, (1.0, 1.0))
    assert found.tolist() == [0.0, 0.0]
    with pytest.raises(UsageError) as raised:
        merge("multislerp", [[1.0], [-0.5], [-0.5]], profile, None, (2.0, 1.0, 1.0))
    assert raised.value.code == "directions-cancel"


def test_multislerp_refuses_weights_that_sum_to_zero() -> None:
    with pytest.raises(UsageError) as raised:
        merge("multislerp", [[2.0, 0.0], [0.0, 2.0]], OURS, None, (1.0, -1.0))
    assert raised.value.code == "weights-sum-zero"


@BOTH
def test_multislerp_of_one_model_is_that_model(profile: Profile) -> None:
    assert merge("multislerp", [[2.0, 3.0]], profile, None, (0.5,)).tolist() == [2.0, 3.0]


@BOTH
def test_the_karcher_mean_of_two_is_half_way_and_of_three_axes_is_their_diagonal(profile: Profile) -> None:
    two = merge("karcher", [[2.0, 0.0], [0.0, 2.0]], profile, None)
    assert np.abs(two - math.sqrt(2)).max() < 1e-6
    three = merge("karcher", [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]], profile, None)
    assert np.abs(three - math.sqrt(3)).max() < 1e-5


@BOTH
def test_the_karcher_mean_lies_where_the_logarithms_cancel(profile: Profile) -> None:
    # Angles 0, 0 and 1.2 on a circle: the mean is at .4, not at the direction of the sum.
    angle = 1.2
    found = merge("karcher", [[1.0, 0.0], [1.0, 0.0], [math.cos(angle), math.sin(angle)]], profile, None)
    assert abs(math.atan2(found[1], found[0]) - 0.4) < 1e-5


@BOTH
def test_the_karcher_mean_of_nothing_is_zero(profile: Profile) -> None:
    assert merge("karcher", [[0.0, 0.0], [0.0, 0.0]], profile, None).tolist() == [0.0, 0.0]


def test_what_moved_in_no_model_stays_and_only_a_tool_refuses_it() -> None:
    models = [[3.0, -1.0], [3.0, -1.0], [3.0, -1.0], [3.0, -1.0]]
    assert merge("multislerp", models, OURS, 0, (1.0, 1.0, 1.0)).tolist() == [3.0, -1.0]
    with pytest.raises(UsageError, match="directions"):
        merge("multislerp", models, TOOL, 0, (1.0, 1.0, 1.0))
