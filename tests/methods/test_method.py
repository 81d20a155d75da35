"""What every method shares: declared parameters are checked, operands are counted, names are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from parentage.errors import UsageError
from parentage.methods.method import ONE_ARITHMETIC, PROFILES, Parameters, Profile
from parentage.methods.registry import METHODS, method, names
from parentage.records.dtypes import DType
from tests.methods.readers import ArrayReader

OURS = Profile("parentage-1", DType.F32, DType.F32)
PAIR = ArrayReader(np.ones((2, 3), np.float32))


def refused(name: str, parameters: Parameters, reader: ArrayReader = PAIR, profile: Profile = OURS) -> str:
    with pytest.raises(UsageError) as raised:
        method(name).prepare(reader, parameters, profile, "layer.weight")
    return raised.value.code


@pytest.mark.parametrize("name", names())
def test_a_method_is_called_what_the_registry_calls_it_and_exists_in_its_profiles(name: str) -> None:
    found = method(name)
    assert found.id == name
    assert found.profiles
    assert {p for p in found.profiles if not p.startswith(ONE_ARITHMETIC)} <= set(PROFILES)
    assert found.relation.endswith(("-merge", "-fine-tune", "abliteration", "-moe"))


def test_a_method_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UsageError, match="linear") as raised:
        method("liner")
    assert raised.value.code == "method-unknown"
    assert "liner" not in METHODS


@pytest.mark.parametrize(
    ("weight", "code"),
    [
        (None, "parameter-missing"),
        *((bad, "parameter-bad") for bad in (float("nan"), float("inf"), "half", True)),
    ],
)
def test_a_weight_that_is_no_number_is_refused(weight: Any, code: str) -> None:
    row = {} if weight is None else {"weight": weight}
    assert refused("linear", Parameters((row, {"weight": 1.0}))) == code


def test_an_unknown_parameter_is_refused_wherever_it_stands() -> None:
    rows = ({"weight": 1.0}, {"weight": 1.0})
    assert refused("linear", Parameters(rows, {"weigth": 1.0})) == "parameter-unknown"
    assert refused("linear", Parameters(({"weight": 1.0, "density": 0.5}, rows[1]))) == "parameter-unknown"
    assert refused("linear", Parameters(rows, {"weight": 1.0})) == "parameter-unknown"


def test_a_switch_takes_true_or_false_only() -> None:
    rows = ({"weight": 1.0}, {"weight": 1.0})
    assert refused("linear", Parameters(rows, {"normalize": 1.0})) == "parameter-bad"


def test_weights_that_sum_to_zero_are_refused_only_where_their_sum_divides() -> None:
    rows = ({"weight": 1.0}, {"weight": -1.0})
    assert refused("linear", Parameters(rows)) == "weights-sum-zero"
    method("linear").prepare(PAIR, Parameters(rows, {"normalize": False}), OURS, "t")


def test_an_arithmetic_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError) as raised:
        Profile("mergekit-9", DType.F32, DType.F32)
    assert raised.value.code == "profile-unknown"
    with pytest.raises(UsageError) as raised:
        Profile("parentage-1", DType.I8, DType.F32)
    assert raised.value.code == "dtype-not-merged"


def test_a_method_is_refused_in_the_arithmetic_of_a_tool_without_it() -> None:
    rows = ({"weight": 1.0}, {"weight": 1.0})
    assert (
        refused("linear", Parameters(rows), profile=Profile("peft", DType.F32, DType.F32))
        == "method-no-profile"
    )


def test_an_arithmetic_of_two_models_is_refused_for_three() -> None:
    reader = ArrayReader(np.ones((3, 4), np.float32))
    parameters = Parameters(tuple({"weight": w} for w in (0.5, 0.25, 0.25)), {})
    with pytest.raises(UsageError, match="two models") as raised:
        method("linear").prepare(
            reader, parameters, Profile(f"{ONE_ARITHMETIC}torch-lerp", DType.F32, DType.F32), "w"
        )
    assert raised.value.code == "method-operands"
