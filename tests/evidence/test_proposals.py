"""Parents unknown: what is proposed from a folder, from a list, or from what the suspect itself names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from parentage import api
from parentage.checkpoints.local import open_checkpoint
from parentage.checkpoints.safetensors_writer import StoredTensor, write_safetensors
from parentage.errors import AlignmentError, ParentageError, UsageError
from parentage.evidence.proposals import MOST_CONTROLS, Proposal, propose
from parentage.numerics.formats import round_to, to_float64
from parentage.records.dtypes import DType
from tests.evidence.silence import silent

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
MERGEKIT, RUN = FIXTURES / "mergekit", FIXTURES / "training-run"
PEFT = FIXTURES / "peft" / "lora-merged.safetensors"


def proposed(
    suspect: Path,
    candidates: Path | None,
    parents: Sequence[Path] = (),
    others: Sequence[Path] = (),
    seed: int = 0,
) -> Proposal:
    return propose(
        str(suspect),
        None if candidates is None else str(candidates),
        parents=[str(p) for p in parents],
        others=[str(p) for p in others],
        seed=seed,
        progress=silent,
    )


def names(places: Iterable[str]) -> list[str]:
    return [Path(p).name.removesuffix(".safetensors") for p in places]


def folder_of(folder: Path, *models: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for model in models:
        shutil.copy(model, folder / model.name)
    return folder


def mergekit(*wanted: str) -> list[Path]:
    return [MERGEKIT / f"{n}.safetensors" for n in wanted]


@pytest.fixture
def six(tmp_path: Path) -> Path:
    """O and its fine-tunes A and B, an adapter merged into O, and two models of another shape."""
    others = (PEFT, RUN / "base.safetensors", RUN / "end.safetensors")
    return folder_of(tmp_path / "models", *mergekit("A", "B", "O"), *others)


@pytest.mark.parametrize("merge", ["linear", "linear-0.1.4", "linear-float32", "slerp", "task-arithmetic"])
def test_the_two_parents_of_a_merge_are_found_among_six(merge: str, six: Path) -> None:
    found = proposed(MERGEKIT / f"{merge}.safetensors", six)
    assert sorted(names(found.parents)) == ["A", "O"]
    assert sorted(names(found.controls)) == ["B", "lora-merged"]


def test_the_three_parents_of_a_merge_are_found_among_six(six: Path) -> None:
    found = proposed(MERGEKIT / "linear-three.safetensors", six)
    assert sorted(names(found.parents)) == ["A", "B", "O"]
    assert names(found.controls) == ["lora-merged"]


def test_and_the_audit_then_gives_the_recipe(six: Path) -> None:
    report = api.audit(str(MERGEKIT / "linear.safetensors"), candidates=str(six), workers=1).report
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    assert {p.name for p in report.verdict.parents} == {"A.safetensors", "O.safetensors"}
    assert any("proposed as parents, of 6 looked at" in note for note in report.notes)


def test_what_was_set_aside_is_noted_with_its_reason(six: Path) -> None:
    notes = proposed(MERGEKIT / "linear.safetensors", six).notes
    for name in ("base", "end"):
        (note,) = [n for n in notes if f"{name}.safetensors" in n]
        assert "set aside" in note
        assert "nothing-aligned" in note


def test_the_seed_and_the_names_do_not_matter(six: Path, tmp_path: Path) -> None:
    renamed = {"A": "zz", "O": "mm", "B": "aa"}
    other = tmp_path / "renamed"
    other.mkdir()
    for old, new in renamed.items():
        shutil.copy(MERGEKIT / f"{old}.safetensors", other / f"{new}.safetensors")
    for seed in (0, 1, 2):
        assert set(names(proposed(MERGEKIT / "linear.safetensors", other, seed=seed).parents)) == {
            "zz",
            "mm",
        }


def test_a_copy_among_the_candidates_is_the_whole_answer(six: Path) -> None:
    shutil.copy(MERGEKIT / "linear.safetensors", six / "mirror.safetensors")
    found = proposed(MERGEKIT / "linear.safetensors", six)
    assert names(found.parents) == ["mirror"]
    report = api.audit(str(MERGEKIT / "linear.safetensors"), candidates=str(six), workers=1).report
    assert (report.verdict.relation, report.verdict.status) == ("copy", "supported")


def recast(source: Path, target: Path, dtype: DType) -> None:
    tensors = {}
    with open_checkpoint(source) as checkpoint:
        for name, ref in checkpoint.tensors.items():
            values = to_float64(checkpoint.read(name, 0, ref.elements), ref.dtype)
            tensors[name] = StoredTensor(dtype, ref.shape, round_to(values, dtype))
    write_safetensors(target, tensors)


def test_so_is_the_same_model_in_another_dtype(six: Path) -> None:
    recast(MERGEKIT / "linear-float32.safetensors", six / "wide.safetensors", DType.F32)
    suspect = six.parent / "suspect.safetensors"
    recast(MERGEKIT / "linear-float32.safetensors", suspect, DType.BF16)
    assert names(proposed(suspect, six).parents) == ["wide"]


def test_two_copies_of_one_candidate_are_one(six: Path) -> None:
    shutil.copy(MERGEKIT / "A.safetensors", six / "A-mirror.safetensors")
    found = proposed(MERGEKIT / "linear.safetensors", six)
    assert len(found.parents) == 2
    assert any("A.safetensors: set aside, it has the same weights as" in n for n in found.notes)
    assert api.audit(str(MERGEKIT / "linear.safetensors"), candidates=str(six), workers=1).report


@pytest.mark.parametrize("child", ["A", "B"])
def test_a_fine_tune_gets_its_base_as_parent(child: str, six: Path) -> None:
    (six / f"{child}.safetensors").unlink()
    found = proposed(MERGEKIT / f"{child}.safetensors", six)
    assert "O" in names(found.parents)
    report = api.audit(str(MERGEKIT / f"{child}.safetensors"), candidates=str(six), workers=1).report
    assert report.verdict.relation != "linear-merge"


def test_a_checkpoint_of_a_run_among_candidates_is_called_no_merge(tmp_path: Path) -> None:
    candidates = folder_of(
        tmp_path / "models", *(RUN / f"{n}.safetensors" for n in ("base", "end", "sibling-1"))
    )
    report = api.audit(str(RUN / "ema.safetensors"), candidates=str(candidates), workers=1).report
    assert report.verdict.relation != "linear-merge"
    assert report.post_training.status != "detected"


def test_one_related_candidate_is_proposed_alone(tmp_path: Path) -> None:
    candidates = folder_of(tmp_path / "models", *mergekit("O"), RUN / "end.safetensors")
    found = proposed(MERGEKIT / "A.safetensors", candidates)
    assert (names(found.parents), found.controls) == (["O"], ())


def stranger(source: Path, target: Path, seed: int) -> Path:
    """A model of the same shapes whose weights have nothing to do with the source's."""
    rng = np.random.default_rng(seed)
    tensors = {}
    with open_checkpoint(source) as checkpoint:
        for name, ref in checkpoint.tensors.items():
            values = rng.normal(size=ref.elements) * 0.05
            tensors[name] = StoredTensor(ref.dtype, ref.shape, round_to(values, ref.dtype))
    write_safetensors(target, tensors)
    return target


def test_unrelated_candidates_are_set_aside_with_a_note(six: Path) -> None:
    stranger(MERGEKIT / "O.safetensors", six / "stranger.safetensors", 1)
    found = proposed(MERGEKIT / "linear.safetensors", six)
    assert "stranger" not in names((*found.parents, *found.controls))
    (note,) = [n for n in found.notes if "stranger.safetensors" in n]
    assert "its weights are unrelated (correlation 0.0" in note


def test_where_none_is_related_the_most_alike_are_measured_and_found_independent(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for seed in range(4):
        stranger(MERGEKIT / "O.safetensors", folder / f"s{seed}.safetensors", seed)
    report = api.audit(str(MERGEKIT / "A.safetensors"), candidates=str(folder), workers=1).report
    assert report.verdict.relation in ("independent", "undetermined")
    assert any("none of 4 candidates is related" in note for note in report.notes)


def test_where_nothing_can_be_compared_the_error_says_why(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "models", RUN / "base.safetensors")
    (folder / "broken.safetensors").write_bytes(b"")
    with pytest.raises(AlignmentError) as caught:
        proposed(MERGEKIT / "A.safetensors", folder)
    assert (caught.value.code, caught.value.exit_code) == ("no-candidate", 3)
    assert "none of 2 candidates" in caught.value.message
    assert "header-truncated" in caught.value.message


@pytest.mark.parametrize("raw", [b"", b"\xff" * 100, b"x" * 8], ids=["empty", "noise", "text"])
def test_a_broken_candidate_is_noted_and_not_fatal(raw: bytes, six: Path) -> None:
    (six / "broken.safetensors").write_bytes(raw)
    os.mkfifo(six / "fifo.safetensors")
    (six / "gone.safetensors").symlink_to("nowhere")
    found = proposed(MERGEKIT / "linear.safetensors", six)
    assert sorted(names(found.parents)) == ["A", "O"]
    (note,) = [n for n in found.notes if "broken.safetensors" in n]
    assert "set aside" in note
    assert "header-" in note


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


A, O, B = (f"models/{name}.safetensors" for name in "AOB")
LISTS: Mapping[str, str] = {
    "plain": f"{A}\n{O}\n{B}\n",
    "comments": f"# mine\n\n{A}  # the new one\n\t{O}\r\n{B}",
    "byte order mark": f"\ufeff{A}\n{O}\n{B}",
    "repeated": f"{A}\n./models/../{A}\n{O}\n{B}",
    "one is missing": f"{A}\nmodels/none\n{O}\n{B}",
}


@pytest.mark.parametrize("which", LISTS)
def test_a_list_names_one_a_line_from_its_own_folder(
    which: str, six: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_the_suspect_and_what_was_given_are_no_candidates(six: Path) -> None:
    suspect = shutil.copy(MERGEKIT / "linear.safetensors", six / "suspect.safetensors")
    found = proposed(Path(suspect), six, parents=[six / "A.safetensors", six / "O.safetensors"])
    assert found.parents == ()
    assert sorted(names(found.controls)) == ["B", "lora-merged"]


def test_a_copy_of_a_given_parent_does_not_become_its_control(six: Path) -> None:
    found = proposed(MERGEKIT / "linear.safetensors", six, parents=mergekit("A", "O"))
    assert sorted(names(found.controls)) == ["B", "lora-merged"]
    assert sum("it has the same weights as" in n for n in found.notes) == 2


def test_with_a_base_given_parents_are_still_proposed(six: Path) -> None:
    found = proposed(MERGEKIT / "linear.safetensors", six, others=[six / "O.safetensors"])
    assert "A" in names(found.parents)
    report = api.audit(
        str(MERGEKIT / "linear.safetensors"),
        base=str(six / "O.safetensors"),
        candidates=str(six),
        workers=1,
    ).report
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")


def test_where_every_candidate_is_the_suspect_itself_there_is_nothing_to_compare(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "models", *mergekit("A"))
    with pytest.raises(UsageError) as caught:
        proposed(folder / "A.safetensors", folder)
    assert caught.value.code == "usage-no-parents"


def test_no_more_controls_are_measured_than_serve(six: Path) -> None:
    rng = np.random.default_rng(0)
    with open_checkpoint(MERGEKIT / "O.safetensors") as base:
        for k in range(MOST_CONTROLS + 3):
            tensors = {}
            for name, ref in base.tensors.items():
                values = to_float64(base.read(name, 0, ref.elements), ref.dtype)
                moved = values + rng.normal(size=values.size) * 0.01 * values.std()
                tensors[name] = StoredTensor(ref.dtype, ref.shape, round_to(moved, ref.dtype))
            write_safetensors(six / f"tune-{k:02}.safetensors", tensors)
    found = proposed(MERGEKIT / "linear.safetensors", six)
    assert sorted(names(found.parents)) == ["A", "O"]
    assert len(found.controls) == MOST_CONTROLS
    assert sum("farther than the 8 that serve as controls" in n for n in found.notes) == 5


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


def test_layers_taken_over_from_two_models_name_both(tmp_path: Path) -> None:
    """Half of the tensors are A's and half are B's: no blend anywhere, and neither is the whole answer."""
    tensors = {}
    with open_checkpoint(MERGEKIT / "A.safetensors") as a, open_checkpoint(MERGEKIT / "B.safetensors") as b:
        for k, (name, ref) in enumerate(a.tensors.items()):
            bits = (a if k % 3 else b).read(name, 0, ref.elements)
            tensors[name] = StoredTensor(ref.dtype, ref.shape, bits)
    write_safetensors(tmp_path / "stacked.safetensors", tensors)
    candidates = folder_of(tmp_path / "models", *mergekit("A", "B", "O"), PEFT)
    found = proposed(tmp_path / "stacked.safetensors", candidates)
    assert sorted(names(found.parents)) == ["A", "B"]


@pytest.mark.real
def test_the_real_family_is_told_from_candidates(family: Path, tmp_path: Path) -> None:
    merge = Path("build/demo/merge")
    if not (merge / "model.safetensors").exists():
        pytest.skip("`make demo` makes the merge")
    (tmp_path / "list").write_text("".join(f"{(family / n).resolve()}\n" for n in "OAB"))
    assert sorted(names(proposed(merge, tmp_path / "list").parents)) == ["A", "O"]
    (tmp_path / "list").write_text("".join(f"{(family / n).resolve()}\n" for n in "OB"))
    assert "O" in names(proposed(family / "A", tmp_path / "list").parents)
