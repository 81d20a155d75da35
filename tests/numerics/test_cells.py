"""Rounding cells: what is inside rounds to the value, what is outside does not, edges by parity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.numerics.storage.cells import rounding_cells
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType

NARROW = [DType.BF16, DType.F16, DType.F8_E4M3, DType.F8_E5M2]
ALL = [*NARROW, DType.F32]


def finite(dtype: DType) -> NDArray[np.unsignedinteger]:
    bits = np.arange(2 ** (8 * dtype.itemsize), dtype=np.uint32).astype(dtype.storage)
    return bits[np.isfinite(to_float64(bits, dtype))]


def same_value(
    points: NDArray[np.float64], bits: NDArray[np.unsignedinteger], dtype: DType
) -> NDArray[np.bool_]:
    """Whether points round to the value of the pattern; both zeros are one value."""
    return np.asarray(to_float64(round_to(points, dtype), dtype) == to_float64(bits, dtype))


@pytest.mark.parametrize("dtype", NARROW)
def test_edges_belong_to_every_even_pattern_and_to_no_odd_one(dtype: DType) -> None:
    bits = finite(dtype)
    cells = rounding_cells(bits, dtype)
    even = (bits & bits.dtype.type(1)) == 0
    assert np.array_equal(cells.closed, even)
    assert np.array_equal(same_value(cells.low, bits, dtype), even)
    assert np.array_equal(same_value(cells.high, bits, dtype), even)


@pytest.mark.parametrize("dtype", NARROW)
def test_just_inside_rounds_to_the_value_and_just_outside_does_not(dtype: DType) -> None:
    bits = finite(dtype)
    cells = rounding_cells(bits, dtype)
    for edge, inward in ((cells.low, np.inf), (cells.high, -np.inf)):
        assert same_value(np.nextafter(edge, inward), bits, dtype).all()
        assert not same_value(np.nextafter(edge, -inward), bits, dtype).any()


@pytest.mark.parametrize("dtype", NARROW)
def test_cells_tile_the_line_without_gap(dtype: DType) -> None:
    bits = finite(dtype)
    values = to_float64(bits, dtype)
    order = np.argsort(values, kind="stable")
    order = order[np.r_[True, np.diff(values[order]) > 0]]
    cells = rounding_cells(bits, dtype)
    assert np.array_equal(cells.high[order][:-1], cells.low[order][1:])


@pytest.mark.parametrize("dtype", ALL)
def test_cells_of_opposite_values_mirror(dtype: DType) -> None:
    bits = np.arange(0, 0x60, dtype=dtype.storage)
    sign = dtype.storage.type(1 << (8 * dtype.itemsize - 1))
    here, there = rounding_cells(bits, dtype), rounding_cells(bits | sign, dtype)
    assert np.array_equal(here.low, -there.high)
    assert np.array_equal(here.high, -there.low)
    assert np.array_equal(here.closed, there.closed)


@pytest.mark.parametrize("dtype", ALL)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_every_real_of_a_cell_rounds_to_its_value(dtype: DType, data: st.DataObject) -> None:
    pattern = data.draw(st.integers(0, 2 ** (8 * dtype.itemsize) - 1))
    bits = np.array([pattern], dtype=dtype.storage)
    cells = rounding_cells(bits, dtype)
    if not np.isfinite(to_float64(bits, dtype))[0]:
        assert np.isnan([cells.low[0], cells.high[0]]).all()
        assert not cells.closed[0]
        return
    low, high = float(cells.low[0]), float(cells.high[0])
    assert low < to_float64(bits, dtype)[0] < high
    inside = data.draw(st.floats(low, high, exclude_min=True, exclude_max=True))
    assert same_value(np.array([inside]), bits, dtype).all()
    outside = data.draw(
        st.floats(max_value=low, exclude_max=True) | st.floats(min_value=high, exclude_min=True)
    )
    assert not same_value(np.array([outside]), bits, dtype).any()
    edges = same_value(np.array([low, high]), np.repeat(bits, 2), dtype)
    assert edges.tolist() == [bool(cells.closed[0])] * 2


def test_a_cell_worked_by_hand() -> None:
    # bf16 1.0 is 0x3F80, even. Below it the step is 2**-8, above it 2**-7: 1 - 2**-9 .. 1 + 2**-8.
    cells = rounding_cells(np.array([0x3F80, 0x3F81, 0xBF80], np.uint16), DType.BF16)
    assert cells.low.tolist() == [1 - 2.0**-9, 1 + 2.0**-8, -1 - 2.0**-8]
    assert cells.high.tolist() == [1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 + 2.0**-9]
    assert cells.closed.tolist() == [True, False, True]


def test_infinities_and_nans_have_no_cell() -> None:
    cells = rounding_cells(np.array([0x7F80, 0xFF80, 0x7FC0], np.uint16), DType.BF16)
    assert np.isnan(cells.low).all()
    assert np.isnan(cells.high).all()
    assert not cells.closed.any()
