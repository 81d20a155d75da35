"""SCE, Arcee Fusion and passthrough on numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parentage.methods.method import Parameters, Profile
from parentage.methods.registry import method
from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType
from tests.methods.readers import ArrayReader, merged

BOTH = pytest.mark.parametrize(
    "profile", [Profile(p, DType.F32, DType.F32) for p in ("parentage-1", "mergekit-0.1.5")]
)


def merge(name: str, models: Any, profile: Profile, base: int | None = 0, **shared: Any) -> Any:
    values = np.array(models, np.float32)
    found = merged(method(name), ArrayReader(values, DType.F32, base), Parameters((), shared), profile)
    return to_float32(found, profile.out).reshape(values.shape[1:])


@BOTH
def test_sce_weights_models_by_their_squares_and_erases_minority_signs(profile: Profile) -> None:
    # Changes (3, 1) and (-1, 1): mean squares 5 and 1, weights 5/6 and 1/6. First element: the sum is
    # positive, so 3 alone; second: both, 1.
    found = merge("sce", [[1.0, 1.0], [4.0, 2.0], [0.0, 2.0]], profile)
    assert np.abs(found - [4.0, 2.0]).max() < 1e-6


@BOTH
def test_sce_takes_the_share_that_varies_most(profile: Profile) -> None:
    # Variances 4, 1, 0, 0: half of the two that vary is the first.
    models = [[0.0] * 4, [4.0, 2.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    found = merge("sce", models, profile, select_topk=0.5)
    assert found.tolist() == [4.0, 0.0, 0.0, 0.0]
    assert merge("sce", models, profile, select_topk=0.0).tolist() == [0.0] * 4


@BOTH
def test_changes_too_small_to_weigh_weigh_the_same(profile: Profile) -> None:
    found = merge("sce", [[0.0], [3e-4], [1e-4]], profile)
    assert abs(found[0] - 2e-4) < 1e-10


@BOTH
def test_arcee_fusion_takes_the_outlying_changes_of_a_row_and_no_others(profile: Profile) -> None:
    base = np.zeros((1, 100))
    model = base + 0.01
    model[0, 7] = 1.0
    found = merge("arcee_fusion", [base, model], profile)
    # Every importance but one is the same: median, and the quartiles' distance is zero, so all are taken.
    assert np.abs(found - model).max() < 1e-7
    model[0, :] = np.linspace(0, 0.01, 100)
    model[0, 7] = 1.0
    taken = merge("arcee_fusion", [base, model], profile)
    assert taken[0, 7] == 1.0
    assert np.count_nonzero(taken) == 1


@BOTH
def test_passthrough_copies_or_scales(profile: Profile) -> None:
    assert merge("passthrough", [[1.0, 3.0]], profile, None).tolist() == [1.0, 3.0]
    reader = ArrayReader(np.array([[1.0, 3.0]], np.float32))
    found = merged(method("passthrough"), reader, Parameters(({"scale": 0.5},)), profile)
    assert to_float32(found, DType.F32).tolist() == [0.5, 1.5]
