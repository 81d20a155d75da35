"""Decoding and rounding against arithmetic on integers and fractions, for every pattern of 16 bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.numerics.storage.formats import ordinal, quantize, round_to, to_float32, to_float64
from parentage.records.dtypes import DType


@dataclass(frozen=True)
class Layout:
    """Exponent bits, fraction bits; ``finite_top``: no infinities, all-ones exponents are numbers."""

    dtype: DType
    exponent: int
    fraction: int
    finite_top: bool = False

    @property
    def bits(self) -> int:
        return 1 + self.exponent + self.fraction

    @property
    def bias(self) -> int:
        return 2 ** (self.exponent - 1) - 1

    @property
    def largest(self) -> int:
        """Pattern of the largest finite magnitude."""
        half = 1 << (self.bits - 1)
        return half - 2 if self.finite_top else half - 1 - (1 << self.fraction)

    def value(self, magnitude: int) -> Fraction:
        """The number of a pattern without sign."""
        exponent, fraction = magnitude >> self.fraction, magnitude & ((1 << self.fraction) - 1)
        if exponent == 0:
            return Fraction(fraction) * Fraction(2) ** (1 - self.bias - self.fraction)
        whole = (1 << self.fraction) + fraction
        return Fraction(whole) * Fraction(2) ** (exponent - self.bias - self.fraction)

    def nearest(self, x: Fraction) -> int:
        """Pattern nearest to a non-negative number, ties to even; ``largest + 1`` when it overflows."""
        low, high = 0, self.largest + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.value(middle) <= x else (low, middle)
        below, above = x - self.value(low), self.value(low + 1) - x
        if below != above:
            return low if below < above else low + 1
        return low if low % 2 == 0 else low + 1


BF16 = Layout(DType.BF16, 8, 7)
F16 = Layout(DType.F16, 5, 10)
F32 = Layout(DType.F32, 8, 23)
E4M3 = Layout(DType.F8_E4M3, 4, 3, finite_top=True)
E5M2 = Layout(DType.F8_E5M2, 5, 2)
NARROW = [BF16, F16, E4M3, E5M2]
LAYOUTS = [*NARROW, F32]
by_name = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda x: x.dtype.value)
exhaustive = pytest.mark.parametrize("layout", NARROW, ids=lambda x: x.dtype.value)


def patterns(layout: Layout) -> NDArray[np.unsignedinteger]:
    return np.arange(2**layout.bits, dtype=np.uint32).astype(layout.dtype.storage)


def magnitudes(layout: Layout) -> NDArray[np.unsignedinteger]:
    return np.arange(layout.largest + 1, dtype=np.uint32).astype(layout.dtype.storage)


def test_the_layouts_have_the_published_extremes() -> None:
    assert E4M3.value(E4M3.largest) == 448
    assert E5M2.value(E5M2.largest) == 57344
    assert F16.value(F16.largest) == 65504
    assert float(BF16.value(BF16.largest)) == 3.3895313892515355e38
    assert float(F32.value(F32.largest)) == float(np.finfo(np.float32).max)
    assert E4M3.value(1) == Fraction(1, 512)
    assert E5M2.value(1) == Fraction(1, 65536)


@exhaustive
def test_every_pattern_decodes_to_the_fraction_that_it_stands_for(layout: Layout) -> None:
    bits = patterns(layout)
    decoded = to_float64(bits, layout.dtype)
    half = 1 << (layout.bits - 1)
    for pattern, number in zip(bits.tolist(), decoded.tolist(), strict=True):
        magnitude, negative = pattern % half, pattern >= half
        assert (math.copysign(1, number) < 0) == negative or math.isnan(number)
        if magnitude <= layout.largest:
            assert Fraction(abs(number)) == layout.value(magnitude)
        elif magnitude == layout.largest + 1 and not layout.finite_top:
            assert math.isinf(number)
        else:
            assert math.isnan(number)


@exhaustive
def test_float32_and_float64_decode_alike(layout: Layout) -> None:
    bits = patterns(layout)
    narrow = to_float32(bits, layout.dtype)
    assert narrow.dtype == np.float32
    with np.errstate(invalid="ignore"):
        wide = narrow.astype(np.float64)
    assert np.array_equal(wide, to_float64(bits, layout.dtype), equal_nan=True)


@exhaustive
def test_every_finite_value_rounds_to_itself(layout: Layout) -> None:
    half = layout.dtype.storage.type(1 << (layout.bits - 1))
    for bits in (magnitudes(layout), magnitudes(layout) | half):
        assert np.array_equal(round_to(to_float64(bits, layout.dtype), layout.dtype), bits)


@exhaustive
def test_halfway_goes_to_even_and_a_hair_aside_goes_to_the_nearer(layout: Layout) -> None:
    bits = magnitudes(layout).astype(np.int64)
    values = to_float64(magnitudes(layout), layout.dtype)
    middles = (values[:-1] + values[1:]) / 2
    low, high = bits[:-1], bits[1:]
    even = np.where(low % 2 == 0, low, high)
    for points, expected in (
        (middles, even),
        (np.nextafter(middles, 0), low),
        (np.nextafter(middles, np.inf), high),
    ):
        assert np.array_equal(round_to(points, layout.dtype), expected)
        sign = 1 << (layout.bits - 1)
        assert np.array_equal(round_to(-points, layout.dtype), expected | sign)


@by_name
def test_overflow_begins_halfway_to_the_value_that_is_not_there(layout: Layout) -> None:
    top = layout.value(layout.largest)
    step = top - layout.value(layout.largest - 1)
    edge = float(top + step / 2)
    beyond = 0x7F if layout.finite_top else layout.largest + 1
    at_edge = layout.largest if layout.largest % 2 == 0 else beyond
    points = np.array([np.nextafter(edge, 0), edge, np.nextafter(edge, np.inf), np.inf])
    expected = [layout.largest, at_edge, beyond, beyond]
    assert round_to(points, layout.dtype).tolist() == expected
    sign = 1 << (layout.bits - 1)
    assert round_to(-points, layout.dtype).tolist() == [e | sign for e in expected]


@by_name
def test_nan_stays_nan_and_keeps_no_number(layout: Layout) -> None:
    odd = np.array([0x7FF0000000000001, 0xFFF0000000000001, 0x7FFFFFFFFFFFFFFF], np.uint64)
    points = np.concatenate([[np.nan, -np.nan], odd.view(np.float64)])
    assert np.isnan(to_float64(round_to(points, layout.dtype), layout.dtype)).all()


@by_name
def test_the_smallest_values_and_both_zeros(layout: Layout) -> None:
    tiny = float(layout.value(1))
    points = np.array([0.0, tiny / 2, np.nextafter(tiny / 2, 1), tiny, 1.5 * tiny, 5e-324])
    expected = [0, 0, 1, 1, 2, 0]
    assert round_to(points, layout.dtype).tolist() == expected
    sign = 1 << (layout.bits - 1)
    assert round_to(-points, layout.dtype).tolist() == [e | sign for e in expected]


@by_name
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_double_rounds_once_to_the_nearest(layout: Layout, data: st.DataObject) -> None:
    base = data.draw(st.integers(0, layout.largest))
    nearby = float(layout.value(base)) + float(layout.value(base + 1) - layout.value(base)) / 2
    x = data.draw(
        st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from([nearby, math.nextafter(nearby, 0), math.nextafter(nearby, math.inf)])
        # A float32 neighbour of the middle, and a double just beside it: two roundings would err.
        | st.integers(-3, 3).map(lambda k: nearby * (1 + k * 2.0**-24))
        | st.integers(-3, 3).map(lambda k: nearby * (1 + 2.0**-25 + k * 2.0**-50))
    )
    nearest = layout.nearest(Fraction(abs(x)))
    if nearest > layout.largest and layout.finite_top:
        nearest = 0x7F
    sign = (1 << (layout.bits - 1)) if math.copysign(1, x) < 0 else 0
    assert round_to(np.array([x]), layout.dtype)[0] == nearest | sign


def test_bf16_does_not_round_twice() -> None:
    # 1 + 2**-8 is halfway between 1 and 1 + 2**-7; 2**-40 more lies past it, but float32 drops it.
    above, below = 1 + 2.0**-8 + 2.0**-40, 1 + 3 * 2.0**-8 - 2.0**-40
    assert round_to(np.array([above, below]), DType.BF16).tolist() == [0x3F81, 0x3F81]
    assert np.float32(above) == np.float32(1 + 2.0**-8)


@by_name
def test_ordinals_count_grid_steps(layout: Layout) -> None:
    sign = 1 << (layout.bits - 1)
    top = min(layout.largest, 70_000)
    up = np.arange(top + 1).astype(layout.dtype.storage)
    down = (np.arange(1, top + 1) | sign).astype(layout.dtype.storage)[::-1]
    bits = np.concatenate([down, up])
    steps = ordinal(bits, layout.dtype)
    assert steps.tolist() == list(range(-top, top + 1))
    assert (np.diff(to_float64(bits, layout.dtype)) > 0).all()
    assert ordinal(np.array([sign, 0], layout.dtype.storage), layout.dtype).tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [DType.F32, DType.F64])
@given(x=st.floats(width=32), y=st.floats(width=32))
def test_ordinals_are_monotone(dtype: DType, x: float, y: float) -> None:
    if math.isnan(x) or math.isnan(y):
        return
    first, second = ordinal(round_to(np.array([x, y]), dtype), dtype).tolist()
    assert (first < second) == (x < y)
    assert (first == second) == (x == y)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        (DType.I8, np.int8), (DType.I16, np.int16), (DType.I32, np.int32), (DType.I64, np.int64),
        (DType.U8, np.uint8), (DType.U16, np.uint16), (DType.U32, np.uint32), (DType.BOOL, np.bool_),
    ],
)  # fmt: skip
def test_integers_decode_to_themselves(dtype: DType, kind: type) -> None:
    values = np.array([0, 1, -1, 127, -128], np.int64).astype(kind)
    assert to_float64(values.view(dtype.storage), dtype).tolist() == values.tolist()


def test_decoding_does_not_alias_what_was_read() -> None:
    bits = np.zeros(2, np.uint64)
    to_float64(bits, DType.F64)[:] = 1
    assert bits.tolist() == [0, 0]


def test_rounding_does_not_alias_what_was_given() -> None:
    values = np.ones(2)
    round_to(values, DType.F64)[:] = 0
    assert values.tolist() == [1, 1]


@by_name
def test_quantize_is_rounding_then_decoding_and_happens_once(layout: Layout) -> None:
    values = np.random.default_rng(3).normal(size=1000)
    once = quantize(values, layout.dtype)
    assert np.array_equal(once, to_float64(round_to(values, layout.dtype), layout.dtype))
    assert np.array_equal(quantize(once, layout.dtype), once)
    assert not np.array_equal(once, values)


def test_what_is_no_float_is_not_rounded_to() -> None:
    with pytest.raises(UsageError) as caught:
        round_to(np.zeros(1), DType.I8)
    assert caught.value.code == "dtype-not-float"
    for dtype in (DType.I8, DType.F64, DType.BOOL):
        with pytest.raises(UsageError) as caught:
            to_float32(np.zeros(1, dtype.storage), dtype)
        assert caught.value.code == "dtype-not-float32"
