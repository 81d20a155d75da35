"""A checkpoint that is opened again elsewhere gives the same bytes, or says that it is another."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.pinned import PinnedCheckpoint, pin_checkpoint
from parentage.errors import ReadError
from parentage.records.dtypes import DType


def write(path: Path, name: str = "w", count: int = 64) -> np.ndarray:
    bits = np.arange(count, dtype=np.uint16)
    write_safetensors(path, {name: StoredTensor(DType.BF16, (count,), bits)})
    return bits


def pinned(path: Path) -> PinnedCheckpoint:
    with open_checkpoint(path) as checkpoint:
        found = pin_checkpoint(checkpoint)
    sent: PinnedCheckpoint = pickle.loads(pickle.dumps(found))
    assert sent == found
    return sent


def test_what_is_pinned_opens_from_its_pickle_with_the_same_bits(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    bits = write(path)
    with pinned(path).open() as again:
        assert np.array_equal(again.read("w", 3, 20), bits[3:23])


def test_files_that_do_not_lie_here_are_left_out_and_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.safetensors", name)
    found = pinned(tmp_path)
    (tmp_path / "b.safetensors").unlink()
    assert (found.holds("a.safetensors"), found.holds("b.safetensors")) == (True, False)
    with found.open() as again:
        assert list(again.tensors) == ["a"]


def test_a_file_that_is_gone_cannot_be_pinned(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write(path)
    with open_checkpoint(path) as checkpoint:
        path.unlink()
        with pytest.raises(ReadError, match="cannot be found again"):
            pin_checkpoint(checkpoint)
