"""Sums of several task vectors stand in the tool's order, element by element."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.methods.grids import on_grid
from parentage.methods.task_kernels import GRIDS, combine, in_order
from parentage.numerics.tool_order.torch_sums import level_power, outer_sum
from parentage.records.dtypes import DType

Values = NDArray[np.float32]


def plainly(
    d: Values, base: Values, w: Values, start: int, columns: int, elect: bool, dtype: DType
) -> Values:
    """The frame's arithmetic (``task_vectors``) in whole arrays, lambda 1, normalised."""

    def added(rows: Values) -> Values:
        return on_grid(outer_sum(np.ascontiguousarray(rows), start, columns), dtype)

    p = on_grid(d * w[:, None], dtype)
    if not elect:
        return on_grid(on_grid(base, dtype) + on_grid(added(p) / np.float32(1.5), dtype), dtype)
    positive = added(p) >= 0
    agrees = np.where(positive, p > 0, p < 0)
    share = added(np.where(agrees, w[:, None], np.float32(0)).astype(np.float32))
    mixed = added(np.where(agrees, p, np.float32(0)).astype(np.float32))
    divided = on_grid(mixed / np.where(share == 0, np.float32(1), share), dtype)
    return on_grid(on_grid(base, dtype) + divided, dtype)


@pytest.mark.parametrize("dtype", list(GRIDS))
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_sums_of_any_number_of_models_are_the_tools(dtype: DType, data: st.DataObject) -> None:
    models, n = data.draw(st.integers(2, 40)), data.draw(st.integers(1, 5000))
    # What was left of the tensor when this piece of it began, and what comes after it.
    start, after = data.draw(st.integers(0, 70)), data.draw(st.integers(0, 70))
    rng, elect = np.random.default_rng(data.draw(st.integers(0, 99))), data.draw(st.booleans())
    d = on_grid(rng.normal(0, 0.02, (models, n)).astype(np.float32), dtype)
    base, w = d[0] * np.float32(3), on_grid(rng.normal(0.3, 0.3, models).astype(np.float32), dtype)
    columns = start + n + after
    wanted = plainly(d, base, w, start, columns, elect, dtype)
    out, scale = np.empty(n, np.float32), np.array([1.5, 1], np.float32)
    odd = columns - columns % 32 - start
    combine(d.copy(), base, w, scale, elect, True, GRIDS[dtype], level_power(models), odd, out)
    np.testing.assert_array_equal(out.view(np.uint32), wanted.view(np.uint32))


def test_where_sums_are_one_after_the_other() -> None:
    assert [in_order(models, 70, 100) for models in (2, 4, 5, 15, 16)] == [100, 100, 70, 70, 0]
    assert in_order(9, -5, 100) == 0
    assert in_order(9, 500, 100) == 100
