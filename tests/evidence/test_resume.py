"""A full pass that was killed goes on where it stopped, and ends in the same evidence."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.errors import EvidenceError, OutputError, UsageError
from parentage.evidence.full import full_pass
from parentage.records.dtypes import DType
from tests.evidence.test_full_pass import FIRST, World, base, parent, write

# 267 slices of the two large tensors.
SLICE = 256
SLICES = -(-96 * 512 // SLICE) + -(-64 * 300 // SLICE)
# A process of its own that sends itself a signal after so many slices: no chance decides where it ends.
PROGRAM = """
import os, signal, sys
from parentage.evidence.full import full_pass
from parentage.evidence.full import progress as pass_progress
full_pass.SLICE = {slice}
add, left = pass_progress.PassProgress.add, [{after}]
def counted(self, task, counts):
    add(self, task, counts)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), {signal})
pass_progress.PassProgress.add = counted
# A process that a shell started in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from parentage.cli.main import main
main()
"""


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_pass, "SLICE", SLICE)


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.change(FIRST, slice(None, None, 7))
    return found


def interrupt(world: World, progress: Path, after: int, sent: signal.Signals) -> int:
    """Audit in a process that ends itself after ``after`` slices; its exit code."""
    suspect = write(world.folder, "suspect", world.merge, world.out)
    program = PROGRAM.format(slice=SLICE, after=after, signal=int(sent))
    parents = [word for p in world.parents for word in ("-p", str(p))]
    options = ("--full", "--sample", "4096", "--workers", "2", "--no-digests", "--resume", str(progress))
    command = [sys.executable, "-c", program, "audit", str(suspect), *parents, *options]
    return subprocess.run(command, capture_output=True, check=False, timeout=300).returncode


def saved(world: World, **options: Any) -> bytes:
    path = world.folder / "evidence.json"
    # Files are written once, so that they are not newer than the progress.
    suspect = world.folder / "suspect.safetensors"
    if not suspect.exists():
        write(world.folder, "suspect", world.merge, world.out)
    chosen: dict[str, Any] = {"sample": 4096, "full": True, "workers": 2, "digests": False, **options}
    found = api.audit(str(suspect), parents=[str(p) for p in world.parents], **chosen)
    api.save_evidence(found.evidence, path)
    return path.read_bytes()


@pytest.mark.parametrize("sent", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_killed_pass_goes_on_and_ends_in_the_same_evidence(world: World, sent: signal.Signals) -> None:
    progress = world.folder / "progress"
    code = interrupt(world, progress, 100, sent)
    assert code == (-signal.SIGKILL if sent is signal.SIGKILL else 130)
    before = progress.read_bytes()
    done = before.count(b"\n") - 1
    assert 100 <= done < SLICES
    found = saved(world, resume=progress)
    after = progress.read_bytes()
    # What was done is not done again.
    assert after.startswith(before)
    assert after.count(b"\n") - 1 == SLICES
    assert found == saved(world)


def test_a_pass_that_is_done_reads_nothing_again_and_says_the_same(world: World) -> None:
    progress = world.folder / "progress"
    first = saved(world, resume=progress)
    kept = progress.read_bytes()
    assert saved(world, resume=progress) == first
    assert progress.read_bytes() == kept


@pytest.mark.slow
def test_a_folder_keeps_passes_apart(world: World) -> None:
    folder = world.folder / "kept"
    folder.mkdir()
    saved(world, resume=folder)
    saved(world, resume=folder, sample=2048)
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    "other", ["replaced", *(pytest.param(o, marks=pytest.mark.slow) for o in ("sample", "parent"))]
)
def test_progress_of_another_pass_is_refused_and_left_alone(world: World, other: str) -> None:
    progress = world.folder / "progress"
    saved(world, resume=progress)
    kept = progress.read_bytes()
    options: dict[str, Any] = {}
    if other == "sample":
        options["sample"] = 2048
    elif other == "replaced":
        # Same name, same size, same header, and elements that no sample met may differ.
        write(world.folder, "suspect", world.merge, world.out)
    else:
        world.parents[1] = write(world.folder, "other", parent(77, DType.BF16, base()), DType.BF16)
    with pytest.raises(UsageError) as raised:
        saved(world, resume=progress, **options)
    assert raised.value.code == "resume-foreign"
    assert progress.read_bytes() == kept


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", ["torn", *(pytest.param(d, marks=pytest.mark.slow) for d in ("turned", "forged", "header"))]
)
def test_a_line_that_does_not_verify_is_counted_again(world: World, damage: str) -> None:
    progress = world.folder / "progress"
    wanted = saved(world, resume=progress)
    lines = progress.read_bytes().splitlines(keepends=True)
    middle = lines[20].split(b" ")
    if damage == "torn":
        lines = [*lines[:20], lines[20][:-9]]
    elif damage == "turned":
        lines[20] = b" ".join([middle[0], b"1" + middle[1], *middle[2:]])
    elif damage == "forged":
        import zlib

        # More matches than elements, with a checksum that holds.
        text = b" ".join([*middle[:2], b"999", *middle[3:-1]])
        lines[20] = text + f" {zlib.crc32(text):08x}\n".encode()
    else:
        lines = [lines[0][:40]]
    progress.write_bytes(b"".join(lines))
    assert saved(world, resume=progress) == wanted


@pytest.mark.parametrize("content", [b"notes of mine\n", b'{"schema":"parentage.report"}\n', b"{" * 3000])
def test_a_file_that_is_no_progress_is_refused_before_anything_is_read(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(EvidenceError) as raised:
        api.audit("nowhere", parents=["nowhere-either"], full=True, resume=path)
    assert raised.value.code == "resume-damaged"
    assert path.read_bytes() == content


@pytest.mark.slow
def test_two_processes_do_not_share_a_file(world: World) -> None:
    progress = world.folder / "progress"
    saved(world, resume=progress)
    with progress.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UsageError) as raised:
            saved(world, resume=progress)
    assert raised.value.code == "resume-busy"


def test_a_file_that_cannot_be_written_is_named(world: World) -> None:
    with pytest.raises(OutputError) as raised:
        saved(world, resume=world.folder / "absent" / "progress")
    assert raised.value.code == "resume-not-written"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"resume": "p"}, "usage-not-full"),
        ({"engine": "spark", "full": True}, "usage-engine"),
        ({"address": "auto", "full": True}, "usage-engine"),
        ({"device": "tpu", "full": True}, "usage-device"),
        ({"device": "cuda", "full": True, "engine": "ray"}, "usage-device"),
        ({"device": "cuda"}, "usage-not-full"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as raised:
        api.audit("nowhere", parents=["nowhere-either"], **options)
    assert raised.value.code == code


@pytest.mark.slow
def test_verify_keeps_its_progress_too(world: World) -> None:
    saved(world)
    progress = world.folder / "progress"
    assert api.verify(world.folder / "evidence.json", resume=progress).holds
    assert progress.read_bytes().count(b"\n") - 1 == SLICES
