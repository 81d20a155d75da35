"""Findings of an evidence from elsewhere: what a judge reads is there and possible, or it is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.errors import EvidenceError
from parentage.records.evidence_checks import read_evidence
from parentage.verdicts.judge import judge
from tests.cli.running import Run
from tests.worlds.fixtures import FOLDER

Plain = dict[str, Any]
# As measured on suspects of the confusion matrix; models of the evidence below.
EXPERTS: Plain = {
    "layers": 1,
    "experts": 1,
    "matrices": 3,
    "rows": [
        {"layer": 0, "expert": 0, "role": "down_proj", "model": 1, "looked": 64, "equal": 64, "alike": 1.0}
    ],
}
THINNED: Plain = {
    "told": 5748,
    "explained": 5748,
    "elements": 22016,
    "unexplained": 0,
    "mirrored": 12,
    "averaged": False,
    "elected": True,
    "parents": [
        {
            "coefficients": [0.948, 0.931],
            "whole": False,
            "trials": 4999,
            "stayed": 3855,
            "density": [0.771, 0.748, 0.794],
            "epsilon": [0.0005, -0.04, 0.04],
            "p_ranks": 0.54,
            "p_neighbours": 0.11,
        }
    ],
    "dependence": 0.0,
    "controls": [],
    "seed": "none of 64 seeds draws the masks",
}
ADAPTERS: Plain = {
    "method": "adapter_linear",
    "arithmetic": "peft",
    "weights": [0.5],
    "ranks": [4],
    "scalings": [2.0],
    "informative": 100,
    "matches": 100,
    "replayed": 2,
    "left": 0,
    "elsewhere": 0,
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    """Of an adapter that peft merged, with a finding of each kind."""
    path = tmp_path_factory.mktemp("evidence") / "evidence.json"
    places = (FOLDER / f"adapters-faint/{n}.safetensors" for n in ("lora", "base"))
    suspect, base = (str(place) for place in places)
    found = api.audit(suspect, parents=[base], sample=512, workers=1, digests=False)
    api.save_evidence(found.evidence, path)
    loaded: Plain = json.loads(path.read_text())
    for kind, measures in (("experts", EXPERTS), ("thinned-by-chance", THINNED), ("adapters", ADAPTERS)):
        made = {"kind": kind, "models": [0, 1], "tensors": [], "measures": copy.deepcopy(measures)}
        loaded["recognition"]["findings"].append(made)
    return loaded


def _measures(plain: Plain, kind: str) -> Plain:
    found: Plain = next(f for f in plain["recognition"]["findings"] if f["kind"] == kind)["measures"]
    return found


def _row(kind: str, key: str, value: Any, *inner: str) -> Callable[[Plain], None]:
    """Put a value into the first row of a kind's measures."""

    def edit(plain: Plain) -> None:
        place = _measures(plain, kind)
        for step in inner:
            place = place[step][0] if isinstance(place[step], list) else place[step]
        if value is None:
            del place[key]
        else:
            place[key] = value

    return edit


def test_findings_as_they_are_measured_are_read_and_judged(plain: Plain) -> None:
    evidence = read_evidence(copy.deepcopy(plain))
    assert any("fit" in row for row in _measures(plain, "low-rank")["rows"])
    assert judge(evidence).verdict.sentence


@pytest.mark.parametrize("kind", ["low-rank", "experts", "thinned-by-chance", "adapters"])
def test_measures_without_what_is_judged_are_refused_at_their_place(kind: str, plain: Plain) -> None:
    """Each key that has no default, left out, or made a text."""
    optional = {"shared", "direction", "adjacent", "ranges", "seed"}
    free = {"low-rank": set[str](), "adapters": {"method", "arithmetic"}, "experts": set[str]()}
    free["thinned-by-chance"] = {"elected", "seed"}
    for key in set(_measures(plain, kind)) - optional:
        for value in (None, *(() if key in free[kind] else ("x",))):
            broken = copy.deepcopy(plain)
            _row(kind, key, value)(broken)
            with pytest.raises(EvidenceError) as caught:
                read_evidence(broken)
            assert caught.value.code == "record-shape", (key, value)
            assert "$.recognition.findings[" in str(caught.value.where)


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (_row("low-rank", "rank", "x", "rows"), "record-shape"),
        (_row("low-rank", "rank", -1, "rows"), "evidence-inconsistent"),
        (_row("low-rank", "elements", 0, "rows", "fit"), "evidence-inconsistent"),
        (_row("low-rank", "outside", 10**9, "rows", "fit"), "evidence-inconsistent"),
        (_row("low-rank", "less", None, "rows", "fit"), "record-shape"),
        (_row("low-rank", "forward", 10**9, "rows", "fit"), "evidence-inconsistent"),
        (_row("experts", "model", 9, "rows"), "evidence-inconsistent"),
        (_row("experts", "equal", 65, "rows"), "evidence-inconsistent"),
        (_row("thinned-by-chance", "parents", []), "evidence-inconsistent"),
        (_row("thinned-by-chance", "density", [0.5], "parents"), "evidence-inconsistent"),
        (_row("thinned-by-chance", "stayed", 5000, "parents"), "evidence-inconsistent"),
        (_row("thinned-by-chance", "controls", [{"model": 7, "told": 1, "explained": 1}]),
         "evidence-inconsistent"),
        (_row("adapters", "weights", [0.5, 0.5]), "evidence-inconsistent"),
        (_row("adapters", "shared", {"density": "x"}), "evidence-inconsistent"),
        (_row("adapters", "matches", -1), "evidence-inconsistent"),
    ],
)  # fmt: skip
def test_measures_that_cannot_be_are_refused(
    edit: Callable[[Plain], None], code: str, plain: Plain, run: Run, tmp_path: Path
) -> None:
    broken = copy.deepcopy(plain)
    edit(broken)
    path = tmp_path / "e.json"
    path.write_text(json.dumps(broken))
    done = run("report", path)
    assert (done.error, done.code, done.out) == (code, 2, ""), done.err
