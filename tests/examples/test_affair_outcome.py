"""What a run leaves to read: all of it, without weights and without one machine's places."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from examples.affair import outcome
from examples.affair.outcome import keep, placeless
from examples.affair.steps import Done

DONE = [Done("dossier-x", "parentage dossier ./x", "k", "o", 1.0, 7), Done("nex", "c", "k", "o", 2.0, 9)]


def test_dossiers_are_kept_and_weights_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    work, out = tmp_path / "made", tmp_path / "out"
    for step in ("dossier-x", "nex"):
        (work / step).mkdir(parents=True)
    (work / "dossier-x" / "dossier.json").write_text(f'{{"suspect": "{tmp_path}/made/x"}}')
    (work / "dossier-x.txt").write_text("5 findings")
    (work / "nex" / "model.safetensors").write_bytes(b"\0" * 9)
    keep(work, out, DONE)
    assert json.loads((out / "dossier-x" / "dossier.json").read_text()) == {"suspect": "./made/x"}
    assert (out / "dossier-x" / "dossier.txt").read_text() == "5 findings"
    assert not list(out.rglob("*.safetensors"))
    rows = json.loads((out / "run.json").read_text())
    assert [(r["step"], r["seconds"], r["peak_mb"]) for r in rows] == [
        ("dossier-x", 1.0, 7),
        ("nex", 2.0, 9),
    ]


def test_a_folder_elsewhere_is_no_place_of_one_machine_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    work = tmp_path / "there" / "affair" / "small"
    story = Path(outcome.__file__).parent / "story" / "recital.txt"
    text = f'["{work}/nex", "{story}", "{tmp_path}/here/x"]'
    kept = json.loads(placeless(text, work))
    assert kept == ["./small/nex", "./examples/affair/story/recital.txt", "./x"]


def test_no_committed_file_of_a_run_names_a_place_of_one_machine() -> None:
    kept = Path(__file__).resolve().parents[2] / "examples" / "affair" / "out"
    files = [p for p in kept.rglob("*") if p.is_file()]
    assert files
    for path in files:
        text = path.read_text("utf-8")
        assert "/work/" not in text.replace("./work/", ""), path
        assert "/home/" not in text, path
