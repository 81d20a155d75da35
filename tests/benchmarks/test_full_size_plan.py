"""What three checkpoints of 397 B parameters cost, told from the headers that the full-size hub serves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from virtual_hub_parts.process import audit, counts_of, serving
from virtual_hub_parts.server import Conditions

TENSORS, FILES, MODELS = 2_924, 94, 3


@pytest.mark.slow
def test_a_triple_of_397_billion_parameters_is_read_in_100_megabytes_and_15_000_requests(
    tmp_path: Path,
) -> None:
    told = tmp_path / "plan.json"
    with serving(small=False, conditions=Conditions()) as address:
        places = ["rehearsal/merged", "-p", "rehearsal/tuned", "-p", "rehearsal/base"]
        environment = {
            "HF_ENDPOINT": address,
            "HF_HUB_CACHE": str(tmp_path / "none"),
            "HF_TOKEN_PATH": str(tmp_path / "no"),
            "HF_TOKEN": "",
            "NO_PROXY": "*",
            "no_proxy": "*",
        }
        done = audit([*places, "--dry-run", "--json", str(told)], environment)
        counts = counts_of(address)
    assert done.exit_code == 0, done.output
    plan = json.loads(told.read_text())
    assert sum(c["tensors"] for c in plan["components"]) == TENSORS
    assert plan["not_read"] == []
    first = plan["stages"][0]
    assert (first["elements"], first["fits"]) == (4_096, True)
    assert first["total"]["nbytes"] <= 100_000_000
    resolves = MODELS * FILES
    assert counts["resolves"] == resolves <= 300
    assert first["total"]["requests"] - resolves <= 15_000
    # A stage more in every tensor would be beyond it, and is not begun without being asked for.
    assert plan["stages"][1]["fits"] is False
