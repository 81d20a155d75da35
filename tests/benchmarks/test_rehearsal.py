"""The rehearsal on the miniature: what was planted is what the audits find."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from virtual_hub_parts.rehearsal import CONTROLS, Setting, rehearse, summary
from virtual_hub_parts.rows import PUBLISHED, as_table, rows_of
from virtual_hub_parts.weights import ALPHA

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def merged() -> dict[str, Any]:
    return rehearse(Setting("with failures", "merged", failing=0.05), small=True)


@pytest.fixture(scope="module")
def trained() -> dict[str, Any]:
    return rehearse(Setting("trained", "trained", CONTROLS), small=True)


def test_the_merge_is_found_with_its_weight_in_every_part(merged: dict[str, Any]) -> None:
    verdict = merged["verdict"]
    assert (verdict["exit code"], verdict["relation"], verdict["status"]) == (
        0,
        "linear-merge",
        "supported",
    )
    assert (verdict["match"], verdict["arithmetic"]) == (1.0, "fp32-sum")
    assert verdict["post_training"] == "not-detected"
    low, high = (verdict["parents"][0]["weight"][k] for k in ("low", "high"))
    assert low <= ALPHA <= high
    assert high - low < 1e-4
    assert merged["every row holds 4/7"]
    assert all(row["inconsistent"] == 0 for row in merged["rows"])


def test_no_tensor_is_lost_and_failures_are_survived(merged: dict[str, Any]) -> None:
    coverage, cost = merged["verdict"]["coverage"], merged["cost"]
    assert coverage["tensors"] == coverage["tensors_examined"] == 134
    assert merged["verdict"]["not_examined"] == 0
    assert sum(n for kind, n in cost["hub"].items() if kind.startswith("failed")) > 0
    assert cost["peak resident bytes"] > 50_000_000
    assert sum(row["tensors"] for row in merged["rows"]) == 134


@pytest.mark.slow
def test_the_trained_experts_are_named_and_no_other(trained: dict[str, Any]) -> None:
    assert trained["verdict"]["relation"] == "linear-merge"
    assert trained["verdict"]["post_training"] == "detected"
    found = trained["trained"]
    assert (found["planted"], found["found"], found["found though untouched"]) == (1, 1, [])
    hub, network = trained["cost"]["hub"], trained["verdict"]["coverage"]["network"]
    sent = sum(hub[kind] for kind in ("listings", "small files", "resolves", "ranges"))
    assert (network["requests"], network["resolves"]) == (sent, hub["resolves"])
    assert hub["bytes of ranges"] < network["bytes_received"] < hub["bytes of ranges"] + 500_000
    changed = [row for row in trained["rows"] if row["inconsistent"]]
    assert [row["name"] for row in changed] == ["experts"]


@pytest.mark.slow
def test_results_make_one_line_each(merged: dict[str, Any], trained: dict[str, Any]) -> None:
    lines = summary([merged, trained]).splitlines()
    assert len(lines) == 4
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert "linear-merge, supported" in lines[2]
    json.dumps([merged, trained])


def test_the_rows_are_those_of_the_published_table() -> None:
    program = "import json, published as p; print(json.dumps([[f.alpha, f.cosine] for f in p.PUBLISHED]))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "scripts" / "cases",
        capture_output=True,
        text=True,
        check=True,
    )
    assert [[weight, cosine] for _, _, weight, cosine in PUBLISHED[:-1]] == json.loads(done.stdout)


def test_least_squares_of_a_row_is_that_of_its_numbers_together() -> None:
    def tensor(name: str, aa: float, ab: float, bb: float) -> dict[str, Any]:
        mixture = {"subject": 0, "first": 1, "second": 2, "informative": 4, "low": 0.5, "high": 0.75}
        mixture["consistency"] = 1.0
        return {"name": name, "examined": 4, "gram": [[aa, ab], [ab, bb]], "mixtures": [mixture]}

    # A-C and B-C: (1, 2) and (-1, 0); then (0, 2) and (-2, -2): A-B is (2, 2, 2, 4), C-B is (1, 0, 2, 2).
    tensors = [tensor("lm_head.weight", 5, -1, 1), tensor("lm_head.bias", 4, -4, 8)]
    (row,) = rows_of({"tensors": tensors})
    assert row.weight == pytest.approx((2 + 0 + 4 + 8) / (4 + 4 + 4 + 16))
    assert row.cosine == pytest.approx(14 / (28 * 9) ** 0.5)
    assert (row.low, row.high, row.tensors) == (0.5, 0.75, 2)
    assert "| lm_head | 2 |" in as_table([row])
