"""Tensors in another order: every slice is the slice of the reordered whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from parentage.checkpoints.checkpoint import Checkpoint, Slices, spans_of
from parentage.checkpoints.opening import open_checkpoint
from parentage.records.tensors import Order, TensorRef

ROWS, COLUMNS = 9, 13


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("orders") / "model.safetensors"
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((ROWS, COLUMNS)).astype(np.float32)
    save_file({"w": matrix, "turned": np.ascontiguousarray(matrix.T)}, path)
    return path


def _ordered(
    checkpoint: Checkpoint, rows: bool, columns: bool, factors: bool
) -> tuple[TensorRef, np.ndarray]:
    rng = np.random.default_rng(1)
    source = checkpoint.tensors["w"]
    order = Order(
        source,
        rng.permutation(ROWS) if rows else None,
        rng.permutation(COLUMNS) if columns else None,
        2.0 ** rng.integers(-3, 3, ROWS) if factors and rows else None,
        -(2.0 ** rng.integers(-3, 3, COLUMNS)) if factors and columns else None,
    )
    whole = checkpoint.read(source, 0, source.elements).view(np.float32).reshape(ROWS, COLUMNS)
    whole = whole if order.rows is None else whole[order.rows]
    whole = whole if order.columns is None else whole[:, order.columns]
    whole = whole if order.row_factors is None else whole * order.row_factors[:, None].astype(np.float32)
    whole = whole if order.column_factors is None else whole * order.column_factors.astype(np.float32)
    return TensorRef("w", source.dtype, source.shape, "", 0, 0, order=order), whole.reshape(-1)


def _turned(ordered: TensorRef, checkpoint: Checkpoint) -> TensorRef:
    """The same numbers from a file that holds them the other way round."""
    assert ordered.order is not None
    source = replace(checkpoint.tensors["turned"], shape=(ROWS, COLUMNS), transposed=True)
    return replace(ordered, order=replace(ordered.order, source=source))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, ROWS * COLUMNS),
    length=st.integers(0, ROWS * COLUMNS),
    kinds=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_any_slice_of_a_reordered_matrix(
    start: int, length: int, kinds: tuple[bool, bool, bool], saved: Path
) -> None:
    with open_checkpoint(saved) as checkpoint:
        ordered, whole = _ordered(checkpoint, *kinds)
        length = min(length, whole.size - start)
        for ref in (ordered, _turned(ordered, checkpoint)):
            found = checkpoint.read(ref, start, length).view(np.float32)
            assert np.array_equal(found, whole[start : start + length])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    top=st.integers(0, ROWS - 1),
    high=st.integers(1, ROWS),
    left=st.integers(0, COLUMNS - 1),
    wide=st.integers(1, COLUMNS),
    kinds=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_a_tile_of_a_reordered_matrix_is_that_of_the_whole_in_either_layout(
    top: int, high: int, left: int, wide: int, kinds: tuple[bool, bool, bool], saved: Path
) -> None:
    high, wide = min(high, ROWS - top), min(wide, COLUMNS - left)
    starts = (top + np.arange(high)) * COLUMNS + left
    with open_checkpoint(saved) as checkpoint:
        ordered, whole = _ordered(checkpoint, *kinds)
        for ref in (ordered, _turned(ordered, checkpoint)):
            found = checkpoint.read_blocks(ref, starts, wide).view(np.float32)
            assert np.array_equal(found, whole.reshape(ROWS, COLUMNS)[top : top + high, left : left + wide])


def test_a_tile_of_a_reordered_turned_matrix_asks_for_few_rows_of_its_file(saved: Path) -> None:
    with open_checkpoint(saved) as checkpoint:
        ordered = _turned(_ordered(checkpoint, True, True, False)[0], checkpoint)
        starts = np.arange(3, dtype=np.int64) * COLUMNS
        (spans,) = spans_of([Slices(ordered, starts, 2)]).values()
        assert len(spans) == 2
        assert all(4 * 3 <= size <= 4 * ROWS for _, size in spans)


def test_a_reordered_matrix_can_be_announced_and_is_as_large_as_its_source(saved: Path) -> None:
    with open_checkpoint(saved) as checkpoint:
        ordered, _ = _ordered(checkpoint, True, True, True)
        checkpoint.announce(ordered, 5, 40)
        assert ordered.nbytes == 4 * ROWS * COLUMNS
        assert ordered.stored_names == ("w",)
