"""Task arithmetic and its relatives on numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parentage.errors import UsageError
from parentage.methods.breadcrumbs import window
from parentage.methods.method import Parameters, Profile
from parentage.methods.registry import method
from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType
from tests.methods.readers import ArrayReader, merged

OURS = Profile("parentage-1", DType.F32, DType.F32)
TOOL = Profile("mergekit-0.1.5", DType.F32, DType.F32)


def merge(
    name: str,
    base: list[float],
    models: list[list[float]],
    rows: list[Any],
    profile: Profile = OURS,
    **shared: Any,
) -> list[float]:
    reader = ArrayReader(np.array([base, *models], np.float32), DType.F32, 0)
    found = merged(method(name), reader, Parameters(({}, *rows), shared), profile)
    values: list[float] = to_float32(found, profile.out).tolist()
    return values


@pytest.mark.parametrize("profile", [OURS, TOOL])
def test_task_arithmetic_by_hand(profile: Profile) -> None:
    # Changes 2 and -4, weights 1/2 and 1/4: 1 + (1 - 1) = 1; lambda 2 and normalised: (1 - 1) / .75 = 0.
    rows = [{"weight": 0.5}, {"weight": 0.25}]
    assert merge("task_arithmetic", [1.0], [[3.0], [-3.0]], rows, profile) == [1.0]
    # Changes 2 and 4: 1 + 2 * (1 + 1) / .75.
    wanted = float(np.float32(1) + np.float32(np.float32(2) / np.float32(0.75)) * np.float32(2))
    shared = {"lambda": 2.0, "normalize": True}
    assert merge("task_arithmetic", [1.0], [[3.0], [5.0]], rows, profile, **shared) == [wanted]


def test_task_arithmetic_rounds_each_step_to_the_recipes_sixteen_bits() -> None:
    # 1.0078125 - 1 = 2**-7; times r(.3) = .30078125 is 77 * 2**-15; the base's grid is 2**-7 there.
    profile = Profile("mergekit-0.1.5", DType.BF16, DType.BF16)
    assert merge("task_arithmetic", [1.0], [[1.0078125]], [{"weight": 0.3}], profile) == [1.0]
    assert merge("task_arithmetic", [1.0], [[1.0078125]], [{"weight": 0.6}], profile) == [1.0078125]


@pytest.mark.parametrize("profile", [OURS, TOOL])
def test_ties_by_hand(profile: Profile) -> None:
    # Half of four stay: of the first model 4 and -3, of the second -5 and 2. Sums: 4, -5, -3, 2: each sign
    # has one that agrees, so each change is its model's own.
    rows = [{"weight": 1.0, "density": 0.5}] * 2
    models = [[4.0, 1.0, -3.0, 0.5], [1.0, -5.0, 0.5, 2.0]]
    assert merge("ties", [0.0] * 4, models, rows, profile) == [4.0, -5.0, -3.0, 2.0]
    # Whole: sums 5, -4, -2.5, 2.5; agreeing: (4 + 1) / 2, -5, -3, (.5 + 2) / 2.
    whole = [{"weight": 1.0, "density": 1.0}] * 2
    assert merge("ties", [0.0] * 4, models, whole, profile) == [2.5, -5.0, -3.0, 1.25]
    # Not normalised the agreeing are added.
    assert merge("ties", [0.0] * 4, models, whole, profile, normalize=False) == [5.0, -5.0, -3.0, 2.5]


def test_a_sum_of_nothing_counts_as_positive() -> None:
    # 2 and -2 cancel; the positive one is merged.
    rows = [{"weight": 1.0}] * 2
    assert merge("ties", [0.0], [[2.0], [-2.0]], rows) == [2.0]


def test_rescaling_gives_what_stays_the_norm_of_the_whole() -> None:
    # Of 4, 1, -3, 0 half stay: 7 of 8, so the factor is 8 / 7.
    rows = [{"weight": 1.0, "density": 0.5}]
    found = merge("ties", [0.0] * 4, [[4.0, 1.0, -3.0, 0.0]], rows, rescale=True)
    factor = np.float32(8) / np.float32(7)
    assert found == [float(np.float32(4) * factor), 0.0, float(np.float32(-3) * factor), 0.0]


def test_where_magnitudes_are_equal_ours_keeps_the_first() -> None:
    rows = [{"weight": 1.0, "density": 0.5}]
    assert merge("ties", [0.0] * 4, [[1.0, -1.0, 1.0, 1.0]], rows) == [1.0, -1.0, 0.0, 0.0]


def test_mergekit_keeps_one_element_where_its_older_version_stops() -> None:
    rows = [{"weight": 1.0, "density": 0.1}]
    older = Profile("mergekit-0.1.4", DType.F32, DType.F32)
    assert merge("ties", [0.0] * 3, [[1.0, 3.0, 2.0]], rows, TOOL) == [0.0, 3.0, 0.0]
    with pytest.raises(UsageError) as raised:
        merge("ties", [0.0] * 3, [[1.0, 3.0, 2.0]], rows, older)
    assert raised.value.code == "density-keeps-nothing"


@pytest.mark.parametrize("profile", [OURS, TOOL])
def test_breadcrumbs_by_hand(profile: Profile) -> None:
    # Of ten, a fifth of the largest goes (9, 10) and the half below them stays: 4 to 8.
    change = [3.0, -10.0, 5.0, 1.0, -7.0, 9.0, 2.0, 8.0, -4.0, 6.0]
    rows = [{"weight": 1.0, "density": 0.5, "gamma": 0.2}]
    found = merge("breadcrumbs", [0.0] * 10, [change], rows, profile)
    assert found == [0.0, 0.0, 5.0, 0.0, -7.0, 0.0, 0.0, 8.0, -4.0, 6.0]


def test_a_window_that_does_not_fit_reaches_to_the_largest_it_needs() -> None:
    assert window(0.5, 0.2, 10) == (3, 8)
    assert window(0.9, 0.2, 10) == (0, 9)
    assert window(0.0, 0.1, 10) == (9, 9)


def test_the_older_mergekit_drops_everything_where_no_outlier_is_dropped() -> None:
    assert window(0.5, 0.01, 10) == (5, 10)
    assert window(0.5, 0.01, 10, older=True) == (5, 5)
    assert window(0.5, 0.2, 10, older=True) == (3, 8)


def test_dare_keeps_the_share_asked_for_and_its_norm() -> None:
    rng = np.random.default_rng(3)
    change = rng.standard_normal(20_000).astype(np.float32)
    rows = [{"weight": 1.0, "density": 0.3}]
    found = np.array(merge("dare_linear", [0.0] * change.size, [change.tolist()], rows))
    kept = found != 0
    # Five standard deviations of a binomial share.
    assert abs(kept.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / change.size)
    factor = found[kept] / change[kept]
    assert np.ptp(factor) < 1e-5
    assert abs(np.abs(found).sum() / np.abs(change.astype(np.float64)).sum() - 1) < 1e-6
    plain = np.array(merge("dare_linear", [0.0] * change.size, [change.tolist()], rows, rescale=False))
    assert np.array_equal(plain[kept], change[kept].astype(np.float64))


def test_della_keeps_the_large_more_often_than_the_small() -> None:
    change = np.arange(1, 20_001, dtype=np.float32)
    rows = [{"weight": 1.0, "density": 0.5, "epsilon": 0.4}]
    found = np.array(merge("della_linear", [0.0] * change.size, [change.tolist()], rows, rescale=False))
    kept = found != 0
    assert abs(kept.mean() - 0.5) < 0.02
    # Chances run from .1 to .9: a tenth of the elements at either end holds about .14 and .86.
    assert abs(kept[:2000].mean() - 0.14) < 0.04
    assert abs(kept[-2000:].mean() - 0.86) < 0.04


def test_della_refuses_chances_outside_of_zero_and_one() -> None:
    with pytest.raises(UsageError) as raised:
        merge("della", [0.0], [[1.0]], [{"weight": 1.0, "density": 0.1, "epsilon": 0.2}])
    assert raised.value.code == "della-spread"


def test_a_density_outside_of_zero_and_one_is_refused() -> None:
    for density in (-0.1, 1.5):
        with pytest.raises(UsageError) as raised:
            merge("ties", [0.0], [[1.0]], [{"weight": 1.0, "density": density}])
        assert raised.value.code == "parameter-bad"


def test_task_vectors_need_a_base() -> None:
    reader = ArrayReader(np.zeros((2, 3), np.float32))
    with pytest.raises(UsageError) as raised:
        method("ties").prepare(reader, Parameters(({"weight": 1.0},) * 2), OURS, "t")
    assert raised.value.code == "method-base"
