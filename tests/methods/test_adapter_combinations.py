"""Weighted adapters: worked by hand, as peft combined them, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.methods.method import Parameters, Profile
from parentage.methods.parameters import Addition, Additions
from parentage.methods.registry import method, names
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.dtypes import DType
from tests.methods.readers import ArrayReader, merged
from tests.methods.recipes import FOLDER, operands, theirs

OURS = Profile("parentage-1", DType.F32, DType.F32)
PEFT = Profile("peft", DType.F32, DType.F32)
COMBINED = json.loads((FOLDER / "peft-combined.json").read_text())
BY_FACTORS = ("linear", "cat", "ties", "dare_linear", "dare_ties", "magnitude_prune")
Pair = tuple[Any, Any]


def additions(
    pairs: Sequence[Pair], weights: Sequence[float], scalings: Sequence[float] = (), **more: Any
) -> Additions:
    factors = [(np.array(a, np.float32), np.array(b, np.float32)) for a, b in pairs]
    scales = scalings or (1.0,) * len(pairs)
    parts = tuple(
        Addition(w, s, lambda f=f: f, name)  # type: ignore[misc]
        for f, w, s, name in zip(factors, weights, scales, "abcd", strict=False)
    )
    given = {"ranks": tuple(a.shape[0] for a, _ in factors), **more}
    return Additions(parts, **given)


def combine(
    name: str,
    matrix: Any,
    found: Additions,
    profile: Profile = OURS,
    *,
    stored: DType = DType.F32,
    seed: int = 0,
    drawn: int = 0,
    size: int = 1 << 16,
    **shared: Any,
) -> NDArray[np.float32]:
    base = np.array([matrix], np.float32)
    recipe = Parameters((), shared, seed, drawn, additions=found)
    bits = merged(method(f"adapter_{name}"), ArrayReader(base, stored, 0, size), recipe, profile)
    return to_float32(bits, profile.out).reshape(base.shape[1:])


def refused(name: str, matrix: Any, found: Additions | None, **shared: Any) -> UsageError:
    with pytest.raises(UsageError) as raised:
        combine(name, matrix, found, **shared)  # type: ignore[arg-type]
    return raised.value


ONES = np.ones((2, 2))
# B A: [[3, 4], [6, 8]] and [[1, 0], [0, 0]].
TWO: tuple[Pair, ...] = (([[3, 4]], [[1], [2]]), ([[1, 0]], [[1], [0]]))


def test_cat_by_hand() -> None:
    # 1 + .5 · 2 · [[3, 4], [6, 8]] - 1 · [[1, 0], [0, 0]]
    for profile in (OURS, PEFT):
        found = combine("cat", ONES, additions(TWO, (0.5, -1), (2, 1)), profile)
        assert found.tolist() == [[3, 5], [7, 9]]


def test_linear_by_hand_has_the_cross_terms() -> None:
    # Both factors by √(1 · 4) = 2 and √(.25 · 4) = 1: A = [6 + 1, 8], B = [2 + 1, 4].
    found = combine("linear", 0 * ONES, additions(TWO, (1, 0.25), (4, 4)))
    assert found.tolist() == [[21, 24], [28, 32]]
    # A negative weight turns the sign of A alone: A = [6 - 1, 8].
    found = combine("linear", 0 * ONES, additions(TWO, (1, -0.25), (4, 4)))
    assert found.tolist() == [[15, 24], [20, 32]]


def test_linear_of_one_adapter_is_that_adapter_at_its_weight() -> None:
    found = combine("linear", ONES, additions(TWO[:1], (0.25,), (4,)))
    assert found.tolist() == [[4, 5], [7, 9]]


def test_magnitude_prune_by_hand() -> None:
    # Half of each factor: A = [0, 4] and [1, 0], B = [0, 2] and [1, 0]; A = [1, 4], B = [1, 2].
    found = combine("magnitude_prune", 0 * ONES, additions(TWO, (1, 1)), density=0.5)
    assert found.tolist() == [[1, 4], [2, 8]]


def test_ties_by_hand() -> None:
    # A: 3 and -1 (sum > 0: 3 alone), 4 and 5 (their mean); B: 1 and 2 (1.5), -2 and 1 (sum < 0: -2 alone).
    pairs = (([[3, 4]], [[1], [-2]]), ([[-1, 5]], [[2], [1]]))
    found = combine("ties", 0 * ONES, additions(pairs, (1, 1)), density=1.0)
    assert found.tolist() == [[4.5, 6.75], [-6, -9]]
    # Signs are elected before weighting: with weights 1 and 16 the second still loses its -1 and its 1.
    found = combine("ties", 0 * ONES, additions(pairs, (1, 16)), density=1.0)
    assert found.tolist() == [[3 * 4.5, 12 * 4.5], [-2 * 3, -2 * 12]]


def test_ties_by_count_by_hand() -> None:
    # One large negative number outweighs two positive ones, and is outvoted by them.
    pairs = (([[1, 0]], [[1], [0]]), ([[2, 0]], [[1], [0]]), ([[-9, 0]], [[1], [0]]))
    found = additions(pairs, (1, 1, 1))
    assert combine("ties", 0 * ONES, found, density=1.0)[0, 0] == -9
    assert combine("ties", 0 * ONES, found, density=1.0, by_count=True)[0, 0] == 1.5


@pytest.mark.parametrize("kind", ["dare_linear", "dare_ties"])
def test_dare_drops_and_rescales(kind: str) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((50, 60)), rng.standard_normal((2, 50)) * 0
    b[0, 0] = 1
    found = combine(kind, np.zeros((2, 60)), additions([(a, b)], (1,)), density=1.0)
    assert np.array_equal(found[0], a[0].astype(np.float32))
    thinned = [
        combine(kind, np.zeros((2, 60)), additions([(a, b)], (1,)), density=0.5, seed=s) for s in range(40)
    ]
    ratios = np.unique(np.round(np.stack(thinned)[:, 0] / a[0], 5))
    assert ratios.tolist() == [0, 4]  # both factors are divided by a half where they stay
    share = np.mean(np.stack(thinned)[:, 0] != 0)
    assert 0.1 < share < 0.4


def test_an_adapter_of_a_square_matrix_kept_the_other_way_round_adds_the_transpose() -> None:
    straight = combine("cat", ONES, additions(TWO, (0.5, -1)))
    turned = combine("cat", ONES, additions(TWO, (0.5, -1), turned=True))
    assert np.array_equal(turned, straight.T)


@cache
def tensor(name: str) -> tuple[DType, NDArray[Any]]:
    return theirs("peft-combined")[name]


def peft_additions(recipe: dict[str, Any]) -> Additions:
    pairs = [tuple(tensor(f"{n}/{p}")[1].view(np.float32) for p in "AB") for n in recipe["names"]]
    ranks = [COMBINED["ranks"][n] for n in recipe["names"]]
    alphas = [COMBINED["alphas"][n] for n in recipe["names"]]
    roots = [r**0.5 if recipe["root"] else r for r in ranks]
    scalings = [a / r for a, r in zip(alphas, roots, strict=True)]
    return additions(pairs, recipe["weights"], scalings, root=recipe["root"])  # type: ignore[arg-type]


def words_before(recipe: dict[str, Any], shape: tuple[int, int]) -> int:
    """Of the new adapter's own start values: A twice, B once."""
    rank = max(COMBINED["ranks"][n] for n in recipe["names"])
    return int(rank * (2 * shape[1] + shape[0]))


def case(k: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """What peft stored, and what we store, as bits."""
    recipe = COMBINED["recipes"][k]
    dtype = DType(recipe["dtype"])
    base = to_float32(round_to(operands()["O/matrix"].astype(np.float64), dtype), dtype)
    more = dict(recipe["more"])
    if more.pop("majority_sign_method", "") == "frequency":
        more["by_count"] = True
    found = combine(
        recipe["type"],
        base,
        peft_additions(recipe),
        Profile("peft", dtype, dtype),
        stored=dtype,
        seed=COMBINED["seed"],
        drawn=words_before(recipe, base.shape),
        size=200,
        **more,
    )
    return tensor(str(k))[1], round_to(found.astype(np.float64), dtype).reshape(base.shape)


CASES = [
    pytest.param(
        k, id="-".join([r["type"], "".join(r["names"]), r["dtype"], *map(str, r["more"].values())])
    )
    for k, r in enumerate(COMBINED["recipes"])
    if r["type"] in BY_FACTORS
]


CUT = [k for k, r in enumerate(COMBINED["recipes"]) if r["type"].endswith("svd")]


def test_what_peft_decomposes_in_float32_comes_out_but_for_a_last_bit() -> None:
    equal: dict[str, list[float]] = {"BF16": [], "F32": []}
    for k in CUT:
        peft, ours = case(k)
        dtype = COMBINED["recipes"][k]["dtype"]
        values = [to_float32(bits.reshape(-1), DType(dtype)).astype(np.float64) for bits in (peft, ours)]
        # One step of bfloat16, or 2 ** -24 of a whole matrix whose numbers are below 1/4.
        assert np.abs(values[0] - values[1]).max() <= (2**-8 if dtype == "BF16" else 2**-23), k
        equal[dtype].append(float(np.mean(peft == ours)))
    assert min(equal["BF16"]) > 0.998
    assert min(equal["F32"]) > 0.35


def test_svd_by_hand() -> None:
    # 3 on one axis and 2 on the other: the larger stays.
    pairs: tuple[Pair, ...] = (([[1, 0]], [[3], [0]]), ([[0, 1]], [[0], [2]]))
    for profile in (OURS, PEFT):
        one = combine("svd", ONES, additions(pairs, (1, 1)), profile)
        assert np.abs(one - [[4, 1], [1, 1]]).max() < 1e-6
        both = combine("svd", ONES, additions(pairs, (1, 1)), profile, svd_rank=2)
        assert np.abs(both - [[4, 1], [1, 3]]).max() < 1e-6
    # A weight can turn the order.
    other = combine("svd", ONES, additions(pairs, (1, -2)))
    assert np.abs(other - [[1, 1], [1, -3]]).max() < 1e-6


def test_ties_of_changes_by_hand() -> None:
    # Changes [[3, 0], [0, 0]] and [[-1, 0], [0, 2]]: signs + and +; 3 alone, and 2.
    pairs: tuple[Pair, ...] = (([[1, 0]], [[3], [0]]), ([[1, 0], [0, 2]], [[-1, 0], [0, 1]]))
    found = combine("ties_svd", 0 * ONES, additions(pairs, (1, 1)), density=1.0, svd_rank=2)
    assert np.abs(found - [[3, 0], [0, 2]]).max() < 1e-6


@pytest.mark.parametrize("k", CASES)
def test_every_bit_that_peft_wrote_comes_out(k: int) -> None:
    peft, ours = case(k)
    assert np.array_equal(peft, ours)


@pytest.mark.parametrize("name", [n for n in names() if n.startswith("adapter_")])
def test_chunks_of_any_size_give_the_same_bits(name: str) -> None:
    rng = np.random.default_rng(1)
    pairs = [(rng.standard_normal((3, 7)), rng.standard_normal((9, 3))) for _ in range(2)]
    given: dict[str, Any] = {d.name: 0.6 for d in method(name).parameters if d.name == "density"}
    kind = name.removeprefix("adapter_")
    whole = combine(kind, np.ones((9, 7)), additions(pairs, (0.3, 0.6)), **given)
    for size in (1, 10, 20):
        again = combine(kind, np.ones((9, 7)), additions(pairs, (0.3, 0.6)), size=size, **given)
        assert np.array_equal(whole, again)


def test_what_cannot_be_combined_is_refused_by_its_code() -> None:
    two = additions(TWO, (1, 1))
    other = additions([TWO[0], ([[1, 0], [0, 1]], [[1, 0], [0, 1]])], (1, 1))
    broken = additions([TWO[0], ([[1, float("nan")]], [[1], [0]])], (1, 1))
    assert refused("linear", ONES, None).code == "adapter-none"
    assert refused("linear", np.ones((2, 3)), two).code == "array-bad"
    assert refused("linear", np.ones(4), two).code == "array-bad"
    assert refused("linear", ONES, other).code == "adapter-ranks"
    assert combine("cat", ONES, other).shape == (2, 2)
    for kind in ("linear", "cat"):
        error = refused(kind, ONES, broken)
        assert error.code == "adapter-not-finite"
        assert "factors of b" in error.message
    assert refused("ties", ONES, two).code == "parameter-missing"
    assert refused("ties", ONES, two, density=1.5).code == "parameter-bad"
    assert refused("dare_linear", ONES, two, density=0.0).code == "parameter-bad"


def test_a_rank_that_no_memory_holds_is_refused_before_the_factors_are_read() -> None:
    def never() -> Any:
        raise AssertionError("read")

    parts = (Addition(1.0, 1.0, never, "a"),)
    for kind in ("linear", "cat", "svd"):
        error = refused(kind, ONES, Additions(parts, ranks=(1 << 26,)))
        assert error.code == "adapter-rank-large"


def test_a_decomposition_that_no_memory_holds_is_refused_before_it_begins() -> None:
    def never() -> Any:
        raise AssertionError("read")

    class Wide(ArrayReader):
        @property
        def shape(self) -> tuple[int, ...]:
            return (1 << 17, 1 << 17)

    found = Additions((Addition(1.0, 1.0, never, "a"),), ranks=(64,))
    with pytest.raises(UsageError) as raised:
        method("adapter_ties_svd").prepare(
            Wide(np.zeros((1, 2, 2), np.float32), DType.F32, 0),
            Parameters((), {"density": 0.5, "svd_rank": 64}, additions=found),
            OURS,
            "t",
        )
    assert raised.value.code == "adapter-rank-large"
