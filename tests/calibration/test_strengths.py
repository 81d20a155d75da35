"""The interval of an abliteration's strength holds the truth as often as it says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from parentage.evidence.recognition.directions import _leading, _row, _Slice
from parentage.evidence.recognition.strengths import LEVEL, strength_of
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType

Numbers = NDArray[np.float64]


def stored(values: Numbers, dtype: DType) -> Numbers:
    return to_float64(round_to(values.reshape(-1), dtype), dtype).reshape(values.shape)


def held(rng: np.random.Generator, hidden: int, matrices: int, strength: float, dtype: DType) -> bool:
    """One abliteration in float32, stored: does its interval hold the strength?"""
    direction = rng.standard_normal(hidden)
    direction /= np.linalg.norm(direction)
    before, changes = list[Numbers](), list[Numbers]()
    for _ in range(matrices):
        w = stored(rng.normal(0, 0.02, (hidden, 48)), dtype)
        made = (w - strength * np.outer(direction, direction @ w)).astype(np.float32)
        before.append(w)
        changes.append(stored(made.astype(np.float64), dtype) - w)

    def estimate(found: Sequence[Numbers]) -> tuple[Numbers, list[float]]:
        slices = [_Slice("w", w, d, False) for w, d in zip(before, found, strict=True)]
        leading = _leading(slices)
        return leading, [_row(x, leading)["strength"] for x in slices]

    told = strength_of(before, changes, dtype, estimate)
    return told.low <= strength <= told.high


@pytest.mark.parametrize(
    ("hidden", "matrices", "strength", "dtype"),
    [
        (48, 3, 0.3, DType.BF16),
        pytest.param(64, 8, 1.0, DType.BF16, marks=pytest.mark.slow),
        pytest.param(384, 6, 0.3, DType.BF16, marks=pytest.mark.slow),
        pytest.param(64, 4, 0.7, DType.F32, marks=pytest.mark.slow),
        pytest.param(64, 2, 1.2, DType.F16, marks=pytest.mark.slow),
    ],
)
def test_the_strength_lies_within_its_interval_as_often_as_is_said(
    hidden: int, matrices: int, strength: float, dtype: DType
) -> None:
    trials = 100
    rng = np.random.default_rng(hidden + matrices)
    inside = sum(held(rng, hidden, matrices, strength, dtype) for _ in range(trials))
    # So few would come of 95 % once in a thousand times.
    assert inside >= binom.ppf(1e-3, trials, LEVEL)


def test_without_the_correction_a_small_strength_of_a_wide_state_reads_too_small() -> None:
    """What the correction is for: changes below half a grid step vanish."""
    rng = np.random.default_rng(1)
    direction = rng.standard_normal(512)
    direction /= np.linalg.norm(direction)
    w = [stored(rng.normal(0, 0.02, (512, 48)), DType.BF16) for _ in range(4)]
    made = [stored(x - 0.1 * np.outer(direction, direction @ x), DType.BF16) for x in w]
    slices = [_Slice("w", x, y - x, False) for x, y in zip(w, made, strict=True)]
    leading = _leading(slices)
    plain = [_row(x, leading)["strength"] for x in slices]
    assert np.mean(plain) < 0.0985

    def estimate(found: Sequence[Numbers]) -> tuple[Numbers, list[float]]:
        again = [_Slice("w", x, d, False) for x, d in zip(w, found, strict=True)]
        along = _leading(again)
        return along, [_row(x, along)["strength"] for x in again]

    told = strength_of(w, [x.delta for x in slices], DType.BF16, estimate)
    assert told.low <= 0.1 <= told.high
    assert abs(told.estimate - 0.1) < 0.5 * abs(float(np.mean(plain)) - 0.1)
