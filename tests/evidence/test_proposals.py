"""Parents unknown: which of the candidates are proposed, and what is said of the rest."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import AlignmentError, UsageError
from parentage.evidence.inputs.proposals import MOST_CONTROLS
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType
from tests.evidence.candidates import MERGEKIT, PEFT, RUN, folder_of, mergekit, names, proposed


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


@pytest.mark.slow
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
