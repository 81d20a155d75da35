"""The compiled scalar roundings and decoders against ``numerics.storage.formats``, pattern by pattern."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from parentage.numerics.storage.formats import ordinal, quantize, round_to, to_float32
from parentage.numerics.storage.rounding_kernels import fma32, on_bf16_grid, on_f16_grid, to_odd
from parentage.numerics.streaming.replay_kernels import (
    COUNTS,
    FORMATS,
    OFFSETS,
    count,
    decode,
    drop_not_finite,
    narrow,
)
from parentage.records.dtypes import DType

GRIDS = {DType.BF16: on_bf16_grid, DType.F16: on_f16_grid}
NARROW = (DType.BF16, DType.F16)
LARGEST = np.finfo(np.float32).max
pytestmark = pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered in cast")


@njit
def _each(rule: Callable[[Any], Any], numbers: Any, out: Any) -> None:
    for i in range(numbers.size):
        out[i] = rule(numbers[i])


@njit
def _fused(a: Any, b: Any, c: Any, out: Any) -> None:
    for i in range(a.size):
        out[i] = fma32(a[i], b[i], c[i])


def each(rule: Any, numbers: np.ndarray) -> np.ndarray:
    out = np.empty(numbers.size, np.float32)
    _each(rule, numbers, out)
    return out


def assert_same_bits(found: np.ndarray, wanted: np.ndarray) -> None:
    nan = np.isnan(wanted)
    assert np.array_equal(np.isnan(found), nan)
    assert np.array_equal(found.view(np.uint32)[~nan], wanted.view(np.uint32)[~nan])


def around_every_tie(dtype: DType) -> np.ndarray:
    """Each value of a 16-bit format, the middle to the next, and float32's neighbours of both."""
    value = to_float32(np.arange(2**16, dtype=np.uint16), dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        following = np.roll(value, -1)
        middle = ((value.astype(np.float64) + following) / 2).astype(np.float32)
        near = [value, middle]
        near += [np.nextafter(x, np.float32(s)) for x in (value, middle) for s in (-np.inf, np.inf)]
    return np.concatenate(near)


@pytest.mark.parametrize("dtype", NARROW)
def test_a_number_is_rounded_as_formats_rounds_it_at_every_tie_of_every_format(dtype: DType) -> None:
    for other in NARROW:
        numbers = around_every_tie(other)
        wanted = quantize(numbers.astype(np.float64), dtype).astype(np.float32)
        assert_same_bits(each(GRIDS[dtype], numbers), wanted)


@pytest.mark.parametrize("dtype", NARROW)
def test_a_number_is_rounded_as_formats_rounds_it_on_random_patterns(dtype: DType) -> None:
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 2**32, 2_000_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    wanted = quantize(numbers.astype(np.float64), dtype).astype(np.float32)
    assert_same_bits(each(GRIDS[dtype], numbers), wanted)


@pytest.mark.parametrize("dtype", NARROW)
def test_rounding_to_odd_first_makes_the_second_rounding_the_only_one(dtype: DType) -> None:
    rng = np.random.default_rng(2)
    ties = around_every_tie(dtype).astype(np.float64)
    with np.errstate(invalid="ignore"):
        hairs = [ties * (1 + s * 2.0**-52) for s in (-1, 1)]
    patterns = rng.integers(0, 2**64, 500_000, dtype=np.uint64).view(np.float64)
    with np.errstate(invalid="ignore"):
        numbers = np.concatenate([ties, *hairs, patterns])
        wanted = to_float32(round_to(numbers, dtype), dtype)
    assert_same_bits(each(GRIDS[dtype], each(to_odd, numbers)), wanted)


def test_float64_is_narrowed_to_float32_by_nearest() -> None:
    numbers = np.array([1 + 2.0**-24, 1 + 2.0**-24 + 2.0**-40, -1e300, 1e-46, np.nan])
    out = np.empty(numbers.size, np.float32)
    narrow(numbers, FORMATS[DType.F32], numbers.size, out)
    with np.errstate(over="ignore"):
        assert_same_bits(out, numbers.astype(np.float32))


def test_every_pattern_of_16_bits_decodes_exactly() -> None:
    patterns = np.arange(2**16, dtype=np.uint16)
    for dtype in NARROW:
        out = np.empty(patterns.size, np.float32)
        assert not decode(patterns.view(np.uint8), FORMATS[dtype], -1, patterns.size, out)
        assert_same_bits(out, to_float32(patterns, dtype))
        finite = patterns[np.isfinite(to_float32(patterns, dtype))]
        assert decode(finite.view(np.uint8), FORMATS[dtype], -1, finite.size, out)


def test_a_cast_that_overflows_is_not_finite() -> None:
    big = np.float32([65504.0, 65519.0, 65520.0])
    out = np.empty(3, np.float32)
    assert decode(big[:2].view(np.uint8), FORMATS[DType.F32], FORMATS[DType.F16], 2, out)
    assert not decode(big.view(np.uint8), FORMATS[DType.F32], FORMATS[DType.F16], 3, out)
    assert out.tolist() == [65504.0, 65504.0, np.inf]


@settings(max_examples=300, deadline=None)
@given(*(st.floats(width=32, allow_nan=False, allow_infinity=False) for _ in range(3)))
def test_the_fused_product_is_rounded_once(a: float, b: float, c: float) -> None:
    x, y, z = (np.float32([v]) for v in (a, b, c))
    out = np.empty(1, np.float32)
    _fused(x, y, z, out)
    assert out[0] == _nearest(Fraction(a) * Fraction(b) + Fraction(c))


def _nearest(exact: Fraction) -> np.float32:
    """The float32 nearest to a rational number, ties to even."""
    if abs(exact) >= 2**128 - 2**103:
        return np.float32(np.inf if exact > 0 else -np.inf)
    near = np.clip(np.float32(float(exact)), -LARGEST, LARGEST)
    tried = [near, np.nextafter(near, np.float32(-np.inf)), np.nextafter(near, np.float32(np.inf))]
    finite = [n for n in tried if np.isfinite(n)]
    return min(finite, key=lambda n: (abs(Fraction(float(n)) - exact), int(n.view(np.uint32)) & 1))


def test_what_is_not_finite_is_dropped_and_the_rest_keeps_its_order() -> None:
    values = np.float32([[1, np.nan, 3, 4, 5], [1, 2, 3, -np.inf, 5]])
    own = np.float32([10, 20, 30, 40, np.inf])
    assert drop_not_finite(values, own, 5) == 2
    assert own[:2].tolist() == [10, 30]
    assert values[:, :2].tolist() == [[1, 3], [1, 3]]


@pytest.mark.parametrize("dtype", [*NARROW, DType.F32])
def test_offsets_are_differences_of_ordinals_with_open_ends(dtype: DType) -> None:
    rng = np.random.default_rng(3)
    top = 2 ** (8 * dtype.itemsize)
    first = rng.integers(0, top, 20_000, dtype=np.uint64).astype(dtype.storage)
    apart = rng.integers(-10, 11, first.size)
    second = (first.astype(np.int64) + apart).clip(0, top - 1).astype(dtype.storage)
    own, replay = to_float32(first, dtype), to_float32(second, dtype)
    finite = np.isfinite(own)
    own, replay = own[finite], replay[finite]
    steps = ordinal(first[finite], dtype) - ordinal(second[finite], dtype)
    steps[np.isnan(replay)] = -100
    wanted = np.bincount(np.clip(steps, -8, 8) + 8, minlength=17)
    counts, n = np.zeros(COUNTS, np.int64), own.size
    room = np.empty(n, np.int32)
    count(replay.copy(), own, own[None].copy(), n, FORMATS[dtype], np.ones(1), counts, room)
    assert counts[OFFSETS:].tolist() == wanted.tolist()
