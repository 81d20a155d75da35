"""When two paths are one model, and when two models hold the same weights."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.places import model_files
from parentage.checkpoints.twins import same_weights
from parentage.records.dtypes import DType

SIZES = {"a": (300, 40), "b": (7,), "c": (0, 3), "d": ()}


def tensors(seed: int = 0) -> dict[str, StoredTensor]:
    rng = np.random.default_rng(seed)
    made = {}
    for name, shape in SIZES.items():
        bits = rng.integers(0, 2**16, size=int(np.prod(shape)), dtype=np.uint16)
        made[name] = StoredTensor(DType.BF16, shape, bits)
    return made


def model(folder: Path, contents: dict[str, StoredTensor] | None = None) -> Path:
    write_safetensors(folder / "model.safetensors", contents or tensors())
    return folder


def same(first: Path, second: Path) -> bool:
    forward = model_files(str(first)).same_as(model_files(str(second)))
    assert forward == model_files(str(second)).same_as(model_files(str(first)))
    return forward


def equal(first: Path, second: Path) -> bool:
    with open_checkpoint(first) as one, open_checkpoint(second) as other:
        return same_weights(one, other)


def test_a_folder_is_its_only_weight_file_and_every_way_to_spell_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = model(tmp_path / "one")
    (tmp_path / "link").symlink_to("one")
    (tmp_path / "file").symlink_to(one / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    places = [one, one / "model.safetensors", Path("one"), Path("./x/../one/"), Path("link"), Path("file")]
    (tmp_path / "x").mkdir()
    for place in places:
        assert same(one, place), place


def test_equal_files_in_two_places_are_two_models(tmp_path: Path) -> None:
    one, two = model(tmp_path / "one"), model(tmp_path / "two")
    assert not same(one, two)
    assert not same(one, two / "model.safetensors")


def test_two_snapshots_that_share_a_blob_are_two_models(tmp_path: Path) -> None:
    repository = tmp_path / "models--org--name"
    blob = model(tmp_path / "x").joinpath("model.safetensors").rename(tmp_path / "0f")
    (repository / "blobs").mkdir(parents=True)
    blob.rename(repository / "blobs" / "0f")
    snapshots = [repository / "snapshots" / revision for revision in ("old", "new")]
    for snapshot in snapshots:
        snapshot.mkdir(parents=True)
        (snapshot / "model.safetensors").symlink_to("../../blobs/0f")
    assert not same(*snapshots)
    assert same(snapshots[0], repository / "blobs" / "0f")


def test_one_of_several_files_is_not_the_folder(tmp_path: Path) -> None:
    folder = model(tmp_path / "one")
    shutil.copy(folder / "model.safetensors", folder / "model-00002.safetensors")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert not same(folder, folder / "model.safetensors")


@pytest.mark.parametrize("name", ["absent", "empty", "\ud800", "n" * 5000])
def test_what_holds_no_weights_is_itself_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert same(tmp_path / name, tmp_path / name)
    assert not same(tmp_path / name, model(tmp_path / "one"))


def test_equal_weights_in_other_files_are_twins(tmp_path: Path) -> None:
    one = model(tmp_path / "one")
    halves = tmp_path / "two"
    for k, names in enumerate(("ac", "bd")):
        part = {n: t for n, t in tensors().items() if n in names}
        write_safetensors(halves / f"part-{k}.safetensors", part, {"made": "elsewhere"})
    assert equal(one, halves)


def _moved(name: str, element: int) -> dict[str, StoredTensor]:
    changed = tensors()
    changed[name].bits[element] ^= 1
    return changed


@pytest.mark.parametrize(("name", "element"), [("a", 0), ("a", -1), ("a", 6000), ("b", 3), ("d", 0)])
def test_one_bit_anywhere_tells_twins_apart(name: str, element: int, tmp_path: Path) -> None:
    assert not equal(model(tmp_path / "one"), model(tmp_path / "two", _moved(name, element)))


def test_a_name_a_shape_or_a_dtype_tells_them_apart(tmp_path: Path) -> None:
    one = model(tmp_path / "one")
    renamed = tensors()
    renamed["e"] = renamed.pop("d")
    turned = tensors() | {"a": StoredTensor(DType.BF16, (40, 300), tensors()["a"].bits)}
    other = tensors() | {"a": StoredTensor(DType.F16, (300, 40), tensors()["a"].bits)}
    for k, contents in enumerate((renamed, turned, other)):
        assert not equal(one, model(tmp_path / str(k), contents))


def test_models_without_tensors_are_no_twins(tmp_path: Path) -> None:
    for name in "ab":
        write_safetensors(tmp_path / name / "model.safetensors", {})
    assert not equal(tmp_path / "a", tmp_path / "b")


def test_models_that_differ_are_told_apart_by_a_little(tmp_path: Path) -> None:
    size = 2**21
    for name, byte in (("a", b"\0"), ("b", b"\1")):
        bits = np.frombuffer(byte * size, np.uint8)
        write_safetensors(
            tmp_path / name / "model.safetensors", {"t": StoredTensor(DType.U8, (size,), bits)}
        )
    with open_checkpoint(tmp_path / "a") as one, open_checkpoint(tmp_path / "b") as other:
        assert not same_weights(one, other)
        assert one.bytes_read <= 4096
    assert os.path.getsize(tmp_path / "a" / "model.safetensors") > size
