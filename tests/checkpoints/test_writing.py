"""A checkpoint is whole under its name, or it is not there; what is written is what others read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import OutputError
from parentage.records.dtypes import DType

RNG = np.random.default_rng(0)


def tensor(dtype: DType, *shape: int) -> StoredTensor:
    bits = RNG.integers(0, 2, size=int(np.prod(shape))).astype(dtype.storage)
    return StoredTensor(dtype, shape, bits)


CONTENTS = {f"t.{d.value}": tensor(d, 3, 5) for d in DType} | {
    "empty": tensor(DType.F32, 0, 4),
    "scalar": StoredTensor(DType.BF16, (), np.array([0x3FC0], np.uint16)),
    "é": tensor(DType.U8, 7),
}


def test_every_dtype_and_shape_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "model.safetensors"
    write_safetensors(path, CONTENTS, {"format": "pt"})
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.metadata == {"format": "pt"}
        assert set(checkpoint.tensors) == set(CONTENTS)
        for name, wanted in CONTENTS.items():
            assert checkpoint.tensors[name].shape == wanted.shape
            assert np.array_equal(checkpoint.read(name, 0, wanted.bits.size), wanted.bits)


def test_the_formats_own_reader_agrees(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, CONTENTS)
    with safe_open(path, "np") as theirs:
        assert set(theirs.keys()) == set(CONTENTS)
        assert theirs.get_tensor("t.I64").tobytes() == CONTENTS["t.I64"].bits.tobytes()


def test_the_order_in_which_tensors_are_given_does_not_matter(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a", CONTENTS)
    write_safetensors(tmp_path / "b", dict(reversed(CONTENTS.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError) as caught:
        write_safetensors(path, CONTENTS)
    assert (caught.value.code, caught.value.where) == ("output-write", str(path))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["file/model.safetensors", "n" * 300])
def test_a_place_that_cannot_be_written_to_is_one_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError) as caught:
        write_safetensors(tmp_path / name, CONTENTS)
    assert caught.value.code == "output-write"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
