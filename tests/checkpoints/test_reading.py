"""What is read is what lies on disk, bit for bit, by any slice, from any sharding, in every dtype."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.digests import digest_shard
from parentage.checkpoints.opening import open_checkpoint
from parentage.records.dtypes import DType
from tests.hostile.headers import container, entry

ODD_NAMES = [f"model.safetensors-{n:05d}-of-00003.safetensors" for n in (1, 2, 3)]


def arrays(seed: int = 0) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    return {
        "embed": rng.normal(size=(40, 8)).astype(np.float32),
        "half": rng.normal(size=(7, 11)).astype(np.float16),
        "double": rng.normal(size=(5,)),
        "scalar": np.array(3.5, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "ids": rng.integers(-9, 9, size=(1, 33)),
        "byte": rng.integers(-128, 127, size=(17,)).astype(np.int8),
        "mask": rng.integers(0, 2, size=(3, 5)).astype(np.bool_),
    }


def write(folder: Path, tensors: dict[str, NDArray[Any]], names: list[str], *, index: bool) -> Path:
    """The tensors dealt out over files of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    placed = {name: names[k % len(names)] for k, name in enumerate(sorted(tensors))}
    for file in names:
        save_file({n: t for n, t in tensors.items() if placed[n] == file}, folder / file)
    if index:
        text = json.dumps({"metadata": {}, "weight_map": placed})
        (folder / "model.safetensors.index.json").write_text(text)
    return folder


def everything(checkpoint: Checkpoint) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {
        name: (t.dtype.value, t.shape, checkpoint.read(name, 0, t.elements).tobytes())
        for name, t in checkpoint.tensors.items()
    }


@pytest.mark.parametrize(
    ("names", "index"),
    [
        (["model.safetensors"], False),
        (["weights.safetensors"], False),
        (["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], True),
        (ODD_NAMES, True),
        (ODD_NAMES, False),
        (["a.safetensors", "b.safetensors"], False),
        (["shard one.weights", "ß.safetensors"], True),
    ],
)
def test_sharding_does_not_change_what_is_read(names: list[str], index: bool, tmp_path: Path) -> None:
    expected = {name: (DTYPES[t.dtype.name], t.shape, t.tobytes()) for name, t in arrays().items()}
    with open_checkpoint(write(tmp_path / "model", arrays(), names, index=index)) as checkpoint:
        assert everything(checkpoint) == expected
        assert [s.name for s in checkpoint.shards] == sorted(names)
        assert checkpoint.oddities == ()


DTYPES = {
    "float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64", "int8": "I8", "bool": "BOOL",
}  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("saved"), arrays(), ["model.safetensors"], index=False)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_slice_is_numpys(saved: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(arrays())))
    flat = arrays()[name].reshape(-1)
    start = data.draw(st.integers(0, flat.size))
    count = data.draw(st.integers(0, flat.size - start))
    with open_checkpoint(saved) as checkpoint:
        bits = checkpoint.read(name, start, count)
        assert bits.shape == (count,)
        assert bits.dtype == checkpoint.tensors[name].dtype.storage
        assert bits.tobytes() == flat[start : start + count].tobytes()
        assert checkpoint.bytes_read == flat.itemsize * count


def test_a_tensor_is_the_one_that_safetensors_reads(saved: Path) -> None:
    with open_checkpoint(saved) as ours, safe_open(saved / "model.safetensors", "np") as theirs:
        assert sorted(theirs.keys()) == list(ours.tensors)
        for name, tensor in ours.tensors.items():
            array = theirs.get_tensor(name)
            assert tensor.shape == array.shape
            assert tensor.elements == array.size
            assert ours.read(name, 0, tensor.elements).tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", list(DType))
def test_every_dtype_is_read_as_raw_bits(dtype: DType, tmp_path: Path) -> None:
    raw = np.random.default_rng(7).bytes(12 * dtype.itemsize)
    path = tmp_path / "model.safetensors"
    path.write_bytes(container({"t": entry(dtype.value, [3, 4], [0, len(raw)])}, raw))
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.tensors["t"].dtype is dtype
        assert checkpoint.tensors["t"].nbytes == len(raw)
        bits = checkpoint.read("t", 4, 8)
        assert bits.dtype.kind == "u"
        assert bits.dtype.itemsize == dtype.itemsize
        assert bits.tobytes() == raw[4 * dtype.itemsize :]


def test_tensors_without_elements_are_read_as_nothing(tmp_path: Path) -> None:
    table = {
        "a": entry("BF16", [0], [0, 0]),
        "b": entry("BF16", [2], [0, 4]),
        "c": entry("F32", [2, 0, 3], [4, 4]),
    }
    path = tmp_path / "model.safetensors"
    path.write_bytes(container(table, b"abcd"))
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.tensors["c"].elements == 0
        assert checkpoint.read("a", 0, 0).size == 0
        assert checkpoint.read("c", 0, 0).size == 0
        assert checkpoint.read("b", 0, 2).tobytes() == b"abcd"


def test_blocks_are_rows_of_the_same_reads(saved: Path) -> None:
    starts = np.array([0, 5, 5, 312], dtype=np.int64)
    flat = arrays()["embed"].reshape(-1).view(np.uint32)
    with open_checkpoint(saved) as checkpoint:
        blocks = checkpoint.read_blocks("embed", starts, 8)
    assert np.array_equal(blocks, np.stack([flat[s : s + 8] for s in starts]))


def test_tensors_whose_data_lie_unaligned_are_read_right(tmp_path: Path) -> None:
    values = np.arange(4, dtype=np.float32)
    table = {"odd": entry("U8", [1], [0, 1]), "wide": entry("F32", [4], [1, 17])}
    path = tmp_path / "model.safetensors"
    path.write_bytes(container(table, b"\7" + values.tobytes()))
    with open_checkpoint(path) as checkpoint:
        assert np.array_equal(checkpoint.read("wide", 0, 4).view(np.float32), values)


def test_the_digest_is_of_the_files(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", arrays(), ODD_NAMES, index=True)
    seen: list[int] = []
    with open_checkpoint(folder) as checkpoint:
        digests = {s.name: digest_shard(checkpoint, s, seen.append).sha256 for s in checkpoint.shards}
    assert digests == {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in ODD_NAMES}
    assert sum(seen) == sum((folder / n).stat().st_size for n in ODD_NAMES)


def test_several_threads_read_the_same_bits(saved: Path) -> None:
    flat = arrays()["embed"].reshape(-1).view(np.uint32)
    wrong: list[int] = []
    with open_checkpoint(saved) as checkpoint:

        def work(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for _ in range(200):
                start = int(rng.integers(0, 300))
                if not np.array_equal(checkpoint.read("embed", start, 20), flat[start : start + 20]):
                    wrong.append(start)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert checkpoint.bytes_read == 4 * 200 * 20 * 4
    assert wrong == []


def test_closing_twice_is_harmless(saved: Path) -> None:
    checkpoint = open_checkpoint(saved)
    checkpoint.close()
    checkpoint.close()


def test_a_read_of_a_huge_sparse_tensor_takes_its_slice_only(tmp_path: Path) -> None:
    size = 2**33
    path = tmp_path / "model.safetensors"
    head = container({"t": entry("BF16", [size // 2], [0, size])})
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(len(head) + size)
        stream.seek(len(head) + size - 4)
        stream.write(b"last")
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.read("t", size // 2 - 2, 2).tobytes() == b"last"
        assert checkpoint.bytes_read == 4


def test_side_files_are_found_and_config_is_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", arrays(), ["model.safetensors"], index=False)
    for name in ("config.json", "tokenizer.json", "README.md", "chat_template.jinja", "x.exe"):
        (folder / name).write_text('{"model_type": "bert"}')
    (folder / "tokenizer").mkdir()
    with open_checkpoint(folder) as checkpoint:
        assert checkpoint.files == (
            "README.md", "chat_template.jinja", "config.json", "tokenizer.json",
        )  # fmt: skip
        assert checkpoint.config == {"model_type": "bert"}
        assert checkpoint.read_text("README.md", limit=3) == '{"m'
        assert checkpoint.revision is None
