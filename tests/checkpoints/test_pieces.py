"""Tensors that lie in parts of others, or turned: every slice is the slice of the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.opening import open_checkpoint
from parentage.records.dtypes import DType
from parentage.records.tensors import Piece, TensorRef


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pieces") / "model.safetensors"
    rng = np.random.default_rng(0)
    shapes = {"gate": (7, 11), "up": (5, 11), "turned": (11, 40)}
    save_file({n: rng.standard_normal(s).astype(np.float32) for n, s in shapes.items()}, path)
    return path


def _fused(checkpoint: Checkpoint) -> tuple[TensorRef, np.ndarray]:
    """Rows 2 to 6 of one matrix, then all of another, then the first two rows again."""
    gate, up = checkpoint.tensors["gate"], checkpoint.tensors["up"]
    parts = ((gate, 22, 55), (up, 0, 55), (gate, 0, 22))
    pieces, at, values = [], 0, []
    for source, start, count in parts:
        pieces.append(Piece(at, count, source, start))
        values.append(checkpoint.read(source, start, count))
        at += count
    return TensorRef("fused", DType.F32, (12, 11), "", 0, 0, pieces=tuple(pieces)), np.concatenate(values)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 132), length=st.integers(0, 132))
def test_any_slice_of_joined_parts(start: int, length: int, saved: Path) -> None:
    with open_checkpoint(saved) as checkpoint:
        fused, whole = _fused(checkpoint)
        length = min(length, whole.size - start)
        assert np.array_equal(checkpoint.read(fused, start, length), whole[start : start + length])
        assert fused.nbytes == 4 * whole.size


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 440), length=st.integers(0, 440))
def test_any_slice_of_a_turned_matrix(start: int, length: int, saved: Path) -> None:
    with open_checkpoint(saved) as checkpoint:
        stored = checkpoint.tensors["turned"]
        turned = replace(stored, shape=(40, 11), transposed=True)
        whole = checkpoint.read(stored, 0, 440).reshape(11, 40).T.reshape(-1)
        length = min(length, 440 - start)
        assert np.array_equal(checkpoint.read(turned, start, length), whole[start : start + length])


def test_blocks_of_joined_parts_come_in_order(saved: Path) -> None:
    with open_checkpoint(saved) as checkpoint:
        fused, whole = _fused(checkpoint)
        starts = np.array([50, 0, 105], np.int64)
        wanted = np.stack([whole[s : s + 20] for s in starts])
        assert np.array_equal(checkpoint.read_blocks(fused, starts, 20), wanted)
