"""Options of ``parentage audit`` that decide how it ends: conditions, claims, JSON on standard output."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from parentage.evidence.rederive import MOST_SAMPLED
from parentage.records.relations import RELATIONS
from parentage.reports.wording import relation_words
from tests.cli.running import FIXTURES, MERGEKIT, Outcome, Run

PARENTS = ("-p", MERGEKIT / "A.safetensors", "-p", MERGEKIT / "O.safetensors")
QUICK = ("--sample", "4096", "--no-digests")


def audit(run: Run, *options: str | Path, suspect: Path = MERGEKIT / "linear.safetensors") -> Outcome:
    return run("audit", suspect, *PARENTS, *QUICK, *options)


def fails(done: Outcome, *words: str) -> None:
    assert (done.error, done.code) == ("fail-on", 5)
    for word in words:
        assert word in done.err


@pytest.mark.parametrize("condition", ["linear-merge", "undisclosed"])
def test_a_condition_that_holds_exits_with_5_after_the_report(
    condition: str, run: Run, tmp_path: Path
) -> None:
    done = audit(run, "--fail-on", condition, "--json", tmp_path / "r.json")
    fails(done, f"--fail-on {condition}")
    assert "linear.safetensors is a merge" in done.out
    assert json.loads((tmp_path / "r.json").read_text())["verdict"]["status"] == "supported"


@pytest.mark.parametrize("condition", ["training", "fine-tune", "undetermined"])
def test_a_condition_that_does_not_hold_exits_with_0(condition: str, run: Run) -> None:
    assert audit(run, "--fail-on", condition).code == 0


def test_all_conditions_that_hold_are_named_at_once(run: Run) -> None:
    done = audit(run, "--fail-on", "undisclosed", "--fail-on", "training", "--fail-on", "linear-merge")
    fails(done, "--fail-on undisclosed", "--fail-on linear-merge")
    assert "--fail-on training" not in done.err


@pytest.mark.slow
def test_training_is_a_condition(run: Run) -> None:
    folder = FIXTURES / "training-run"
    done = run(
        "audit", folder / "merge-trained-30.safetensors",
        "-p", folder / "end.safetensors", "-p", folder / "base.safetensors",
        "-c", folder / "sibling-2.safetensors", "--no-digests", "--fail-on", "training",
    )  # fmt: skip
    fails(done, "later training is detected")


def test_a_claim_does_not_hide_what_the_weights_say(run: Run) -> None:
    done = audit(run, "--claim", "independent", "--fail-on", "linear-merge", "--json", "-")
    fails(done, "--fail-on linear-merge")
    verdict = json.loads(done.out)["verdict"]
    assert (verdict["relation"], verdict["status"]) == ("independent", "contradicted")


@pytest.mark.parametrize("claim", ["fine-tune", "independent", "copy"])
def test_a_claim_that_the_weights_exclude_is_contradicted(claim: str, run: Run) -> None:
    verdict = json.loads(audit(run, "--claim", claim, "--json", "-").out)["verdict"]
    assert (verdict["relation"], verdict["status"]) == (claim, "contradicted")


@pytest.mark.parametrize("claim", ["linear-merge", "slerp-merge", "task-arithmetic-merge", "ties-merge"])
def test_a_claim_that_the_weights_leave_open_is_not(claim: str, run: Run) -> None:
    """A slerp of nearly parallel tensors, or task arithmetic, gives the very numbers of a blend."""
    verdict = json.loads(audit(run, "--claim", claim, "--json", "-").out)["verdict"]
    assert (verdict["relation"], verdict["status"]) == ("linear-merge", "supported")


@pytest.mark.parametrize("condition", ["merge", "Training", "linear_merge", "", "linear-merge "])
def test_a_condition_that_no_report_says_is_refused_with_the_list(condition: str, run: Run) -> None:
    done = audit(run, "--fail-on", condition)
    assert (done.error, done.code, done.out) == ("usage-fail-on", 2, "")
    assert "training, undisclosed or a relation: copy, cast-copy" in done.err
    assert "linear-merge" in done.err


@pytest.mark.parametrize("claim", ["merge", "", "training", "Linear-Merge", "undetermined"])
def test_a_claim_that_is_no_relation_is_refused_with_the_list(claim: str, run: Run) -> None:
    done = audit(run, "--claim", claim)
    assert (done.error, done.code, done.out) == ("usage-claim", 2, "")
    assert "copy, cast-copy" in done.err


def test_every_relation_has_its_words_and_may_be_claimed(run: Run, tmp_path: Path) -> None:
    """Refused for the missing suspect alone, and so after the claim was understood."""
    assert len(set(RELATIONS)) == len(RELATIONS)
    for relation in RELATIONS:
        assert relation_words(relation) != relation.replace("-", " ") or relation == "undetermined"
        claim = ["--claim", relation] if relation != "undetermined" else []
        done = run("audit", tmp_path / "absent", "-p", "x", *claim, "--fail-on", relation)
        assert done.error == "input-missing"


def test_json_on_standard_output_is_nothing_but_json(run: Run, tmp_path: Path) -> None:
    done = audit(run, "--json", "-", "--html", tmp_path / "r.html", "--evidence", tmp_path / "e.json")
    assert (done.code, done.err) == (0, "")
    report: dict[str, Any] = json.loads(done.out)
    assert (report["schema"], report["version"]) == ("parentage.report", 1)
    assert done.out.startswith("{")
    assert done.out.endswith("}\n")
    assert (tmp_path / "r.html").read_text().startswith("<!")


def test_json_in_a_file_is_what_standard_output_gets(run: Run, tmp_path: Path) -> None:
    assert audit(run, "--json", tmp_path / "r.json").code == 0
    first, second = json.loads((tmp_path / "r.json").read_text()), json.loads(audit(run, "--json", "-").out)
    assert first == second


def test_json_can_be_saved_while_the_report_is_printed(run: Run, tmp_path: Path) -> None:
    done = audit(run, "--json", tmp_path / "r.json", "--html", tmp_path / "r.html")
    assert "linear.safetensors is a merge" in done.out
    assert f"HTML report: {tmp_path / 'r.html'}" in done.out.replace("\n", "")


def declaring(folder: Path, *names: str) -> Path:
    folder.mkdir()
    shutil.copy(MERGEKIT / "linear.safetensors", folder / "model.safetensors")
    if names:
        (folder / "README.md").write_text(f"---\nbase_model: [{', '.join(names)}]\n---\n")
    return folder


@pytest.mark.parametrize("names", [("org/A", "org/O"), ("a", "O"), ("Org/A", "x/y/o")])
def test_a_merge_that_names_both_parents_is_disclosed(
    names: tuple[str, ...], run: Run, tmp_path: Path
) -> None:
    suspect = declaring(tmp_path / "suspect", *names)
    assert audit(run, "--fail-on", "undisclosed", suspect=suspect).code == 0


@pytest.mark.parametrize(
    ("names", "missing"), [((), "A.safetensors, O.safetensors"), (("org/O",), "A.safetensors")]
)
def test_a_merge_that_leaves_a_parent_out_is_not(
    names: tuple[str, ...], missing: str, run: Run, tmp_path: Path
) -> None:
    suspect = declaring(tmp_path / "suspect", *names)
    done = audit(run, "--fail-on", "undisclosed", suspect=suspect)
    fails(done, f"do not declare {missing}")


def test_no_more_can_be_sampled_than_an_evidence_may_say(run: Run, tmp_path: Path) -> None:
    for sample, code in ((MOST_SAMPLED, "input-missing"), (MOST_SAMPLED + 1, "usage")):
        assert run("audit", tmp_path / "absent", "-p", "x", "--sample", str(sample)).error == code
