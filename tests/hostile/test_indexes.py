"""Indexes that lie about their folder, and shards that lie about each other."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import parentage.checkpoints.places as places_module
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import IndexFileError, ParentageError
from tests.hostile.headers import container, entry, named
from tests.worlds.fixtures import FOLDER as FIXTURES

INDEX = "model.safetensors.index.json"
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
GOOD = {"a": ONE, "b": TWO}


def shards(folder: Path, **extra: Any) -> Path:
    """Two good shards of a tensor each, and what is given beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ONE).write_bytes(container(named(a=entry()), bytes(8)))
    (folder / TWO).write_bytes(container(named(b=entry(), **extra), bytes(8)))
    return folder


def index(folder: Path, weight_map: Any, **extra: Any) -> Path:
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map, **extra}))
    return folder


def refusal(folder: Path, code: str) -> ParentageError:
    with pytest.raises(ParentageError) as caught:
        open_checkpoint(folder)
    error = caught.value
    assert error.code == code
    assert error.exit_code == 3
    assert error.message
    assert str(folder) in error.where
    assert error.hint
    assert len(str(error)) < 1500
    assert str(error).isprintable()
    return error


def test_a_good_index_opens(tmp_path: Path) -> None:
    index(shards(tmp_path), GOOD, metadata={"total_size": 16})
    with open_checkpoint(tmp_path) as checkpoint:
        assert {n: t.shard for n, t in checkpoint.tensors.items()} == GOOD
        assert checkpoint.oddities == ()


@pytest.mark.parametrize(
    "name",
    [
        "../secret.safetensors",
        "sub/../../secret.safetensors",
        "..",
        "/etc/passwd",
        "//etc/passwd",
        "a\0b",
        "..\\secret.safetensors",
        "C:\\secret",
        "",
        "../\x1b[2J",
    ],
)
def test_a_shard_name_that_leaves_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    folder = shards(tmp_path / "model")
    (tmp_path / "secret.safetensors").write_bytes((folder / ONE).read_bytes())
    error = refusal(index(folder, {"a": name, "b": TWO}), "index-escapes")
    assert isinstance(error, IndexFileError)


def test_a_shard_that_links_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = index(shards(tmp_path / "model"), GOOD)
    (folder / ONE).rename(tmp_path / "secret.safetensors")
    (folder / ONE).symlink_to("../secret.safetensors")
    refusal(folder, "link-escapes")


def test_a_folder_of_shards_that_links_out_is_refused(tmp_path: Path) -> None:
    shards(tmp_path / "elsewhere")
    folder = shards(tmp_path / "model")
    (folder / "sub").symlink_to("../elsewhere")
    refusal(index(folder, {"a": f"sub/{ONE}", "b": TWO}), "link-escapes")


def test_an_index_that_links_out_is_refused(tmp_path: Path) -> None:
    folder = shards(tmp_path / "model")
    (tmp_path / "index.json").write_text(json.dumps({"weight_map": GOOD}))
    (folder / INDEX).symlink_to("../index.json")
    refusal(folder, "link-escapes")


def test_the_links_of_the_hubs_cache_are_followed_for_index_and_shards(tmp_path: Path) -> None:
    repository = tmp_path / "models--org--name"
    blobs = index(shards(repository / "blobs"), GOOD)
    folder = repository / "snapshots" / "c0ffee"
    folder.mkdir(parents=True)
    for k, name in enumerate((ONE, TWO, INDEX)):
        (blobs / name).rename(blobs / str(k))
        (folder / name).symlink_to(f"../../blobs/{k}")
    with open_checkpoint(folder) as checkpoint:
        assert list(checkpoint.tensors) == ["a", "b"]
        assert checkpoint.revision == "c0ffee"


@pytest.mark.parametrize("name", ["absent.safetensors", "n" * 4000, "\ud800", "sub/x.safetensors"])
def test_a_shard_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    error = refusal(index(shards(tmp_path), GOOD | {"c": name}), "index-absent-shard")
    assert "download" in error.hint


@pytest.mark.parametrize(
    "weight_map", [None, {}, [], "x", 1, {"a": 1}, {"a": None}, {"a": [ONE]}, {"a": {"b": ONE}}]
)
def test_a_weight_map_of_the_wrong_type_is_refused(weight_map: Any, tmp_path: Path) -> None:
    refusal(index(shards(tmp_path), weight_map), "index-malformed")


@pytest.mark.parametrize("text", ["[]", "null", "{}", "1", '"x"'])
def test_an_index_without_weight_map_is_refused(text: str, tmp_path: Path) -> None:
    (shards(tmp_path) / INDEX).write_text(text)
    refusal(tmp_path, "index-malformed")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff", b"[" * 100_000, b'{"weight_map":' * 100_000, b"9" * 5000]
)
def test_an_index_that_is_not_json_is_refused(raw: bytes, tmp_path: Path) -> None:
    (shards(tmp_path) / INDEX).write_bytes(raw)
    refusal(tmp_path, "json-malformed")


def test_an_index_of_unreasonable_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places_module, "MAX_JSON", 10_000)
    (shards(tmp_path) / INDEX).write_bytes(b"{" + b" " * 10_000)
    refusal(tmp_path, "json-too-large")


def test_an_index_that_names_a_tensor_twice_is_refused(tmp_path: Path) -> None:
    text = f'{{"weight_map": {{"a": "{ONE}", "b": "{TWO}", "a": "{TWO}"}}}}'
    (shards(tmp_path) / INDEX).write_text(text)
    assert "a appears twice" in refusal(tmp_path, "json-duplicate-name").message


@pytest.mark.parametrize("weight_map", [{"a": TWO, "b": TWO}, GOOD | {"c": ONE}, {"a": TWO, "b": ONE}])
def test_a_tensor_that_is_not_in_its_shard_is_refused(weight_map: dict[str, str], tmp_path: Path) -> None:
    refusal(index(shards(tmp_path), weight_map), "index-wrong-shard")


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    folder = shards(tmp_path, a=entry(shape=[0], offsets=[8, 8]))
    refusal(index(folder, GOOD), "duplicate-tensor")
    (folder / INDEX).unlink()
    refusal(folder, "duplicate-tensor")


def test_one_shard_under_two_names_is_refused(tmp_path: Path) -> None:
    folder = index(shards(tmp_path), {"a": ONE, "b": TWO, "c": f"./{ONE}"})
    refusal(folder, "duplicate-tensor")


def test_a_broken_shard_is_named(tmp_path: Path) -> None:
    folder = index(shards(tmp_path), GOOD)
    raw = (folder / TWO).read_bytes()
    (folder / TWO).write_bytes(raw[:-1])
    assert TWO in refusal(folder, "data-truncated").where


def test_tensors_files_and_indexes_that_nobody_names_are_oddities(tmp_path: Path) -> None:
    folder = index(shards(tmp_path, c=entry(shape=[0], offsets=[8, 8])), GOOD)
    (folder / "other.safetensors").write_bytes(b"not read")
    (folder / "z.safetensors.index.json").write_bytes(b"not read")
    with open_checkpoint(folder) as checkpoint:
        assert checkpoint.oddities == (
            "other.safetensors: a weight file that the index does not name",
            f"z.safetensors.index.json: not read beside {INDEX}",
            "c: in a shard, not in the index",
        )
        assert "c" in checkpoint.tensors


def test_an_index_of_a_hundred_thousand_tensors_is_checked_in_seconds(tmp_path: Path) -> None:
    folder = shards(tmp_path)
    index(folder, {f"t{n}": ONE for n in range(100_000)})
    begin = time.perf_counter()
    refusal(folder, "index-wrong-shard")
    assert time.perf_counter() - begin < 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shards(tmp_path_factory.mktemp("fuzz") / "model")


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    weight_map=st.dictionaries(
        st.sampled_from("abc") | st.text(max_size=2),
        st.sampled_from([ONE, TWO, ".", f"./{ONE}", INDEX, "../model", "~"]) | st.text(max_size=3),
        max_size=3,
    )
)
def test_a_random_index_opens_or_is_refused(folder: Path, weight_map: dict[str, str]) -> None:
    index(folder, weight_map)
    try:
        with open_checkpoint(folder) as checkpoint:
            assert weight_map.items() <= {n: t.shard for n, t in checkpoint.tensors.items()}.items()
    except ParentageError:
        pass


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(at=st.integers(0, 200), byte=st.integers(0, 255), cut=st.none() | st.integers(0, 200))
def test_a_mutated_index_opens_or_is_refused(folder: Path, at: int, byte: int, cut: int | None) -> None:
    raw = bytearray(json.dumps({"metadata": {"total_size": 16}, "weight_map": GOOD}).encode())
    raw[at % len(raw)] = byte
    (folder / INDEX).write_bytes(raw[:cut])
    with suppress(ParentageError):
        open_checkpoint(folder).close()


@pytest.mark.parametrize("name", [INDEX, f"./{INDEX}", "other.safetensors.index.json"])
def test_an_index_that_names_an_index_ends_in_one_error(name: str, tmp_path: Path) -> None:
    """A loop of indexes: what an index names is read as weights, never as a further index."""
    (tmp_path / "other.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": INDEX}}))
    error = refusal(index(tmp_path, {"a": name}), "header-too-large")
    assert name.removeprefix("./") in error.where


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        ({"0.bias": "../pytorch_model.bin"}, "index-escapes"),
        ({"0.bias": "absent.bin"}, "index-absent-shard"),
        ({"0.bias": "pytorch_model-00002-of-00002.bin"}, "index-wrong-shard"),
        ({"0.bias": "pytorch_model.bin.index.json"}, "header-too-large"),
    ],
    ids=["leaves", "absent", "another shard", "itself"],
)
def test_an_index_of_pytorch_shards_lies_no_better(
    mapping: dict[str, str], code: str, tmp_path: Path
) -> None:
    for path in (FIXTURES / "torch" / "sharded").glob("*.bin"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": mapping}))
    refusal(tmp_path, code)
