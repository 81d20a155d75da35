"""``parentage report``: what it writes where, and what a pipe or a plain terminal gets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from parentage.cli.output import PIPE_WIDTH, encodable
from parentage.records.json_files import write_json
from parentage.records.report import Report, load_report, to_json
from parentage.reports.html import render
from parentage.reports.json import render as render_json
from parentage.reports.terminal import render_text
from tests.reports.worlds import demo, trained


def _saved(folder: Path, report: Report) -> Path:
    path = folder / "report.json"
    write_json(path, to_json(report))
    return path


def _run(arguments: Sequence[str | Path], **environment: str) -> subprocess.CompletedProcess[bytes]:
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "PYTHONIOENCODING", "FORCE_COLOR")}
    script = "from parentage.cli.main import main; main()"
    command = [sys.executable, "-c", script, "report", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, env={**kept, **environment}, check=False)


def test_a_pipe_gets_plain_text_of_a_fixed_width(tmp_path: Path) -> None:
    done = _run([_saved(tmp_path, trained())])
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == render_text(trained(), PIPE_WIDTH)


def test_columns_sets_the_width_of_a_pipe(tmp_path: Path) -> None:
    done = _run([_saved(tmp_path, demo())], COLUMNS="60")
    assert done.stdout.decode() == render_text(demo(), 60)


def test_every_rendering_is_written_from_one_saved_report(tmp_path: Path) -> None:
    path = _saved(tmp_path, trained())
    html, again = tmp_path / "out.html", tmp_path / "again.json"
    done = _run([path, "--html", html, "--json", again])
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    assert html.read_text(encoding="utf-8") == render(trained())
    assert again.read_bytes() == path.read_bytes()
    assert load_report(again) == trained()


@pytest.mark.parametrize(("option", "made"), [("--html", render), ("--json", render_json)])
def test_a_dash_writes_to_standard_output_and_to_no_file(tmp_path: Path, option: str, made: object) -> None:
    done = _run([_saved(tmp_path, demo()), option, "-"])
    assert done.stdout.decode() == made(demo())  # type: ignore[operator]
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_two_renderings_do_not_share_standard_output(tmp_path: Path) -> None:
    done = _run([_saved(tmp_path, demo()), "--html", "-", "--json", "-"])
    assert done.returncode == 2
    assert b"usage-outputs" in done.stderr
    assert done.stdout == b""


def test_a_plain_encoding_gets_plain_signs_and_escaped_names(tmp_path: Path) -> None:
    report = demo()
    parents = (replace(report.verdict.parents[0], name="modèle"), *report.verdict.parents[1:])
    report = replace(report, verdict=replace(report.verdict, parents=parents))
    done = _run([_saved(tmp_path, report)], PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("ascii")
    assert "mod\\xe8le" in text
    assert "##############.........." in text
    assert "?" not in text


def test_what_an_encoding_has_stays_as_it_is() -> None:
    assert encodable("modèle – σ", "utf-8") == "modèle – σ"
    assert encodable("modèle – σ", "latin-1") == "modèle - sigma"


def test_a_damaged_report_is_one_clear_error_and_writes_nothing(tmp_path: Path) -> None:
    path = _saved(tmp_path, demo())
    damaged = json.loads(path.read_text())
    del damaged["verdict"]["sentence"]
    path.write_text(json.dumps(damaged))
    done = _run([path, "--html", tmp_path / "out.html"])
    assert done.returncode != 0
    assert b"error[record-shape]" in done.stderr
    assert b"$.verdict.sentence" in done.stderr
    assert not (tmp_path / "out.html").exists()
