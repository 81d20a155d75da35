"""Folders and links that mislead: what is refused, and what only looks odd."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

import parentage.checkpoints.checkpoint as checkpoint_module
import parentage.checkpoints.local_files as local_module
import parentage.checkpoints.places as places_module
from parentage.checkpoints.declared import declared_sources
from parentage.checkpoints.digests import digest_shard
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import InputMissingError, ParentageError, ReadError
from tests.hostile.headers import container, entry, named, simple


def refusal(path: Path | str, code: str) -> ParentageError:
    with pytest.raises(ParentageError) as caught:
        open_checkpoint(path)
    error = caught.value
    assert error.code == code
    assert error.message
    assert error.where
    assert error.hint
    return error


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_missing_file_or_folder_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path / "absent", "input-missing")
    assert isinstance(error, InputMissingError)
    assert error.exit_code == 3
    assert error.where == str(tmp_path / "absent")


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_missing_too(name: str) -> None:
    refusal(name, "input-missing")


def test_a_name_longer_than_the_system_allows_cannot_be_opened() -> None:
    refusal("n" * 5000, "input-unreadable")


def test_a_path_through_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    refusal(tmp_path / "file" / "model.safetensors", "input-missing")


def test_an_empty_folder_holds_no_weights(tmp_path: Path) -> None:
    refusal(tmp_path, "no-weights")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "w.ckpt", "w.pth"])
def test_a_folder_of_other_formats_is_refused_and_never_unpickled(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    for path in (tmp_path, tmp_path / name):
        error = refusal(path, "format-not-read")
        assert "unpickled" in error.hint
        assert name in f"{error.message} {error.where}"
    assert sorted(p.name for p in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize("inside", [True, False])
def test_a_file_without_permission_is_refused(
    inside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(simple())

    def denied(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied")

    # Permissions do not bind a test that runs as root.
    monkeypatch.setattr(places_module.os, "open", denied)
    refusal(tmp_path if inside else path, "input-permission")


def test_a_folder_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    refusal(tmp_path, "input-permission")


def test_a_failing_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(simple())

    def broken(*_: Any, **__: Any) -> Any:
        raise OSError(5, "Input/output error")

    with open_checkpoint(path) as checkpoint, monkeypatch.context() as patch:
        patch.setattr(local_module.os, "preadv", broken)
        patch.setattr(local_module.os, "pread", broken)
        with pytest.raises(ReadError) as caught:
            checkpoint.read("a", 0, 1)
        assert caught.value.code == "read-failed"
        with pytest.raises(ReadError) as caught:
            digest_shard(checkpoint, checkpoint.shards[0])
        assert caught.value.code == "read-failed"
    monkeypatch.setattr(local_module.os, "preadv", broken)
    assert "Input/output" in refusal(path, "input-unreadable").message


def test_a_closed_checkpoint_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(simple())
    file = local_module.LocalFile(path.name, path)
    file.close()
    with pytest.raises(ReadError) as caught:
        file.read_into(0, memoryview(bytearray(1)))
    assert caught.value.code == "read-closed"


@pytest.mark.parametrize("name", ["model.safetensors", "model.safetensors.index.json"])
def test_a_named_pipe_does_not_hold_us(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    refusal(tmp_path, "input-not-file")
    refusal(tmp_path / name, "input-not-file")


@pytest.mark.parametrize("name", ["model.safetensors", "model.safetensors.index.json"])
def test_a_folder_where_a_file_should_be_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    refusal(tmp_path, "input-not-file")


def test_a_device_is_refused() -> None:
    refusal("/dev/zero", "input-not-file")


def _outside(tmp_path: Path) -> tuple[Path, Path]:
    secret = tmp_path / "secret.safetensors"
    secret.write_bytes(simple())
    folder = tmp_path / "model"
    folder.mkdir()
    return secret, folder


def test_a_link_out_of_a_folder_is_refused(tmp_path: Path) -> None:
    secret, folder = _outside(tmp_path)
    (folder / "model.safetensors").symlink_to(secret)
    assert "trust" in refusal(folder, "link-escapes").hint
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("../secret.safetensors")
    refusal(folder, "link-escapes")


def test_a_link_that_is_itself_named_is_followed(tmp_path: Path) -> None:
    secret, folder = _outside(tmp_path)
    (folder / "link.safetensors").symlink_to(secret)
    with open_checkpoint(folder / "link.safetensors") as checkpoint:
        assert len(checkpoint.tensors) == 2


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(simple())
    (tmp_path / "model.safetensors").symlink_to("weights.bin")
    with open_checkpoint(tmp_path) as checkpoint:
        assert len(checkpoint.tensors) == 2


def test_a_folder_that_is_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "model.safetensors").write_bytes(simple())
    (tmp_path / "alias").symlink_to("real")
    with open_checkpoint(tmp_path / "alias") as checkpoint:
        assert len(checkpoint.tensors) == 2


def test_a_link_to_nothing_or_to_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.symlink_to("gone")
    refusal(tmp_path, "input-missing")
    path.unlink()
    path.symlink_to("model.safetensors")
    refusal(tmp_path, "link-loop")


@pytest.mark.parametrize("below", ["", "transformer"])
def test_the_links_of_the_hubs_cache_are_followed(below: str, tmp_path: Path) -> None:
    repository = tmp_path / "models--org--name"
    (repository / "blobs").mkdir(parents=True)
    (repository / "blobs" / "0f").write_bytes(simple())
    folder = repository / "snapshots" / "c0ffee" / below
    folder.mkdir(parents=True)
    up = "../" * (3 if below else 2)
    (folder / "model.safetensors").symlink_to(f"{up}blobs/0f")
    with open_checkpoint(folder) as checkpoint:
        assert len(checkpoint.tensors) == 2
        assert checkpoint.revision == ("c0ffee" if not below else checkpoint.revision)
    (folder / "model.safetensors").unlink()
    (tmp_path / "other").write_bytes(simple())
    (folder / "model.safetensors").symlink_to(f"{up}../other")
    refusal(folder, "link-escapes")


def test_a_folder_that_only_imitates_the_hubs_cache_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "0f").write_bytes(simple())
    folder = tmp_path / "snapshots" / "c0ffee"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").symlink_to("../../blobs/0f")
    refusal(folder, "link-escapes")


def test_config_and_card_that_link_out_are_not_read(tmp_path: Path) -> None:
    _, folder = _outside(tmp_path)
    (tmp_path / "secret.json").write_text('{"_name_or_path": "stolen"}')
    (folder / "model.safetensors").write_bytes(simple())
    (folder / "config.json").symlink_to(tmp_path / "secret.json")
    (folder / "README.md").symlink_to(tmp_path / "secret.json")
    with open_checkpoint(folder) as checkpoint:
        assert checkpoint.config is None
        assert any("link" in oddity for oddity in checkpoint.oddities)
        with pytest.raises(InputMissingError) as caught:
            checkpoint.read_text("README.md")
        assert caught.value.code == "link-escapes"
        assert declared_sources(checkpoint) == ()


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass"), "9" * 5000]
)
def test_a_config_that_is_not_json_is_an_oddity(text: str | bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(simple())
    (tmp_path / "config.json").write_bytes(text.encode() if isinstance(text, str) else text)
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.config is None
        assert checkpoint.oddities == ("config.json: it is not JSON",)


def test_a_refused_checkpoint_leaves_no_file_open(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(simple())
    (tmp_path / "b.safetensors").write_bytes(simple())
    before = open_descriptors()
    refusal(tmp_path, "duplicate-tensor")
    (tmp_path / "b.safetensors").write_bytes(b"")
    refusal(tmp_path, "header-truncated")
    assert open_descriptors() == before


def test_files_beside_the_single_file_are_named_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(simple())
    (tmp_path / "other.safetensors").write_bytes(b"not read")
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.oddities == ("other.safetensors: not read beside model.safetensors",)


def test_a_file_cut_while_it_is_read_is_an_error_and_not_zeros(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(simple())
    with open_checkpoint(path) as checkpoint:
        os.truncate(path, path.stat().st_size - 4)
        assert checkpoint.read("a", 0, 6).size == 6
        with pytest.raises(ReadError) as caught:
            checkpoint.read("b", 0, 2)
        assert caught.value.code == "read-short"
        with pytest.raises(ReadError) as caught:
            digest_shard(checkpoint, checkpoint.shards[0])
        assert caught.value.code == "read-changed"
        assert caught.value.hint


@pytest.mark.parametrize(("start", "count"), [(-1, 1), (0, 7), (6, 1), (7, 0)])
def test_a_slice_outside_the_tensor_is_refused(start: int, count: int, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(simple())
    with open_checkpoint(path) as checkpoint, pytest.raises(ReadError) as caught:
        checkpoint.read("a", start, count)
    assert caught.value.code == "read-range"


CARDS = (
    "---\nbase_model: [",
    "---\nbase_model: !!bool x\n---",
    '---\nbase_model: !!int ""\n---',
    "---\nbase_model: !!timestamp x\n---",
    "---\nbase_model: 5\n---",
    "---\nbase_model:\n- [a, b]\n- {c: d}\n---",
    "---\nbase_model: " + "[" * 50_000 + "\n---",
    "---\nbase_model: !!python/object/apply:os.system ['touch owned']\n---",
)


@pytest.mark.parametrize("card", CARDS)
def test_a_card_that_misleads_declares_nothing_and_runs_nothing(
    card: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(simple())
    (tmp_path / "README.md").write_text(card)
    with open_checkpoint(tmp_path) as checkpoint:
        assert declared_sources(checkpoint) == ()
    assert not (tmp_path / "owned").exists()


RECIPES = (
    "models: 5",
    "models: {a: b}",
    "slices: true",
    "slices: [1, {sources: 2}, {sources: [3]}]",
    "- a\n- b",
    "\0",
    "a: &a {k: v}\nb: &b {<<: [*a, *a]}\nmodels: [*b]",
)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_of_the_wrong_shape_declares_nothing(recipe: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(simple())
    (tmp_path / "mergekit_config.yml").write_text(recipe)
    with open_checkpoint(tmp_path) as checkpoint:
        assert declared_sources(checkpoint) == ()


def test_merge_keys_do_not_multiply(tmp_path: Path) -> None:
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{n + 1}: &a{n + 1} {{<<: [{', '.join([f'*a{n}'] * 20)}]}}" for n in range(12)]
    (tmp_path / "model.safetensors").write_bytes(simple())
    (tmp_path / "mergekit_config.yml").write_text("\n".join(lines))
    with open_checkpoint(tmp_path) as checkpoint:
        assert declared_sources(checkpoint) == ()


def test_names_are_read_from_card_config_recipe_and_metadata(tmp_path: Path) -> None:
    metadata = {"__metadata__": {"base_model": "org/meta"}}
    raw = container(metadata | named(a=entry()), bytes(8))
    (tmp_path / "model.safetensors").write_bytes(raw)
    (tmp_path / "config.json").write_text('{"_name_or_path": "org/config"}')
    filler = "".join(f"- name: {'x' * 80}\n  value: {n}\n" for n in range(20_000))
    (tmp_path / "README.md").write_text(
        f"---\nlicense: mit\nmodel-index:\n{filler}base_model:\n- org/one\n-  org/two\ntags:\n- t\n---\n"
    )
    (tmp_path / "mergekit_config.yml").write_text(
        "base_model: org/base\nmodels:\n- model: org/one\n- model: org/three\n"
        "slices:\n- sources:\n  - model: org/four\n    layer_range: [0, 1]\n"
    )
    with open_checkpoint(tmp_path) as checkpoint:
        assert declared_sources(checkpoint) == tuple(
            f"org/{n}" for n in ("one", "two", "config", "base", "three", "four", "meta")
        )


def test_every_code_of_places_and_reading_is_tried_here_or_by_the_indexes() -> None:
    raised: set[str] = set()
    for module in (places_module, local_module, checkpoint_module):
        source = Path(module.__file__ or "").read_text()
        raised |= set(re.findall(r'code="([a-z-]+)"', source))
        raised |= set(re.findall(r'_bad_index\("([a-z-]+)"', source))
    here = Path(__file__)
    tried = here.read_text() + here.with_name("test_indexes.py").read_text()
    assert raised
    assert {code for code in raised if f'"{code}"' not in tried} == set()
