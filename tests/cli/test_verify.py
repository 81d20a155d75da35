"""``parentage verify``: every stored number is derived again, and what differs is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parentage.records.codec import from_plain
from parentage.records.verification import Verification
from tests.cli.running import FIXTURES, MERGEKIT, Run

SUSPECT, FIRST, SECOND, THIRD = "linear", "A", "O", "B"
TENSOR = "roberta.encoder.layer.0.attention.self.query.weight"


def audit(run: Run, folder: Path, *more: str | Path, suspect: str = SUSPECT, sample: int = 1024) -> Path:
    """An evidence of a merge of A and O, whose inputs are copies in ``folder``."""
    for name in (suspect, FIRST, SECOND, THIRD):
        shutil.copy(MERGEKIT / f"{name}.safetensors", folder)
    path = folder / "evidence.json"
    done = run(
        "audit", folder / f"{suspect}.safetensors",
        "-p", folder / "A.safetensors", "-p", folder / "O.safetensors",
        *more, "--evidence", path, "--sample", str(sample), "--workers", "1",
    )  # fmt: skip
    assert done.code == 0, done.err
    return path


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    plain = json.loads(path.read_text())
    edit(plain)
    path.write_text(json.dumps(plain))
    return path


def tensor(plain: dict[str, Any], name: str = TENSOR) -> dict[str, Any]:
    return next(t for t in plain["tensors"] if t["name"] == name)


def flip_byte(path: Path, name: str) -> None:
    """Turn over the bits of the last byte of one tensor."""
    raw = bytearray(path.read_bytes())
    length = int.from_bytes(raw[:8], "little")
    end = json.loads(raw[8 : 8 + length])[name]["data_offsets"][1]
    raw[8 + length + end - 1] ^= 0xFF
    path.write_bytes(raw)


def test_the_evidence_of_an_audit_is_verified(run: Run, tmp_path: Path) -> None:
    done = run("verify", audit(run, tmp_path))
    assert done.code == 0
    assert done.err == ""
    assert done.out.startswith("verified: ")
    assert "not re-derived" in done.out


@pytest.mark.parametrize(
    "more", [["-c", "B.safetensors"], pytest.param(["--full"], marks=pytest.mark.slow), ["--seed", "7"]]
)
def test_so_is_one_with_a_control_with_every_element_or_another_seed(
    more: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("verify", audit(run, tmp_path, *more)).code == 0


def test_so_is_one_of_three_parents(run: Run, tmp_path: Path) -> None:
    path = audit(run, tmp_path, "-p", MERGEKIT / "B.safetensors", suspect="linear-three")
    assert any(t["weights"] for t in json.loads(path.read_text())["tensors"])
    assert run("verify", path).code == 0


def test_so_is_one_with_base_and_previous_upload(run: Run, tmp_path: Path) -> None:
    shutil.copy(MERGEKIT / "linear.safetensors", tmp_path / "old.safetensors")
    flip_byte(tmp_path / "old.safetensors", TENSOR)
    path = tmp_path / "evidence.json"
    made = run(
        "audit", MERGEKIT / "linear.safetensors", "-p", MERGEKIT / "A.safetensors",
        "--base", MERGEKIT / "O.safetensors", "--previous", tmp_path / "old.safetensors",
        "--evidence", path, "--sample", "1024",
    )  # fmt: skip
    assert made.code == 0, made.err
    assert run("verify", path).code == 0


def _flip_count(plain: dict[str, Any]) -> None:
    tensor(plain)["mixtures"][0]["informative"] += 1


def _flip_equal(plain: dict[str, Any]) -> None:
    tensor(plain)["equal"][1] -= 1


def _flip_replay(plain: dict[str, Any]) -> None:
    plain["replays"][0]["tensors"][3]["matches"] -= 1


def _flip_float(plain: dict[str, Any]) -> None:
    tensor(plain)["gram"][0][0] *= 1 + 1e-6


def _flip_coverage(plain: dict[str, Any]) -> None:
    plain["coverage"]["bytes_read"] += 1


def _flip_dtype(plain: dict[str, Any]) -> None:
    tensor(plain)["dtypes"][2] = "F16"


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        (_flip_count, f"tensors[{TENSOR}].mixtures[0].informative"),
        (_flip_equal, f"tensors[{TENSOR}].equal[1]"),
        (_flip_float, f"tensors[{TENSOR}].gram[0][0]"),
        (_flip_coverage, "coverage.bytes_read"),
        (_flip_dtype, f"tensors[{TENSOR}].dtypes[2]"),
    ],
)
def test_one_changed_number_is_named_and_nothing_else(
    edit: Callable[[dict[str, Any]], None], path: str, run: Run, tmp_path: Path
) -> None:
    done = run("verify", change(audit(run, tmp_path), edit))
    assert (done.code, done.error) == (5, "verify-differs")
    assert "Values that differ (1):" in done.out
    assert f"  {path}\n" in done.out
    assert "Files that are not" not in done.out


def test_one_changed_count_of_a_replay_is_named_by_arithmetic_and_tensor(run: Run, tmp_path: Path) -> None:
    path = change(audit(run, tmp_path), _flip_replay)
    replay = json.loads(path.read_text())["replays"][0]
    done = run("verify", path)
    assert (done.code, done.error) == (5, "verify-differs")
    assert f"[{replay['arithmetic']}" in done.out
    assert f".tensors[{replay['tensors'][3]['name']}].matches" in done.out


def test_a_float_off_by_less_than_processors_differ_by_is_no_difference(run: Run, tmp_path: Path) -> None:
    def nudge(plain: dict[str, Any]) -> None:
        tensor(plain)["gram"][0][0] *= 1 + 1e-10

    assert run("verify", change(audit(run, tmp_path), nudge)).code == 0


def test_one_changed_weight_byte_names_file_tensor_and_the_numbers_that_changed(
    run: Run, tmp_path: Path
) -> None:
    path = audit(run, tmp_path, sample=65_536)
    flip_byte(tmp_path / "A.safetensors", TENSOR)
    done = run("verify", path, "--limit", "0")
    assert (done.code, done.error) == (5, "verify-differs")
    files, values = done.out.split("Values that differ", 1)
    assert "A.safetensors: A.safetensors" in files
    assert "SHA-256 pinned" in files
    assert f"tensors whose bytes differ: {TENSOR}\n" in files
    assert f"tensors[{TENSOR}].gram[0][0]" in values
    assert "tensors[roberta.encoder.layer.1.attention.self.query.weight]" not in values


def test_a_changed_byte_that_no_sample_read_is_named_all_the_same(run: Run, tmp_path: Path) -> None:
    path = audit(run, tmp_path, sample=256)
    name = "roberta.embeddings.word_embeddings.weight"
    flip_byte(tmp_path / "O.safetensors", name)
    done = run("verify", path)
    assert done.code == 5
    assert f"tensors whose bytes differ: {name}\n" in done.out
    assert "Values that differ" not in done.out


def test_a_changed_header_is_told_from_changed_tensors(run: Run, tmp_path: Path) -> None:
    path = audit(run, tmp_path)
    weights = tmp_path / "A.safetensors"
    raw = weights.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    weights.write_bytes(
        (length + 8).to_bytes(8, "little") + raw[8 : 8 + length] + b" " * 8 + raw[8 + length :]
    )
    done = run("verify", path)
    assert done.code == 5
    assert "A.safetensors: A.safetensors" in done.out
    assert "tensors whose bytes differ" not in done.out


def test_a_checksum_or_digest_changed_in_the_evidence_is_named(run: Run, tmp_path: Path) -> None:
    def forge(plain: dict[str, Any]) -> None:
        plain["models"][1]["shards"][0]["checksums"][TENSOR] = "00000000"

    def forge_all(plain: dict[str, Any]) -> None:
        plain["models"][2]["shards"][0]["sha256"] = "0" * 64

    path = change(audit(run, tmp_path), forge)
    done = run("verify", path)
    assert done.code == 5
    assert f"models[A.safetensors].shards[A.safetensors].checksums.{TENSOR}" in done.out
    done = run("verify", change(path, forge_all))
    assert done.code == 5
    assert f"SHA-256 pinned {'0' * 64}" in done.out


def test_a_model_that_was_moved_is_found_by_its_name(run: Run, tmp_path: Path) -> None:
    path = audit(run, tmp_path)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "A.safetensors").rename(moved / "first.safetensors")
    done = run("verify", path)
    assert (done.code, done.error) == (3, "input-missing")
    assert "the parent A.safetensors" in done.err
    assert "--model A.safetensors=PATH" in done.err
    done = run("verify", path, "--model", f"A.safetensors={moved / 'first.safetensors'}")
    assert done.code == 0, done.out


def test_another_model_in_its_place_is_named_even_when_nothing_fits(run: Run, tmp_path: Path) -> None:
    path = audit(run, tmp_path)
    stranger = FIXTURES / "training-run" / "base.safetensors"
    done = run(
        "verify", path,
        *(f for n in ("A", "O") for f in ("--model", f"{n}.safetensors={stranger}")),
    )  # fmt: skip
    assert (done.code, done.error) == (5, "verify-differs")
    assert "A.safetensors: A.safetensors" in done.out
    assert "could not be measured" in done.out


def test_a_file_cut_short_is_one_clear_error(run: Run, tmp_path: Path) -> None:
    path = audit(run, tmp_path)
    weights = tmp_path / "A.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    done = run("verify", path)
    assert (done.code, done.error) == (3, "data-truncated")
    assert str(weights) in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "A.safetensors"], "NAME=PATH"),
        (["--model", "=x"], "NAME=PATH"),
        (["--model", "A.safetensors="], "NAME=PATH"),
        (["--model", "C=x"], "names no model"),
        (["--model", "A.safetensors=x", "--model", "A.safetensors=y"], "twice"),
    ],
)
def test_a_place_that_is_not_understood_is_refused(
    options: list[str], words: str, run: Run, tmp_path: Path
) -> None:
    done = run("verify", audit(run, tmp_path), *options)
    assert (done.code, done.error) == (2, "usage-model")
    assert words in done.err


def test_evidence_without_digests_is_verified_and_says_what_that_leaves_open(
    run: Run, tmp_path: Path
) -> None:
    path = audit(run, tmp_path, "--no-digests")
    done = run("verify", path)
    assert done.code == 0
    assert "pins no digests" in done.out
    weights = tmp_path / "A.safetensors"
    shutil.copy(FIXTURES / "mergekit" / "linear-float32.safetensors", weights)
    done = run("verify", path)
    assert done.code == 5
    assert "size pinned" in done.out


def test_another_version_of_the_package_is_stated(run: Run, tmp_path: Path) -> None:
    def older(plain: dict[str, Any]) -> None:
        plain["tool"]["version"] = "0.0.9"

    done = run("verify", change(audit(run, tmp_path), older))
    assert done.code == 0
    assert "Measured by parentage 0.0.9" in done.out
    assert "another version" in done.out


def test_what_this_version_does_not_derive_is_named_and_not_believed(run: Run, tmp_path: Path) -> None:
    def add(plain: dict[str, Any]) -> None:
        tensor(plain)["proof"] = 1.0
        plain["guilt"] = {"certain": True}

    done = run("verify", change(audit(run, tmp_path), add))
    assert done.code == 5
    assert f"tensors[{TENSOR}].proof" in done.out
    assert "  guilt\n" in done.out
    assert "no such value" in done.out


def test_what_was_left_out_of_the_evidence_is_named(run: Run, tmp_path: Path) -> None:
    def remove(plain: dict[str, Any]) -> None:
        plain["sweeps"] = plain["sweeps"][1:]
        del tensor(plain)["rounding"]
        plain["coverage"]["not_examined"] = [{"tensor": "x", "reason": "y"}]

    done = run("verify", change(audit(run, tmp_path), remove), "--limit", "0")
    assert done.code == 5
    assert f"tensors[{TENSOR}].rounding" in done.out
    assert "sweeps[" in done.out
    assert "coverage.not_examined[x]" in done.out


def test_another_sample_than_it_says_is_found_out(run: Run, tmp_path: Path) -> None:
    def boast(plain: dict[str, Any]) -> None:
        plain["used"]["sample"] = 4096

    done = run("verify", change(audit(run, tmp_path), boast))
    assert (done.code, done.error) == (5, "verify-differs")
    assert "coverage.elements_examined" in run("verify", tmp_path / "evidence.json", "--limit", "0").out


def test_a_card_that_was_changed_since_is_named(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "suspect"
    folder.mkdir()
    shutil.copy(MERGEKIT / "linear.safetensors", folder / "model.safetensors")
    (folder / "README.md").write_text("---\nbase_model: org/O\n---\n")
    path = tmp_path / "evidence.json"
    parents = ["-p", MERGEKIT / "A.safetensors", "-p", MERGEKIT / "O.safetensors"]
    made = run("audit", folder, *parents, "--evidence", path, "--sample", "256")
    assert made.code == 0, made.err
    (folder / "README.md").write_text("---\nbase_model: [org/O, org/A]\n---\n")
    done = run("verify", path)
    assert done.code == 5
    assert "models[suspect].declared" in done.out
    assert "cards and configs are not pinned" in done.out


def test_the_outcome_as_json_is_one_versioned_object(run: Run, tmp_path: Path) -> None:
    path = audit(run, tmp_path)
    done = run("verify", path, "--json")
    plain = json.loads(done.out)
    assert (plain.pop("schema"), plain.pop("version")) == ("parentage.verification", 1)
    assert from_plain(Verification, plain).holds
    done = run("verify", change(path, _flip_count), "--json")
    assert done.code == 5
    found = from_plain(Verification, json.loads(done.out))
    assert not found.holds
    (value,) = found.values
    assert (value.path, value.stored - value.derived) == (f"tensors[{TENSOR}].mixtures[0].informative", 1)


def test_the_threads_do_not_matter(run: Run, tmp_path: Path) -> None:
    assert run("verify", audit(run, tmp_path), "--workers", "3").code == 0
