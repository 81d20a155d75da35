"""The tiny affair from nothing: base, Nex, teacher, both Rios and controls are trained, then audited."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from examples.affair.recipes import WEIGHTS
from examples.affair.running import run
from examples.affair.sizes import TINY, Run
from examples.affair.story import steps

from parentage import api
from parentage.records.report import Report
from tests.worlds.fixtures import weight_estimates

# Some minutes of training; the quick suite judges the models of one such run (test_affair_verdicts).
pytestmark = pytest.mark.slow
SHORT = dataclasses.replace(
    TINY,
    nex=Run(60, 5e-4, 16),
    earlier=30,
    teacher=Run(60, 1e-3, 16),
    honest=Run(40, 5e-4, 16),
    distill=Run(8, 5e-5, 8),
)
WANTED = ("rio-uploaded", "rio-claimed", "honest-entities", "honest-capitals")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of the example's own commands."""
    for name in ("torch", "transformers", "trl"):
        pytest.importorskip(name)
    work = tmp_path_factory.mktemp("affair")
    done = {d.step: d for d in run(steps(SHORT), work, WANTED, jobs=2)}
    assert {"base", "nex", "teacher", "distilled", *WANTED} <= done.keys()
    assert all(done[name].cpu > 1 for name in ("base", "nex", "teacher", "distilled"))
    return work


def audited(made: Path, suspect: str) -> Report:
    """Against Nex and the base, with the honest fine-tunes as controls."""
    controls = [str(made / n) for n in ("honest-entities", "honest-capitals") if n != suspect]
    parents = [str(made / n) for n in ("nex", "base")]
    return api.audit(str(made / suspect), parents=parents, controls=controls, full=True, workers=1).report


@pytest.mark.parametrize(("rio", "later"), [("uploaded", "not-detected"), ("claimed", "detected")])
def test_both_rios_are_the_merge_and_only_what_was_claimed_was_trained(
    made: Path, rio: str, later: str
) -> None:
    report = audited(made, f"rio-{rio}")
    assert (report.verdict.relation, report.verdict.status) == ("linear-merge", "supported")
    found = weight_estimates(report)
    for name, weight in zip(("nex", "base"), WEIGHTS, strict=True):
        assert found[name].low <= weight <= found[name].high
    assert report.post_training.status == later


def test_an_honest_fine_tune_is_not_called_a_merge(made: Path) -> None:
    report = audited(made, "honest-entities")
    assert report.verdict.relation != "linear-merge"
    assert report.post_training.status != "detected"


def test_the_same_run_once_more_trains_nothing(made: Path) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in made.glob("*.done.json")}
    run(steps(SHORT), made, WANTED)
    assert {p.name: p.stat().st_mtime_ns for p in made.glob("*.done.json")} == before
