"""Files that released versions wrote can still be read, judged and rendered, and lose nothing by it.

Each release adds a folder named by its version; what lies in one is never edited again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.records.codec import to_plain
from parentage.records.report import load_report, to_json
from parentage.reports.registry import names, renderer

FOLDER = Path(__file__).resolve().parent
REPORTS = sorted(FOLDER.glob("*/*.report.json"))
EVIDENCE = sorted(FOLDER.glob("*/*.evidence.json"))


def _id(path: Path) -> str:
    return f"{path.parent.name}-{path.name}"


def _kept(old: Any, new: Any, where: str = "$") -> None:
    """Whatever was written is still there with its value; only new fields may have come."""
    if isinstance(old, dict):
        assert isinstance(new, dict), where
        for key, value in old.items():
            assert key in new, f"{where}.{key} was dropped"
            _kept(value, new[key], f"{where}.{key}")
    elif isinstance(old, list):
        assert isinstance(new, list), where
        assert len(old) == len(new), where
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            _kept(before, after, f"{where}[{index}]")
    else:
        assert old == new, where


def test_every_release_left_reports_and_evidence() -> None:
    assert {p.parent.name for p in REPORTS} == {p.parent.name for p in EVIDENCE} != set()


@pytest.mark.parametrize("path", REPORTS, ids=_id)
def test_an_old_report_loads_whole_and_renders(path: Path) -> None:
    report = load_report(path)
    _kept(json.loads(path.read_text(encoding="utf-8")), to_json(report))
    for name in names():
        assert report.suspect.locator in renderer(name)(report) or name == "text"


@pytest.mark.parametrize("path", EVIDENCE, ids=_id)
def test_old_evidence_loads_whole_and_is_judged_by_this_version(path: Path) -> None:
    old = json.loads(path.read_text(encoding="utf-8"))
    found = api.load_evidence(path)
    _kept({k: v for k, v in old.items() if k not in ("schema", "version")}, to_plain(found))
    report = api.load_report(path)
    assert report.verdict.sentence
    assert report.suspect.locator == found.models[0].locator
