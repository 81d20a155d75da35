"""Our own mistakes, interrupts and hostile messages: short, with a code, a traceback only when asked."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parentage.cli import compiler_cache
from parentage.cli.failures import report_failure
from parentage.errors import ParentageError
from tests.cli.running import MERGEKIT, SPAWN, Outcome, Run, spawn

BROKEN = """
import parentage.api
def broken(*_, **__):
    return {}["\\x1b[2Jlost"]
parentage.api.inspect = broken
from parentage.cli.main import main
main()
"""


def test_a_mistake_of_ours_is_short_and_says_how_to_report_it() -> None:
    done = spawn("inspect", "x", program=(sys.executable, "-c", BROKEN))
    assert (done.error, done.code, done.out) == ("internal", 1, "")
    assert "this is a mistake of ours: KeyError" in done.err
    assert "PARENTAGE_DEBUG=1" in done.err
    assert len(done.err.splitlines()) == 3
    assert "\x1b" not in done.err


def test_its_traceback_is_shown_when_asked_for() -> None:
    done = spawn(
        "inspect", "x", program=(sys.executable, "-c", BROKEN), environment={"PARENTAGE_DEBUG": "1"}
    )
    assert done.code == 1
    assert "Traceback" in done.err
    assert "in broken" in done.err


def test_debugging_adds_nothing_to_a_users_error() -> None:
    done = spawn("inspect", "absent", environment={"PARENTAGE_DEBUG": "1"})
    assert (done.error, done.code) == ("input-missing", 3)


def test_a_message_is_never_longer_than_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    error = ParentageError("m" * 10**6, code="x", where="w" * 10**6, hint="h" * 10**6)
    assert report_failure(error) == 1
    assert len(capsys.readouterr().err) < 2_500


def test_a_closed_standard_error_changes_no_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert report_failure(ParentageError("x", code="y")) == 1


def test_an_interrupt_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    waiting = f"""
import parentage.api, signal, time
# A shell's background jobs, these tests among them, may have been told to ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
def slow(*_, **__):
    open({str(tmp_path / "begun")!r}, "w").close()
    time.sleep(60)
parentage.api.audit = slow
from parentage.cli.main import main
main()
"""
    suspect = MERGEKIT / "linear.safetensors"
    with subprocess.Popen(
        [sys.executable, "-c", waiting, "audit", suspect, "-p", suspect, "--json", tmp_path / "r.json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        while not (tmp_path / "begun").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert err.decode().strip() == "interrupted: nothing half-written was left"
    assert not (tmp_path / "r.json").exists()


def test_names_are_shown_in_any_encoding(tmp_path: Path) -> None:
    folder = tmp_path / "modèle-模型"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes((MERGEKIT / "O.safetensors").read_bytes())
    plain = {"PYTHONIOENCODING": "ascii"}
    for options in ([], ["--json"]):
        done = spawn("inspect", folder, *options, environment=plain)
        assert (done.code, done.err) == (0, ""), done.err
    assert "模型" in done.out


def test_a_version_is_printed(run: Run) -> None:
    done = run("--version")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("parentage 0.")


@pytest.mark.parametrize("variable", ["", "/somewhere"])
def test_a_cache_that_works_or_was_chosen_is_left_alone(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(compiler_cache.VARIABLE, raising=False)
    if variable:
        monkeypatch.setenv(compiler_cache.VARIABLE, variable)
    with compiler_cache.compiler_cache():
        assert os.environ.get(compiler_cache.VARIABLE, "") == variable


def test_without_any_place_for_compiled_code_a_private_one_is_made_and_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(compiler_cache.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    monkeypatch.setattr(compiler_cache, "_package", lambda: Path("/proc/none"))
    monkeypatch.setattr(compiler_cache.tempfile, "tempdir", str(tmp_path))
    with compiler_cache.compiler_cache():
        made = Path(os.environ[compiler_cache.VARIABLE])
        assert made.parent == tmp_path
        assert made.stat().st_mode & 0o777 == 0o700
    assert not made.exists()
    assert compiler_cache.VARIABLE not in os.environ


READ_ONLY = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
os.environ["HOME"] = os.environ["XDG_CACHE_HOME"] = "/proc/none"
from parentage.cli.main import main
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
def test_an_installation_that_cannot_be_written_to_runs(tmp_path: Path) -> None:
    import shutil

    import parentage

    source = shutil.copytree(
        Path(parentage.__file__).parent, tmp_path / "source" / "parentage",
        ignore=shutil.ignore_patterns("__pycache__"),
    )  # fmt: skip
    place = tmp_path / "site"
    place.mkdir()
    bound = ["mount", "--bind", source.parent, place]
    if subprocess.run(bound, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, place, "audit", MERGEKIT / "linear.safetensors",
             "-p", MERGEKIT / "A.safetensors", "-p", MERGEKIT / "O.safetensors", "--sample", "256"],
            capture_output=True, check=False, text=True, timeout=600,
        )  # fmt: skip
    finally:
        subprocess.run(["umount", place], check=True)
    assert Outcome(done.returncode, done.stdout, done.stderr).code == 0, done.stderr


def test_the_program_is_what_is_installed() -> None:
    """``SPAWN`` stands for the entry point: both call the same function."""
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="parentage")
    assert script.value == "parentage.cli.main:main"
    assert "parentage.cli.main import main" in SPAWN[2]
