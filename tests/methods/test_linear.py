"""The compiled rules against the plain ones, and against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parentage.methods.linear import ARITHMETICS, arithmetic, variants
from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType
from tests.methods import oracle
from tests.methods.strategies import FLOATS, WEIGHTS, any_bits, bits

NAMES = [a.id for a in ARITHMETICS]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_compiled_rule_gives_the_plain_rules_bits_on_any_bits(name: str, data: st.DataObject) -> None:
    count = 2 if arithmetic(name).two_only else data.draw(st.integers(1, 8))
    size = data.draw(st.integers(1, 8))
    stored = data.draw(st.sampled_from(FLOATS))
    out = data.draw(st.sampled_from(FLOATS))
    operands = [to_float32(data.draw(bits(stored, size)), stored) for _ in range(count)]
    weights = data.draw(st.lists(WEIGHTS, min_size=count, max_size=count))
    found = arithmetic(name).apply(weights, operands, out_dtype=out)
    assert np.array_equal(found.astype(np.uint64), oracle.apply(name, weights, operands, out))


@pytest.mark.parametrize("out", FLOATS)
@pytest.mark.parametrize("name", NAMES)
def test_a_compiled_rule_gives_the_plain_rules_bits_on_many_bits(name: str, out: DType) -> None:
    rng = np.random.default_rng(10)
    for stored in FLOATS:
        for count in (2,) if arithmetic(name).two_only else (1, 2, 3, 8):
            operands = [to_float32(any_bits(rng, stored, 30_000), stored) for _ in range(count)]
            weights = rng.uniform(-1, 2, count).tolist()
            found = arithmetic(name).apply(weights, operands, out_dtype=out)
            assert np.array_equal(found.astype(np.uint64), oracle.apply(name, weights, operands, out))


@pytest.mark.parametrize("out", FLOATS)
@pytest.mark.parametrize("name", NAMES)
def test_a_compiled_rule_gives_the_plain_rules_bits_on_a_million_weights(name: str, out: DType) -> None:
    rng = np.random.default_rng(11)
    first = rng.standard_normal(1_000_000, dtype=np.float32) * np.float32(0.02)
    second = first + rng.standard_normal(first.size, dtype=np.float32) * np.float32(2e-4)
    for weights in ((0.6, 0.4), (0.5, 0.5), (0.3, 0.8)):
        found = arithmetic(name).apply(weights, (first, second), out_dtype=out)
        wanted = oracle.apply(name, weights, (first, second), out)
        assert np.array_equal(found.astype(np.uint64), wanted)


@pytest.mark.parametrize("out", [DType.F8_E4M3, DType.F8_E5M2, DType.F64])
@pytest.mark.parametrize("name", NAMES)
def test_other_formats_are_stored_too(name: str, out: DType) -> None:
    rng = np.random.default_rng(12)
    operands = [rng.standard_normal(4096).astype(np.float32) for _ in range(2)]
    found = arithmetic(name).apply((0.6, 0.4), operands, out_dtype=out)
    with np.errstate(all="ignore"):
        wanted = oracle.round_to(oracle.RULES[name]((0.6, 0.4), operands, out), out)
    assert np.array_equal(found, wanted)


def test_mergekit_014_rounds_the_weights_first() -> None:
    # r16(0.6) = .6015625, r16(0.4) = .400390625: 1 and 2 blend to r16(1.4023438) = 1.40625, over
    # r16(1.001953) = 1.
    found = arithmetic("mergekit-0.1.4").apply(
        (0.6, 0.4), [np.float32([1.0]), np.float32([2.0])], out_dtype=DType.BF16
    )
    assert to_float32(found, DType.BF16)[0] == np.float32(1.40625)


def test_one_rounding_and_two_differ_where_the_product_is_inexact() -> None:
    # 1 + 2**-12 squared is 1 + 2**-11 + 2**-24: float32 drops the last term unless the sum is fused.
    weights = (1 + 2**-11, 1 + 2**-12)
    operands = [np.float32([-1.0]), np.float32([1 + 2**-12])]
    summed = arithmetic("fp32-sum").apply(weights, operands, out_dtype=DType.F32)
    fused = arithmetic("fp32-fma").apply(weights, operands, out_dtype=DType.F32)
    assert summed.view(np.float32)[0] == 0.0
    assert fused.view(np.float32)[0] == np.float32(2**-24) / np.float32(sum(weights))


def test_the_fused_sum_survives_an_infinite_total() -> None:
    big = np.float32([-3e38])
    found = arithmetic("fp32-fma").apply((2.0, 1.0), [big, np.float32([1.0])], out_dtype=DType.F32)
    assert found.view(np.float32)[0] == -np.inf


def test_what_is_not_a_number_is_the_one_positive_nan() -> None:
    operands = [np.float32([np.inf]), np.float32([np.inf])]
    for out, quiet in ((DType.BF16, 0x7FC0), (DType.F16, 0x7E00), (DType.F32, 0x7FC00000)):
        found = arithmetic("fp32-sum").apply((1.0, -1.0), operands, out_dtype=out)
        assert found[0] == quiet


def test_any_shape_of_operand_keeps_its_shape() -> None:
    operands = [np.ones((3, 5), np.float32), np.zeros((3, 5), np.float32)]
    assert arithmetic("fp64").apply((0.25, 0.75), operands, out_dtype=DType.BF16).shape == (3, 5)


def test_rules_of_two_operands_are_left_out_for_three() -> None:
    assert [a.id for a in variants((0.5, 0.3, 0.2))] == [a.id for a in ARITHMETICS if not a.two_only]
    assert variants((0.5, 0.5)) == ARITHMETICS
