"""Where candidates are looked for: folders, lists, and what the suspect's own files name."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import ParentageError, UsageError
from tests.evidence.candidates import MERGEKIT, folder_of, mergekit, names, proposed


def test_a_folder_is_searched_below_and_a_model_is_found_once(tmp_path: Path) -> None:
    top = tmp_path / "models"
    folder_of(top / "org" / "one", *mergekit("A"))
    (top / "org" / "one" / "A.safetensors").rename(top / "org" / "one" / "model.safetensors")
    folder_of(top / "other", *mergekit("O", "B"))
    (top / "again").symlink_to("org")
    (top / "zagain").symlink_to("org")
    (top / "loop").symlink_to("..")
    found = proposed(MERGEKIT / "linear.safetensors", top)
    assert [Path(p).relative_to(top).as_posix() for p in found.parents] == [
        "org/one",
        "other/O.safetensors",
    ]
    assert names(found.controls) == ["B"]


def test_the_hubs_cache_is_searched(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    for name in "AO":
        repository = hub / f"models--org--{name}"
        (repository / "blobs").mkdir(parents=True)
        shutil.copy(MERGEKIT / f"{name}.safetensors", repository / "blobs" / "0f")
        (repository / "snapshots" / "c0ffee").mkdir(parents=True)
        (repository / "snapshots" / "c0ffee" / "model.safetensors").symlink_to("../../blobs/0f")
    found = proposed(MERGEKIT / "linear.safetensors", hub)
    assert {Path(p).parents[1].name for p in found.parents} == {"models--org--A", "models--org--O"}


def test_shards_are_one_candidate(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "sharded"
    folder.mkdir(parents=True)
    with open_checkpoint(MERGEKIT / "A.safetensors") as whole:
        halves: tuple[dict[str, StoredTensor], ...] = ({}, {})
        for k, (name, ref) in enumerate(whole.tensors.items()):
            halves[k % 2][name] = StoredTensor(ref.dtype, ref.shape, whole.read(name, 0, ref.elements))
    for k, tensors in enumerate(halves):
        write_safetensors(folder / f"model-0000{k + 1}-of-00002.safetensors", tensors)
    folder_of(tmp_path / "models" / "O", *mergekit("O"))
    found = proposed(MERGEKIT / "linear.safetensors", tmp_path / "models")
    assert sorted(names(found.parents)) == ["O", "sharded"]


def test_a_model_folder_or_a_weight_file_is_a_candidate_itself(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "O", *mergekit("O"))
    (folder / "O.safetensors").rename(folder / "model.safetensors")
    for place in (folder, folder / "model.safetensors"):
        assert proposed(MERGEKIT / "A.safetensors", place).parents == (str(place),)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A, B and O in a folder."""
    return folder_of(tmp_path / "models", *mergekit("A", "B", "O"))


FIRST, SECOND, THIRD = (f"models/{name}.safetensors" for name in "AOB")
LISTS: Mapping[str, str] = {
    "plain": f"{FIRST}\n{SECOND}\n{THIRD}\n",
    "comments": f"# mine\n\n{FIRST}  # the new one\n\t{SECOND}\r\n{THIRD}",
    "byte order mark": f"\ufeff{FIRST}\n{SECOND}\n{THIRD}",
    "repeated": f"{FIRST}\n./models/../{FIRST}\n{SECOND}\n{THIRD}",
    "one is missing": f"{FIRST}\nmodels/none\n{SECOND}\n{THIRD}",
}


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("which", LISTS)
def test_a_list_names_one_a_line_from_its_own_folder(
    which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "list.txt").write_bytes(LISTS[which].encode())
    monkeypatch.chdir("/")
    found = proposed(MERGEKIT / "linear.safetensors", tmp_path / "list.txt")
    assert sorted(names(found.parents)) == ["A", "O"]
    assert names(found.controls) == ["B"]
    missing = [n for n in found.notes if "models/none" in n]
    assert len(missing) == (which == "one is missing")


def test_a_number_sign_within_a_path_is_part_of_it(tmp_path: Path) -> None:
    folder_of(tmp_path / "c#1", *mergekit("O"))
    (tmp_path / "list.txt").write_text("c#1/O.safetensors # a base\n")
    found = proposed(MERGEKIT / "A.safetensors", tmp_path / "list.txt")
    assert found.parents == (str(tmp_path / "c#1" / "O.safetensors"),)


@pytest.mark.parametrize(
    "content", [None, b"", b"# nothing\n\n", b"\xff\xfe\x00", b"x\n" * 600_000, b"a\n" * 300],
    ids=["missing", "empty", "comments", "binary", "huge", "too many"],
)  # fmt: skip
def test_candidates_that_cannot_be_read_are_usage(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        proposed(MERGEKIT / "A.safetensors", path)
    assert caught.value.code == "usage-candidates"
    assert caught.value.where == str(path)
    assert caught.value.hint


def test_a_folder_without_models_is_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no candidate is there"):
        proposed(MERGEKIT / "A.safetensors", tmp_path)


def card(folder: Path, *bases: str) -> Path:
    text = "\n".join(f"- {base}" for base in bases)
    (folder / "README.md").write_text(f"---\nbase_model:\n{text}\n---\n")
    return folder


def suspect_in(folder: Path, model: str = "linear") -> Path:
    folder_of(folder, MERGEKIT / f"{model}.safetensors")
    (folder / f"{model}.safetensors").rename(folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("spelling", ["org/{}", "{}", "deep/org/{}"])
def test_names_that_the_suspect_declares_are_found_beside_it(spelling: str, tmp_path: Path) -> None:
    suspect = card(suspect_in(tmp_path / "suspect"), spelling.format("A"), spelling.format("O"))
    folder_of(tmp_path / "A", *mergekit("A"))
    folder_of(tmp_path, *mergekit("O"))
    found = proposed(suspect, None)
    assert sorted(names(found.parents)) == ["A", "O"]
    assert sum("its own files name" in n and "found at" in n for n in found.notes) == 2


def test_a_declared_name_with_its_owner_as_folder_comes_first(tmp_path: Path) -> None:
    suspect = card(suspect_in(tmp_path / "suspect", "A"), "org/O")
    folder_of(tmp_path / "org" / "O", *mergekit("O"))
    folder_of(tmp_path / "O", *mergekit("B"))
    assert proposed(suspect, None).parents == (str(tmp_path / "org" / "O"),)


def test_a_recipe_a_config_and_metadata_declare_too(tmp_path: Path) -> None:
    suspect = suspect_in(tmp_path / "suspect")
    (suspect / "mergekit_config.yml").write_text("models:\n- model: org/A\n- model: org/B\n")
    (suspect / "config.json").write_text('{"_name_or_path": "org/O"}')
    for name in "ABO":
        folder_of(tmp_path / name, *mergekit(name))
    found = proposed(suspect, None)
    assert sorted(names(found.parents)) == ["A", "O"]
    assert names(found.controls) == ["B"]


def test_a_suspect_that_is_a_file_looks_in_its_own_folder(tmp_path: Path) -> None:
    folder = card(folder_of(tmp_path / "models", *mergekit("A", "O", "linear")), "org/A", "org/O")
    found = proposed(folder / "linear.safetensors", None)
    assert sorted(names(found.parents)) == ["A", "O"]


ESCAPES = ("../secret/O", "..", ".", "a/../../secret/O", "/secret/O", "secret\\O", "link/O", "linked")


@pytest.mark.parametrize("name", ESCAPES)
def test_a_declared_name_leads_nowhere_else(name: str, tmp_path: Path) -> None:
    """A name in a card is written by whoever made the suspect: it must not read other folders."""
    home = tmp_path / "home"
    suspect = suspect_in(home / "suspect", "A")
    secret = folder_of(tmp_path / "secret" / "O", *mergekit("O"))
    (home / "link").symlink_to(tmp_path / "secret")
    (home / "linked").symlink_to(secret)
    (suspect / "config.json").write_text('{"_name_or_path": ' + f'"{name}"'.replace("\\", "\\\\") + "}")
    with pytest.raises(ParentageError) as caught:
        proposed(suspect, None)
    assert caught.value.code == "usage-no-parents"


def test_a_declared_name_that_is_not_there_is_said_in_the_error(tmp_path: Path) -> None:
    suspect = card(suspect_in(tmp_path / "suspect"), "org/absent")
    with pytest.raises(UsageError, match="its own files name org/absent, which are not beside it"):
        proposed(suspect, None)
    with pytest.raises(UsageError, match="its own files name no source"):
        proposed(MERGEKIT / "A.safetensors", None)


def test_a_suspect_that_declares_itself_declares_nothing(tmp_path: Path) -> None:
    suspect = card(suspect_in(tmp_path / "suspect"), "org/suspect")
    with pytest.raises(UsageError):
        proposed(suspect, None)
