"""Whole reports, kept: a change in what a reader sees is seen in review.

After an intended change write them anew with ``python -m tests.golden`` and look at the difference.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from parentage.records.report import load_report
from tests.golden.cases import CASES, FOLDER, RENDERINGS, evidence_of, expected, masked, report_of

# What the fixtures are by their making; a golden file must not quietly come to say something else.
LATER = {
    "merge": "not-detected",
    "merge-without-control": "not-detected",
    "merge-trained": "detected",
    "three-parents": "not-detected",
    "another-arithmetic": "not-detected",
    "quantised-merge": "not-detected",
}
IN_PARTS = frozenset({"mixed-merge"})
NEVER_MERGED = frozenset({"look-alike", "fine-tune", "quantised-copy"})


@pytest.mark.parametrize("name", CASES)
def test_saved_evidence_is_judged_and_rendered_as_it_was(name: str) -> None:
    report = report_of(CASES[name])
    for path, render in expected(CASES[name]).items():
        assert masked(render(report)) == masked(path.read_text(encoding="utf-8")), (
            f"{path.name} differs; if that is intended: python -m tests.golden {name}"
        )


@pytest.mark.parametrize("name", CASES)
def test_a_saved_report_is_rendered_as_its_evidence_is(name: str) -> None:
    report = load_report(FOLDER / f"{name}.report.json")
    for path, render in expected(CASES[name]).items():
        assert masked(render(report)) == masked(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", LATER)
def test_a_golden_merge_is_one(name: str) -> None:
    report = load_report(FOLDER / f"{name}.report.json")
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    assert report.post_training.status == LATER[name]


def test_the_golden_merge_in_parts_names_both_rules_with_their_layers() -> None:
    (name,) = IN_PARTS
    verdict = load_report(FOLDER / f"{name}.report.json").verdict
    assert (verdict.relation, verdict.status) == ("mixed-merge", "supported")
    assert {(p.relation, p.where) for p in verdict.parts} == {
        ("linear-merge", "layers 2 to 3"),
        ("ties-merge", "the rest"),
    }


@pytest.mark.parametrize("name", sorted(NEVER_MERGED))
def test_what_was_never_merged_is_not_called_a_merge(name: str) -> None:
    report = load_report(FOLDER / f"{name}.report.json")
    assert report.verdict.relation != "linear-merge"
    assert report.post_training.status != "detected"


def test_every_case_is_one_or_the_other() -> None:
    assert {*LATER, *NEVER_MERGED, *IN_PARTS} == set(CASES)


def test_evidence_judged_twice_gives_the_same_bytes() -> None:
    """In processes whose sets and dictionaries are ordered by other seeds."""
    path = evidence_of(CASES["merge-trained"])
    script = "from parentage.cli.main import main; main()"
    made = [
        subprocess.run(
            [sys.executable, "-c", script, "report", str(path), option, "-"],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for option in ("--json", "--html")
        for seed in ("1", "2")
    ]
    assert made[0] == made[1]
    assert made[2] == made[3]
    assert made[0] != made[2]


def test_only_the_version_of_the_program_is_masked() -> None:
    report = '{"tool": {"name": "parentage", "version": "0.1.0"}, "version": 1, "x": "0.1.0"}'
    assert masked(report) == '{"tool": {"name": "parentage", "version": "*"}, "version": 1, "x": "0.1.0"}'
    assert masked("Made with parentage 0.1.0, from") == "Made with parentage *, from"


def test_no_golden_file_is_left_behind_and_none_names_a_machine() -> None:
    wanted = {evidence_of(c) for c in CASES.values()} | {p for c in CASES.values() for p in expected(c)}
    assert set(FOLDER.iterdir()) == wanted
    for path in sorted(wanted):
        text = path.read_text(encoding="utf-8")
        assert "/work" not in text
        assert "/home" not in text
        assert "/tmp" not in text


@pytest.mark.parametrize("name", CASES)
def test_every_rendering_has_the_verdict_in_it(name: str) -> None:
    report = report_of(CASES[name])
    for render in RENDERINGS.values():
        assert report.verdict.sentence.split()[0] in render(report)
    evidence = json.loads(Path(evidence_of(CASES[name])).read_text())
    assert evidence["schema"] == "parentage.evidence"
