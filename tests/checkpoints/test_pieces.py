"""Tensors that lie in parts of others, or turned: every slice is the slice of the whole."""

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


@pytest.mark.parametrize(("rows", "pieces"), [(300, 1), (9_000, 20)])
def test_a_tile_of_a_turned_matrix_lies_in_few_bytes_of_its_file(
    rows: int, pieces: int, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    matrix = np.random.default_rng(1).standard_normal((40, rows)).astype(np.float32)
    save_file({"w": matrix}, path)
    with open_checkpoint(path) as checkpoint:
        ref = replace(checkpoint.tensors["w"], shape=(rows, 40), transposed=True)
        # Rows 32 to 40, columns 10 to 30: as many pieces of 32 bytes, or one with what lies between.
        starts = np.arange(32, 40, dtype=np.int64) * 40 + 10
        spans = sorted(set(spans_of([Slices(ref, starts, 20)])["model.safetensors"]))
        found = checkpoint.read_blocks(ref, starts, 20).view(np.float32)
        begin = ref.begin
    assert np.array_equal(found, matrix.T[32:40, 10:30])
    wanted = {begin + ((10 + c) * rows + 32 + r) * 4 for c in range(20) for r in range(8)}
    held = {at for offset, count in spans for at in range(offset, offset + count, 4)}
    assert wanted <= held
    assert len(held) == len(wanted) if pieces > 1 else len(held) <= 20 * rows
    assert len({offset // (rows * 4) for offset, _ in spans}) == pieces


def test_blocks_of_joined_parts_come_in_order(saved: Path) -> None:
    with open_checkpoint(saved) as checkpoint:
        fused, whole = _fused(checkpoint)
        starts = np.array([50, 0, 105], np.int64)
        wanted = np.stack([whole[s : s + 20] for s in starts])
        assert np.array_equal(checkpoint.read_blocks(fused, starts, 20), wanted)
