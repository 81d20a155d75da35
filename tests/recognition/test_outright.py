"""Methods of one free number or none: SCE, Arcee Fusion and NearSwap, and what is none of them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from parentage.methods.method import Value
from parentage.records.dtypes import DType
from tests.recognition.passes import recognition_of
from tests.recognition.worlds import Made, family, made
from tests.worlds.planted import Model


def models_of(seed: int) -> dict[str, Model]:
    return family(seed, count=2, size=5_000, apart=(0.02, 0.01, 0.01))


@pytest.mark.parametrize(
    ("name", "operands", "shared", "dtype"),
    [
        ("sce", "OAB", {"select_topk": 1.0}, DType.BF16),
        ("sce", "OAB", {"select_topk": 0.3}, DType.F32),
        pytest.param("sce", "OABC", {"select_topk": 0.15}, DType.BF16, marks=pytest.mark.slow),
        ("arcee_fusion", "OA", {}, DType.BF16),
        pytest.param("nearswap", "OA", {"t": 0.0003}, DType.F32, marks=pytest.mark.slow),
        ("nearswap", "OA", {"t": 0.0002}, DType.BF16),
    ],
)
def test_a_method_is_named_with_its_number(
    name: str, operands: str, shared: Mapping[str, Value], dtype: DType
) -> None:
    models = models_of(11)
    suspect = made(Made(name, operands, 0, (), shared, dtype=dtype), models)
    (replay,) = recognition_of(suspect, models, operands).replays
    assert replay.matches == replay.informative > 4_000
    assert replay.method == name
    assert dict(replay.numbers.shared) == shared


def test_another_fine_tune_is_none_of_them() -> None:
    models = models_of(12)
    found = recognition_of(models["C"], models, "OAB")
    assert all(r.matches < r.informative for r in found.replays)
