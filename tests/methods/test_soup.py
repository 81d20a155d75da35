"""Linear merges through the interface of methods: by hand, and as mergekit wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parentage.methods.method import Parameters, Profile
from parentage.methods.soup import LINEAR
from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType
from tests.methods.readers import ArrayReader, merged, reader_of, tensors_of

MERGEKIT = Path(__file__).parents[1] / "fixtures" / "mergekit"


def one(weights: tuple[float, ...], values: list[float], profile: Profile, **shared: Any) -> float:
    reader = ArrayReader(np.array(values, np.float32).reshape(-1, 1))
    parameters = Parameters(tuple({"weight": w} for w in weights), shared)
    return float(to_float32(merged(LINEAR, reader, parameters, profile), profile.out)[0])


def test_a_linear_merge_worked_by_hand() -> None:
    # (3 * 2 + 1 * 6) / 4 = 3; not normalised, 12.
    ours = Profile("parentage-1", DType.F32, DType.F32)
    assert one((3.0, 1.0), [2.0, 6.0], ours) == 3.0
    assert one((3.0, 1.0), [2.0, 6.0], ours, normalize=False) == 12.0


def test_a_tool_casts_its_operands_first_and_we_do_not() -> None:
    # 1.00390625 = 1 + 2**-8 lies between two bfloat16 numbers, and goes to the even one, 1.
    value = 1 + 2**-8
    assert one((1.0,), [value], Profile("mergekit-0.1.5", DType.BF16, DType.F32)) == 1.0
    assert one((1.0,), [value], Profile("parentage-1", DType.BF16, DType.F32)) == value


def test_a_tool_rounds_to_its_own_dtype_before_the_files() -> None:
    # The blend of 1 and 1 + 2**-7 is 1 + 2**-8: in bfloat16 it is 1 already when the file is float32.
    found = one((0.5, 0.5), [1.0, 1 + 2**-7], Profile("mergekit-0.1.5", DType.BF16, DType.F32))
    assert found == 1.0


@pytest.mark.parametrize(
    ("file", "profile", "models", "normalize"),
    [
        ("linear", Profile("mergekit-0.1.5", DType.BF16, DType.BF16), {"A": 0.6, "O": 0.4}, True),
        ("linear-float32", Profile("mergekit-0.1.5", DType.F32, DType.F32), {"A": 0.6, "O": 0.4}, True),
        ("linear-0.1.4", Profile("mergekit-0.1.4", DType.BF16, DType.BF16), {"A": 0.6, "O": 0.4}, True),
        (
            "linear-three",
            Profile("mergekit-0.1.5", DType.BF16, DType.BF16),
            {"A": 0.5, "B": 0.3, "O": 0.2},
            True,
        ),
        (
            "linear-not-normalized",
            Profile("mergekit-0.1.5", DType.BF16, DType.BF16),
            {"A": 0.6015625, "O": 0.400390625},
            False,
        ),
    ],
)
def test_every_bit_of_mergekits_linear_merges_comes_out(
    file: str, profile: Profile, models: dict[str, float], normalize: bool
) -> None:
    theirs = tensors_of(MERGEKIT / f"{file}.safetensors")
    parents = [tensors_of(MERGEKIT / f"{m}.safetensors") for m in models]
    parameters = Parameters(tuple({"weight": w} for w in models.values()), {"normalize": normalize})
    assert len(theirs) > 20
    for name, (dtype, bits) in theirs.items():
        reader = reader_of([p[name][1] for p in parents], DType.BF16, None)
        assert dtype is profile.out
        assert np.array_equal(merged(LINEAR, reader, parameters, profile), bits.reshape(-1)), name
