"""The committed fixtures: models merged, adapted and trained by other tools.

``scripts/fixtures`` rebuilds them; ``tests/fixtures/MANIFEST.json`` pins each and tells its story.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from parentage import api
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.report import Replay, Report

__all__ = ["FOLDER", "audited", "manifest_files", "replay_of", "weight_estimates", "weights"]

FOLDER = Path(__file__).resolve().parents[1] / "fixtures"


@dataclass(frozen=True, slots=True)
class Pinned:
    """A fixture as the manifest lists it; ``story`` holds what its maker wrote about it."""

    path: Path
    sha256: str
    story: dict[str, Any]


def manifest_files() -> dict[str, Pinned]:
    """Every fixture in the manifest, by its path under the folder."""
    manifest = json.loads((FOLDER / "MANIFEST.json").read_text())
    return {
        name: Pinned(FOLDER / name, entry["sha256"], entry)
        for group in manifest["groups"].values()
        for name, entry in group["files"].items()
    }


def audited(
    suspect: str, parents: Sequence[str], controls: Sequence[str] = (), root: str | None = None
) -> Report:
    """The report on a fixture; names are paths under the folder without their suffix. Each audit
    runs once a session, on all elements."""
    return _audited(suspect, tuple(parents), tuple(controls), root)


@cache
def _audited(suspect: str, parents: tuple[str, ...], controls: tuple[str, ...], root: str | None) -> Report:
    def place(name: str) -> str:
        return str(FOLDER / f"{name}.safetensors")

    return api.audit(
        place(suspect),
        parents=[place(p) for p in parents],
        controls=[place(c) for c in controls],
        root=None if root is None else place(root),
        full=True,
        workers=1,
        digests=False,
    ).report


def weight_estimates(report: Report) -> dict[str, Estimate]:
    """The verdict's weights by the parent's name without its suffix; fails on an absent one."""
    found = {}
    for parent in report.verdict.parents:
        assert not isinstance(parent.weight, Absent), f"{parent.name}: {parent.weight.reason}"
        found[parent.name.removesuffix(".safetensors")] = parent.weight
    return found


def weights(report: Report) -> dict[str, float]:
    """The best estimates alone."""
    return {name: weight.estimate for name, weight in weight_estimates(report).items()}


def replay_of(report: Report) -> Replay:
    """The replay; fails when there is none."""
    assert not isinstance(report.replay, Absent), report.replay.reason
    return report.replay
