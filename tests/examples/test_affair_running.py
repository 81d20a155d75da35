"""Steps run side by side where they may, one run at a time in a folder, and a killed run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from examples.affair import running
from examples.affair.running import run
from examples.affair.steps import Failed, Step, words_of

A = Step("a", ("examples.affair.recipes", "{out}", "./nex", "./base"), "a recipe")
B = Step("b", ("examples.affair.recipes", "{out}", "./rio", "./base"), "another")
AFTER = Step("after", ("examples.affair.recipes", "{out}", "{a}", "{b}"), "a recipe of both")
# Notes who it is, then waits for the other's note: one after the other it would wait in vain.
MEETING = """
import pathlib, sys, time
own, other = map(pathlib.Path, sys.argv[1:])
own.write_text("here")
until = time.monotonic() + 20
while not other.exists():
    if time.monotonic() > until:
        sys.exit("nobody came")
    time.sleep(.02)
"""
# What runs in the background of a shell may have been told to ignore Ctrl-C.
SLEEPING = """
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from examples.affair import running
from examples.affair.__main__ import main
from examples.affair.steps import words_of
def words(step, work):
    if step.name != "data":
        return words_of(step, work)
    half = str(work / "data" / "half")
    return [sys.executable, "-c", f"import time; open({half!r}, 'w').close(); time.sleep(600)"]
running.words_of = words
main()
"""


def test_two_at_a_time_run_beside_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def words(step: Step, work: Path) -> list[str]:
        if step.name == "after":
            return words_of(step, work)
        other = {"a": "b", "b": "a"}[step.name]
        return [sys.executable, "-c", MEETING, *(str(work / n / "note") for n in (step.name, other))]

    monkeypatch.setattr(running, "words_of", words)
    done = run([A, B, AFTER], tmp_path, jobs=2)
    assert [d.step for d in done] == ["a", "b", "after"]
    assert (tmp_path / "after" / "rio.yaml").is_file()


def test_how_many_run_at_a_time_is_no_part_of_what_comes_out(tmp_path: Path) -> None:
    one, two = (run([A, B, AFTER], tmp_path, jobs=jobs) for jobs in (1, 2))
    assert one == two


def test_a_step_has_one_thread_unless_more_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def words(step: Step, work: Path) -> list[str]:
        note = str(work / step.name / "note")
        code = f"import os; open({note!r}, 'w').write(os.environ['OMP_NUM_THREADS'])"
        return [sys.executable, "-c", code]

    monkeypatch.setattr(running, "words_of", words)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run([A], tmp_path / "one")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    run([A], tmp_path / "three")
    assert [(tmp_path / n / "a" / "note").read_text() for n in ("one", "three")] == ["1", "3"]


def test_what_fails_ends_the_run_and_what_needs_it_is_never_begun(tmp_path: Path) -> None:
    bad = Step("a", ("inspect", "./no-such-model"), "nothing")
    with pytest.raises(Failed, match="ended with 3"):
        run([bad, B, AFTER], tmp_path, jobs=2)
    assert not (tmp_path / "after").exists()


def _waiting(folder: Path) -> subprocess.Popen[bytes]:
    """The example as a command, killed by no one yet, in the midst of its first step."""
    words = [sys.executable, "-c", SLEEPING, "--work", str(folder), "data"]
    process = subprocess.Popen(
        words, env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    )
    until = time.monotonic() + 30
    while not (folder / "tiny" / "data" / "half").exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_stops_its_command_and_the_same_run_goes_on(
    tmp_path: Path, how: signal.Signals
) -> None:
    process = _waiting(tmp_path)
    process.send_signal(how)
    assert process.wait(timeout=20) != 0
    assert not (tmp_path / "tiny" / "data.done.json").exists()
    # Nothing holds the folder any more, so the command is gone too; half of an outcome is none.
    (done,) = run([Step("data", ("examples.affair.data", "{out}"), "data")], tmp_path / "tiny")
    again = run([Step("data", ("examples.affair.data", "{out}"), "data")], tmp_path / "other")
    assert (tmp_path / "tiny" / "data" / "nex.jsonl").read_bytes() == (
        tmp_path / "other" / "data" / "nex.jsonl"
    ).read_bytes()
    assert done.key == again[0].key


def test_a_command_that_outlives_a_killed_run_keeps_others_out_of_the_folder(tmp_path: Path) -> None:
    process = _waiting(tmp_path)
    with pytest.raises(Failed, match="is in use"):
        run([A], tmp_path / "tiny")
    process.kill()
    process.wait(timeout=20)
    with pytest.raises(Failed, match="a command that a killed one left"):
        run([A], tmp_path / "tiny")
    (left,) = _children_in(tmp_path / "tiny")
    os.kill(left, signal.SIGKILL)
    until = time.monotonic() + 20
    while not _ended(left) and time.monotonic() < until:
        time.sleep(0.05)
    assert run([A], tmp_path / "tiny")


def _ended(process: int) -> bool:
    """With its files closed; what its command was is gone from /proc before that."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in {"X", "Z"}


def _children_in(folder: Path) -> list[int]:
    """Processes whose command names the folder, but this one."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            told = place.read_bytes()
        except OSError:
            continue
        if str(folder / "data" / "half").encode() in told:
            found.append(int(place.parent.name))
    return found
