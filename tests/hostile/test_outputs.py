"""Outputs that cannot be written: refused before the work where that can be known, never half there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.running import Outcome, Run, spawn
from tests.hostile.models import write_family

OPTIONS = ("--json", "--html", "--evidence")


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    return write_family(tmp_path_factory.mktemp("family"))


def command(family: Mapping[str, Path]) -> tuple[str | Path, ...]:
    return ("audit", family["C"], "-p", family["A"], "-p", family["O"])


def refused(done: Outcome, code: str, exit_code: int, where: Path | str) -> None:
    assert (done.error, done.code) == (code, exit_code)
    assert str(where) in done.err
    assert "  try:   " in done.err


@pytest.fixture
def no_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit itself must not be reached."""

    def reached(*_: object, **__: object) -> None:
        raise AssertionError("the audit ran before its outputs were checked")

    monkeypatch.setattr("parentage.api.audit", reached)


@pytest.mark.usefixtures("no_audit")
@pytest.mark.parametrize("option", OPTIONS)
class TestBeforeTheWork:
    def test_a_missing_folder_is_refused(
        self, option: str, run: Run, family: Mapping[str, Path], tmp_path: Path
    ) -> None:
        out = tmp_path / "absent" / "out"
        refused(run(*command(family), option, out), "output-not-written", 1, out)
        assert not out.parent.exists()

    def test_a_folder_is_refused(
        self, option: str, run: Run, family: Mapping[str, Path], tmp_path: Path
    ) -> None:
        refused(run(*command(family), option, tmp_path), "output-is-folder", 1, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_file_where_a_folder_should_be_is_refused(
        self, option: str, run: Run, family: Mapping[str, Path], tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("mine")
        refused(
            run(*command(family), option, tmp_path / "file" / "out"), "output-not-written", 1, "file/out"
        )
        assert (tmp_path / "file").read_text() == "mine"

    def test_a_name_longer_than_the_system_allows_is_refused(
        self, option: str, run: Run, family: Mapping[str, Path], tmp_path: Path
    ) -> None:
        refused(run(*command(family), option, tmp_path / ("n" * 300)), "output-not-written", 1, "")

    def test_an_input_is_not_replaced(
        self, option: str, run: Run, family: Mapping[str, Path], tmp_path: Path
    ) -> None:
        weights = family["A"] / "model.safetensors"
        before = weights.read_bytes()
        (tmp_path / "link").symlink_to(weights)
        for out in (weights, tmp_path / "link", tmp_path / "new.safetensors"):
            refused(run(*command(family), option, out), "usage-outputs", 2, out)
        assert weights.read_bytes() == before

    def test_two_outputs_in_one_file_are_refused(
        self, option: str, run: Run, family: Mapping[str, Path], tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        other = OPTIONS[(OPTIONS.index(option) + 1) % len(OPTIONS)]
        done = run(*command(family), option, out, other, tmp_path / "x" / ".." / "out")
        refused(done, "usage-outputs", 2, "out")
        assert not out.exists()


@pytest.mark.usefixtures("no_audit")
@pytest.mark.parametrize("option", ["--html", "--evidence"])
def test_only_json_goes_to_standard_output(option: str, run: Run, family: Mapping[str, Path]) -> None:
    refused(run(*command(family), option, "-"), "usage-outputs", 2, "")


@pytest.mark.parametrize("option", OPTIONS)
def test_a_fifo_that_nobody_reads_does_not_hold_us(
    option: str, run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    refused(run(*command(family), option, tmp_path / "fifo"), "output-not-written", 1, "fifo")


def test_a_fifo_that_somebody_reads_gets_all_of_it(
    run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    with (
        (tmp_path / "got").open("wb") as got,
        subprocess.Popen(["cat", tmp_path / "fifo"], stdout=got) as reader,
    ):
        # cat opens the pipe in its own time; until then there is no reader.
        while (done := run(*command(family), "--json", tmp_path / "fifo")).code == 1:
            assert reader.poll() is None
        assert reader.wait(60) == 0
    assert done.code == 0
    assert (tmp_path / "got").read_text().endswith("}\n")


@pytest.mark.parametrize("option", OPTIONS)
def test_a_full_device_is_one_clear_error(option: str, run: Run, family: Mapping[str, Path]) -> None:
    refused(run(*command(family), option, "/dev/full"), "output-no-space", 1, "/dev/full")


LIMITED = """
import resource
from parentage.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
main()
"""


@pytest.mark.parametrize("option", OPTIONS)
def test_where_no_more_may_be_written_the_old_file_stays(
    option: str, family: Mapping[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    done = spawn(*command(family), option, out, program=(sys.executable, "-c", LIMITED))
    refused(done, "output-no-space", 1, out)
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no file system may be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
@pytest.mark.parametrize("option", OPTIONS)
def test_on_a_full_disk_nothing_half_written_is_left(
    option: str, run: Run, family: Mapping[str, Path], small_disk: Path
) -> None:
    (small_disk / "ballast").write_bytes(bytes(56 * 1024))
    out = small_disk / "out"
    refused(run(*command(family), option, out), "output-no-space", 1, out)
    assert [p.name for p in small_disk.iterdir()] == ["ballast"]


@pytest.mark.parametrize("arguments", [["--json", "-"], []], ids=["json", "text"])
def test_standard_output_on_a_full_disk_is_one_clear_error(
    arguments: list[str], family: Mapping[str, Path]
) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from parentage.cli.main import main; main()",
             *map(str, command(family)), *arguments],
            stdout=full, stderr=subprocess.PIPE, check=False, timeout=300,
        )  # fmt: skip
    refused(Outcome(done.returncode, "", done.stderr.decode()), "output-no-space", 1, "standard output")


def test_an_output_that_exists_is_replaced_whole(
    run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "r.json"
    out.write_text("x" * 10**6)
    assert run(*command(family), "--json", out).code == 0
    text = out.read_text()
    assert text.startswith("{")
    assert text.endswith("}\n")
    assert list(tmp_path.iterdir()) == [out]
