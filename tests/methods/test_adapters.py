"""Adapters, image-model recipes, abliteration, upcycling: by hand, and as peft and sd-mecha wrote them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.methods.method import Parameters, Profile
from parentage.methods.registry import method
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.dtypes import DType
from tests.methods.readers import ArrayReader, merged, replay
from tests.methods.recipes import operands, theirs

OURS = Profile("parentage-1", DType.F32, DType.F32)
SCALES = {2: 4.0, 16: 0.5}


def merge(name: str, models: Any, profile: Profile = OURS, base: int | None = None, **shared: Any) -> Any:
    values = np.array(models, np.float32)
    found = merged(method(name), ArrayReader(values, DType.F32, base), Parameters((), shared), profile)
    return to_float32(found, profile.out).reshape(values.shape[1:])


def with_arrays(name: str, matrix: Any, size: int = 1 << 16, **given: Any) -> Any:
    arrays = {k: np.array(v, np.float32) for k, v in given.items() if isinstance(v, list | np.ndarray)}
    shared = {k: v for k, v in given.items() if k not in arrays}
    base = 0 if name == "lora" else None
    reader = ArrayReader(np.array([matrix], np.float32), DType.F32, base, size)
    found = merged(method(name), reader, Parameters((), shared, arrays=arrays), OURS)
    return to_float32(found, DType.F32).reshape(np.shape(matrix))


def their_factors(kind: str, dtype: str, rank: int) -> dict[str, NDArray[np.float32]]:
    parts = ("A", "B", "magnitude") if kind == "dora" else ("A", "B")
    return {p: theirs("peft")[f"{kind}/{dtype}/{rank}/{p}"][1].view(np.float32) for p in parts}


@pytest.mark.parametrize("rank", SCALES)
@pytest.mark.parametrize("dtype", [DType.BF16, DType.F16, DType.F32])
@pytest.mark.parametrize("kind", ["lora", "lora-safe", "dora"])
def test_every_bit_that_peft_wrote_comes_out(kind: str, dtype: DType, rank: int) -> None:
    stored, bits = theirs("peft")[f"{kind}/{dtype.value}/{rank}/merged"]
    base = to_float32(round_to(operands()["O/matrix"].astype(np.float64), dtype), dtype)
    reader = ArrayReader(base[None], dtype, 0, 200)
    shared: Any = {"scaling": SCALES[rank], "rounded": kind == "lora-safe"}
    recipe = Parameters((), shared, arrays=their_factors(kind, dtype.value, rank))
    found = merged(method("lora"), reader, recipe, Profile("peft", dtype, dtype))
    assert stored is dtype
    assert np.array_equal(found, bits.reshape(-1))


@pytest.mark.parametrize("alpha", [0.3, 0.5, 0.85])
@pytest.mark.parametrize(("name", "models"), [("weighted_sum", "AB"), ("add_difference", "ABO")])
def test_every_bit_that_sd_mecha_wrote_comes_out(name: str, models: str, alpha: float) -> None:
    profile = Profile("sd-mecha", DType.F32, DType.F16)
    for tensor in ("matrix", "vector", "words"):
        reader = ArrayReader(np.stack([operands()[f"{m}/{tensor}"] for m in models]), size=300)
        found = merged(method(name), reader, Parameters((), {"alpha": alpha}), profile)
        stored, bits = theirs("sd-mecha")[f"{name}/{alpha}/{tensor}"]
        assert stored is DType.F16
        assert np.array_equal(found, bits.reshape(-1)), tensor


@pytest.mark.parametrize("profile", ["parentage-1", "sd-mecha", "bf16-scalar"])
def test_image_model_recipes_by_hand(profile: str) -> None:
    chosen = Profile(profile, DType.F32, DType.F32)
    assert merge("weighted_sum", [[2.0], [6.0]], chosen, alpha=0.25).tolist() == [3.0]
    assert merge("add_difference", [[1.0], [5.0], [2.0]], chosen, alpha=0.5).tolist() == [2.5]


def test_scripts_on_sixteen_bits_round_the_difference_first() -> None:
    # 1.0078125 - 0.0019531 = 1.0058594, which bfloat16 holds as 1.0078125.
    models = [[0.0], [1.0078125], [0.001953125]]
    narrow = Profile("bf16-scalar", DType.BF16, DType.F32)
    assert merge("add_difference", models, narrow).tolist() == [1.0078125]
    assert merge("add_difference", models).tolist() == [1.005859375]


def test_an_adapter_by_hand() -> None:
    # B A = [[1], [2]] [[3, 4]] = [[3, 4], [6, 8]]; half of that on ones.
    found = with_arrays("lora", np.ones((2, 2)), A=[[3, 4]], B=[[1], [2]], scaling=0.5)
    assert found.tolist() == [[2.5, 3.0], [4.0, 5.0]]
    # DoRA: the rows' directions (5/3, 0) and (0, 2) at lengths 2 and 3.
    found = with_arrays("lora", [[1.0, 0.0], [0.0, 1.0]], A=[[1, 0]], B=[[1], [0]], magnitude=[2, 3])
    assert found.tolist() == [[2.0, 0.0], [0.0, 3.0]]


def test_an_adapter_gives_the_same_bits_in_chunks_of_any_size() -> None:
    rng = np.random.default_rng(2)
    matrix, a, b = rng.standard_normal((9, 7)), rng.standard_normal((3, 7)), rng.standard_normal((9, 3))
    magnitude = np.ones(9)
    whole = with_arrays("lora", matrix, A=a, B=b, magnitude=magnitude)
    for size in (1, 10, 20):
        assert np.array_equal(whole, with_arrays("lora", matrix, size, A=a, B=b, magnitude=magnitude))


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"A": [[1.0, 2.0]]},
        {"A": [[1.0, 2.0, 3.0]], "B": [[1.0], [1.0]]},
        {"A": [[1.0, 2.0]], "B": [[1.0, 1.0]]},
        {"A": [[1.0, float("nan")]], "B": [[1.0], [1.0]]},
        {"A": [[1.0, 2.0]], "B": [[1.0], [1.0]], "magnitude": [1.0]},
    ],
)
def test_factors_that_do_not_fit_are_refused(arrays: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as raised:
        with_arrays("lora", np.ones((2, 2)), **arrays)
    assert raised.value.code == "array-bad"


def test_abliteration_by_hand() -> None:
    # r = (.6, .8): r^T W = (.6 + 2.4, 1.2 + 3.2) = (3, 4.4); W - r (3, 4.4).
    matrix = [[1.0, 2.0], [3.0, 4.0]]
    found = with_arrays("abliteration", matrix, direction=[3.0, 4.0])
    assert np.abs(found - [[1 - 1.8, 2 - 2.64], [3 - 2.4, 4 - 3.52]]).max() < 1e-6
    half = with_arrays("abliteration", matrix, direction=[3.0, 4.0], strength=0.5)
    assert np.abs(half - [[1 - 0.9, 2 - 1.32], [3 - 1.2, 4 - 1.76]]).max() < 1e-6


@pytest.mark.parametrize("last", [False, True])
def test_after_abliteration_nothing_lies_along_the_direction(last: bool) -> None:
    rng = np.random.default_rng(4)
    matrix, direction = rng.standard_normal((12, 12)), rng.standard_normal(12)
    found = with_arrays("abliteration", matrix, direction=direction, last=last)
    along = found @ direction if last else direction @ found
    assert np.abs(along).max() < 1e-5
    for size in (1, 30):
        again = with_arrays("abliteration", matrix, size, direction=direction, last=last)
        assert np.array_equal(found, again)


def test_a_direction_of_zero_or_of_another_length_is_refused() -> None:
    for direction in ([0.0, 0.0], [1.0, 2.0, 3.0]):
        with pytest.raises(UsageError) as raised:
            with_arrays("abliteration", np.ones((2, 2)), direction=direction)
        assert raised.value.code == "array-bad"


def test_experts_are_copies_in_turn_and_noise_leaves_the_first_alone() -> None:
    models = [[1.0, 2.0], [5.0, 7.0]]
    assert [merge("upcycling", models, expert=e).tolist() for e in range(3)] == [
        models[0],
        models[1],
        models[0],
    ]
    rng = np.random.default_rng(5)
    dense = rng.standard_normal((1, 40_000)) * 3
    assert np.array_equal(merge("upcycling", dense, noise=0.1), dense[0].astype(np.float32))
    apart = merge("upcycling", dense, expert=1, noise=0.1).astype(np.float64) - dense[0]
    # Five standard deviations of an estimated standard deviation.
    assert abs(apart.std() / 0.3 - 1) < 5 / np.sqrt(2 * dense.size)
    assert abs(np.corrcoef(apart, dense[0])[0, 1]) < 5 / np.sqrt(dense.size)


def test_experts_noise_does_not_depend_on_chunks() -> None:
    reader = ArrayReader(np.arange(100, dtype=np.float32)[None], size=7)
    recipe = Parameters((), {"expert": 2, "noise": 0.5}, 3)
    rule = method("upcycling").prepare(reader, recipe, OURS, "t")
    whole = rule.apply(0, reader.operands)
    assert np.array_equal(replay(rule, reader), whole)
