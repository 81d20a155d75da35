"""Files that released versions wrote can still be read, judged and rendered, and lose nothing by it.

Each release adds a folder named by its version; what lies in one is never edited again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.behaviour.answers_file import answers_text, load_answers
from parentage.cards.archives import read_archive
from parentage.errors import LabelError
from parentage.records import card_report, dossier, interview
from parentage.records.codec import to_plain
from parentage.records.json_files import loads
from parentage.records.report import load_report, to_json
from parentage.reports.dossier_html import render
from parentage.reports.registry import names, renderer
from tests.archive.keeping import KEPT
from tests.cli.running import Run

FOLDER = Path(__file__).resolve().parent
REPORTS = sorted(FOLDER.glob("*/*.report.json"))
EVIDENCE = sorted(FOLDER.glob("*/*.evidence.json"))
DOSSIERS = sorted(FOLDER.glob("*/dossier.zip"))
STEPS = 6


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


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_release_left_a_dossier_and_what_it_rests_on() -> None:
    assert {p.parent for p in DOSSIERS} == {p.parent for p in REPORTS}
    for path in DOSSIERS:
        assert {name for name in KEPT if (path.parent / name).is_file()} == set(KEPT)


@pytest.mark.parametrize("path", DOSSIERS, ids=_id)
def test_old_answers_are_read_whole(path: Path) -> None:
    answers = path.with_name("answers.jsonl")
    found = load_answers(answers)
    assert found.answers
    _kept(_lines(answers.read_text(encoding="utf-8")), _lines(answers_text(found)))


@pytest.mark.parametrize("path", DOSSIERS, ids=_id)
def test_old_readings_and_claims_lose_nothing(path: Path) -> None:
    told = api.load_interview(path.with_name("interview.json"))
    claims = card_report.load_card_report(path.with_name("card.json"))
    for name, found in (("interview.json", told), ("card.json", claims)):
        old = json.loads(path.with_name(name).read_text(encoding="utf-8"))
        _kept({k: v for k, v in old.items() if k not in ("schema", "version")}, to_plain(found))
    assert any(rate.claims for s in told.subjects for g in s.groups for rate in g.names)
    assert claims.claims


@pytest.mark.parametrize("path", DOSSIERS, ids=_id)
def test_an_old_dossier_is_taken_out_of_its_archive_whole_and_drawn(path: Path) -> None:
    _, members = read_archive(path)
    old = loads(members["dossier.json"], schema=dossier.SCHEMA, version=dossier.VERSION, where="x")
    found = dossier.from_json(old)
    _kept({k: v for k, v in old.items() if k not in ("schema", "version")}, dossier.to_json(found))
    assert {f.severity for f in found.findings} >= {"high", "information"}
    assert interview.SCHEMA in members["interview.json"].decode()
    assert all(f.sentence.split()[0] in render(found) for f in found.findings)


@pytest.mark.parametrize("path", DOSSIERS, ids=_id)
def test_an_old_archive_is_still_verified_step_by_step(path: Path, run: Run, tmp_path: Path) -> None:
    """Its signature holds for ever; what other rules would say today is told, and is no failure to read."""
    pytest.importorskip("cryptography")
    key = path.with_name("signer.pub.pem")
    done = run("verify", path, "--key", key, "--without-inputs", "--json")
    assert done.code in (0, 5), done.err
    told = json.loads(done.out)
    assert len(told["steps"]) == STEPS
    assert len(told["signed_by"]) == 64
    assert told["steps"][0]["status"] == "not-rederived"
    changed = bytearray(path.read_bytes())
    changed[changed.index(b"post-trained")] ^= 1
    forged = tmp_path / "forged.zip"
    forged.write_bytes(bytes(changed))
    with pytest.raises(LabelError) as raised:
        api.check_archive(forged, key=key, inputs=False)
    assert raised.value.code == "archive-member-changed"
