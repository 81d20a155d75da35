"""Labels for merges that others made: proven by carrying the recipe out, or no more than an audit found."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from parentage import api, labels
from parentage.errors import LabelError
from parentage.records.merge import MergeRecord
from tests.cards.labelled import flip
from tests.cli.running import Run
from tests.merging.models import bits_of, llama, recipe_file, write_model
from tests.worlds.fixtures import FOLDER

KIT = FOLDER / "mergekit"
RECIPE: dict[str, Any] = {
    "merge_method": "linear",
    "models": [
        {"model": str(KIT / "A.safetensors"), "parameters": {"weight": 0.6}},
        {"model": str(KIT / "O.safetensors"), "parameters": {"weight": 0.4}},
    ],
    "dtype": "bfloat16",
    "parentage": {"profile": "mergekit-0.1.5"},
}


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """A merge as mergekit 0.1.5 left it, with a card of its author's."""
    folder = tmp_path / "merge"
    folder.mkdir()
    shutil.copy(KIT / "linear.safetensors", folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    (folder / "README.md").write_text("# Mine\n")
    return folder


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an audit of mergekit's merge."""
    path = tmp_path_factory.mktemp("audit") / "evidence.json"
    parents = [str(KIT / "A.safetensors"), str(KIT / "O.safetensors")]
    result = api.audit(str(KIT / "linear.safetensors"), parents=parents)
    api.save_evidence(result.evidence, path)
    return path


def names_in(folder: Path) -> set[str]:
    """Of all files."""
    return {p.name for p in folder.iterdir()}


def test_a_recipe_that_makes_every_bit_is_proven_by_the_label(
    merged: Path, run: Run, tmp_path: Path
) -> None:
    before = (merged / "model.safetensors").read_bytes()
    done = run("label", "write", merged, "--recipe", recipe_file(tmp_path, RECIPE))
    assert (done.code, done.err) == (0, "")
    assert (merged / "model.safetensors").read_bytes() == before
    assert (merged / "README.md").read_text() == "# Mine\n"
    card = (merged / "parentage-card.md").read_text()
    assert "every bit of its weights is what it makes" in card
    assert "no training" not in card
    statement = json.loads((merged / "parentage.intoto.json").read_text())
    assert statement["predicate"]["basis"]["kind"] == "replayed"
    basis = statement["predicate"]["basis"]
    assert (
        basis["matches"]
        == basis["elements"]
        == sum(len(data) // 2 for _, _, data in bits_of(merged).values())
    )
    assert {s["name"] for s in statement["subject"]} == {"model.safetensors", "config.json"}
    assert run("label", "verify", merged).code == 0
    assert run("replay", merged / "merge-recipe.yaml", merged).code == 0


def test_a_recipe_that_does_not_make_these_weights_labels_nothing(
    merged: Path, run: Run, tmp_path: Path
) -> None:
    flip(merged / "model.safetensors")
    before = names_in(merged)
    done = run("label", "write", merged, "--recipe", recipe_file(tmp_path, RECIPE))
    assert (done.code, done.error) == (5, "label-not-proven")
    assert names_in(merged) == before


def test_an_unproven_label_says_that_it_is_not_proven(merged: Path, run: Run, tmp_path: Path) -> None:
    flip(merged / "model.safetensors")
    path = recipe_file(tmp_path, RECIPE)
    assert run("label", "write", merged, "--recipe", path, "--unproven").code == 0
    card = (merged / "parentage-card.md").read_text()
    assert "is not proven" in card
    assert "This model is a merge" not in card
    record = json.loads((merged / "parentage.json").read_text())
    assert record["basis"]["kind"] == "stated"
    assert record["basis"]["matches"] == record["basis"]["elements"] - 1
    done = run("label", "verify", merged)
    assert "the recipe was stated, and not proven" in done.out


def test_an_audits_label_claims_what_the_evidence_carries_and_no_more(
    merged: Path, evidence: Path, run: Run
) -> None:
    done = run("label", "write", merged, "--evidence", evidence)
    assert (done.code, done.err) == (0, "")
    record = json.loads((merged / "parentage.json").read_text())
    found = api.load_evidence(evidence)
    replay = next(r for r in found.replays if r.subject == 0)
    assert record["basis"]["kind"] == "recovered"
    assert record["basis"]["matches"] == replay.informative_matches
    assert record["basis"]["elements"] == replay.informative
    assert record["basis"]["post_training"] == api.load_report(evidence).post_training.status
    assert [p["share"] for p in record["parents"]] == [0.6, 0.4]
    digests = [f["sha256"] for p in record["parents"] for f in p["files"]]
    assert digests == [s.sha256 for k in replay.parents for s in found.models[k].shards]
    card = (merged / "parentage-card.md").read_text()
    assert "The recipe was recovered by audit, not told by who made the model" in card
    assert "no training was part of it" not in card
    assert run("label", "verify", merged).code == 0
    assert run("replay", merged / "merge-recipe.yaml", merged).code == 0


def test_evidence_of_other_files_labels_nothing(merged: Path, evidence: Path, run: Run) -> None:
    flip(merged / "model.safetensors")
    before = names_in(merged)
    done = run("label", "write", merged, "--evidence", evidence)
    assert (done.code, done.error) == (5, "label-other-model")
    assert names_in(merged) == before


def test_evidence_without_digests_labels_nothing(merged: Path, run: Run, tmp_path: Path) -> None:
    parents = [str(KIT / "A.safetensors"), str(KIT / "O.safetensors")]
    found = api.audit(str(merged), parents=parents, digests=False).evidence
    api.save_evidence(found, tmp_path / "e.json")
    done = run("label", "write", merged, "--evidence", tmp_path / "e.json")
    assert (done.code, done.error) == (5, "label-no-digests")


def test_what_no_audit_supports_is_not_labelled_a_merge(run: Run, tmp_path: Path) -> None:
    a = write_model(tmp_path / "a", llama(1))
    alone = write_model(tmp_path / "alone", llama(5))
    api.save_evidence(api.audit(str(alone), parents=[str(a)]).evidence, tmp_path / "e.json")
    done = run("label", "write", alone, "--evidence", tmp_path / "e.json")
    assert (done.code, done.error) == (5, "label-not-supported")
    assert names_in(alone) == {"config.json", "model.safetensors"}


def test_headers_carry_the_label_when_asked_and_not_a_number_moves(
    merged: Path, evidence: Path, run: Run
) -> None:
    path = merged / "model.safetensors"
    before, bits = path.read_bytes(), bits_of(merged)
    path.chmod(0o640)
    assert run("label", "write", merged, "--evidence", evidence, "--headers").code == 0
    assert bits_of(merged) == bits
    begin = 8 + int.from_bytes(before[:8], "little")
    after = path.read_bytes()
    assert after.endswith(before[begin:])
    assert path.stat().st_mode & 0o777 == 0o640
    with safe_open(path, "np") as file:
        metadata = file.metadata()
        assert metadata["parentage.basis"] == "recovered"
        # What was there before stays.
        assert metadata["format"] == "pt"
    assert len(after) - 8 - int.from_bytes(after[:8], "little") == len(before) - begin
    record = json.loads((merged / "parentage.json").read_text())
    pinned = api.load_evidence(evidence).models[0].shards[0].sha256
    assert [f["sha256"] for f in record["basis"]["before"]] == [pinned]
    assert run("label", "verify", merged).code == 0
    flip(path, 100)
    assert run("label", "verify", merged).code == 5


def test_a_header_that_cannot_carry_a_label_is_refused_before_anything_is_written(
    merged: Path, tmp_path: Path
) -> None:
    from parentage.cards.header_labels import rewrite_headers
    from parentage.errors import UsageError

    (merged / "other.bin").write_bytes(b"PK\x03\x04 no safetensors")
    before = {n: (merged / n).read_bytes() for n in names_in(merged)}
    with pytest.raises(UsageError) as raised:
        rewrite_headers(merged, ["model.safetensors", "other.bin"], {"parentage.method": "linear"})
    assert raised.value.code == "label-headers-format"
    assert {n: (merged / n).read_bytes() for n in names_in(merged)} == before


PROGRAM = "from parentage.cli.main import main; main()"


def small_files() -> None:
    """No file may grow beyond 200 kB, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


def test_a_full_disk_leaves_the_old_weights_and_no_label(merged: Path, evidence: Path) -> None:
    before = {n: (merged / n).read_bytes() for n in names_in(merged)}
    command = [sys.executable, "-c", PROGRAM, "label", "write", str(merged), "--evidence", str(evidence)]
    done = subprocess.run(
        [*command, "--headers"], capture_output=True, text=True, check=False, preexec_fn=small_files
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error[output-not-written]")
    assert {n: (merged / n).read_bytes() for n in names_in(merged)} == before


def test_a_label_is_not_written_over_unasked(
    labelled: tuple[Path, MergeRecord], run: Run, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(labelled[0], tmp_path / "merge"))
    recipe = labelled[0].parent / "recipe.yaml"
    done = run("label", "write", out, "--recipe", recipe)
    assert (done.code, done.error) == (2, "label-exists")
    assert run("label", "verify", out).code == 0
    assert run("label", "write", out, "--recipe", recipe, "--replace", "--headers").code == 0
    assert json.loads((out / "parentage.json").read_text())["basis"]["kind"] == "replayed"
    # The card was ours, so it is ours to write anew.
    assert not (out / "parentage-card.md").exists()
    assert run("label", "verify", out).code == 0


def test_a_label_beside_headers_that_say_otherwise_does_not_hold(
    labelled: tuple[Path, MergeRecord], run: Run, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(labelled[0], tmp_path / "merge"))
    assert run("label", "write", out, "--recipe", labelled[0].parent / "recipe.yaml", "--replace").code == 0
    other = recipe_file(
        tmp_path, {**json.loads((out / "parentage.json").read_text())["recipe"], "name": "x"}
    )
    assert run("label", "write", out, "--recipe", other, "--replace").code == 0
    done = run("label", "verify", out)
    assert (done.code, done.error) == (5, "label-header-differs")


@pytest.mark.parametrize("arguments", [(), ("--recipe", "r.yaml", "--evidence", "e.json")])
def test_a_label_has_one_source(arguments: tuple[str, ...], merged: Path, run: Run) -> None:
    done = run("label", "write", merged, *arguments)
    assert (done.code, done.error) == (2, "label-source")


def test_a_file_is_no_folder_to_label(merged: Path, run: Run, tmp_path: Path) -> None:
    path = recipe_file(tmp_path, RECIPE)
    done = run("label", "write", merged / "model.safetensors", "--recipe", path)
    assert (done.code, done.error) == (2, "label-no-folder")


def test_what_could_not_be_compared_is_in_the_label(merged: Path, tmp_path: Path) -> None:
    path = recipe_file(tmp_path, {**RECIPE, "out_dtype": "float32"})
    with pytest.raises(LabelError, match="could not be compared"):
        labels.label(merged, recipe=path)
    record = labels.label(merged, recipe=path, options=labels.LabelOptions(unproven=True))
    assert record.basis.kind == "stated"
    assert record.basis.elements == 0
    assert sum("not compared" in note for note in record.notes) == len(bits_of(merged))
