"""Slices kept on disk: a run that was killed goes on, and what was damaged is not believed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import parentage
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.checkpoints.remote.slice_cache import SliceCache
from parentage.errors import OutputError
from tests.checkpoints.remote.models import arrays
from tests.checkpoints.remote.servers import Hub, Site
from tests.checkpoints.remote.test_web import check_all

Make = Callable[..., RemoteSession]


def shards_asked(server: Site) -> int:
    return len([a for a in server.asked if a.path.endswith(".safetensors") or "/blobs/" in a.path])


def test_what_was_read_is_not_fetched_again(hub: Hub, session: Make, tmp_path: Path) -> None:
    for expected in (True, False):
        shared = session(hub_endpoint=hub.address, cache_folder=tmp_path / "cache")
        with open_checkpoint("hf://org/model", session=shared) as checkpoint:
            check_all(checkpoint, arrays())
        assert bool(hub.storage.asked) is expected
        assert shared.resolves == (4 if expected else 0)
        # The listing is asked for each time: it pins the commit.
        assert expected or [a.path for a in hub.asked] == ["/api/models/org/model"]
        hub.asked.clear()
        hub.storage.asked.clear()
        shared.close()


def test_another_version_of_a_file_is_not_answered_from_the_cache(
    site: Site, session: Make, tmp_path: Path
) -> None:
    other = arrays(seed=1)
    from tests.checkpoints.remote.models import files_of

    for expected in (arrays(), other):
        site.files = {f"/m/{n}": data for n, data in files_of(expected).items()}
        shared = session(cache_folder=tmp_path)
        with open_checkpoint(f"{site.address}/m", session=shared) as checkpoint:
            check_all(checkpoint, expected)
        shared.close()


def test_a_damaged_slice_is_fetched_again(hub: Hub, session: Make, tmp_path: Path) -> None:
    for attempt in range(3):
        shared = session(hub_endpoint=hub.address, cache_folder=tmp_path)
        with open_checkpoint("hf://org/model", session=shared) as checkpoint:
            check_all(checkpoint, arrays())
        shared.close()
        slices = sorted(p for p in tmp_path.rglob("*-*") if p.is_file())
        assert slices
        if attempt == 0:
            for path in slices:
                raw = bytearray(path.read_bytes())
                raw[-1] ^= 1
                path.write_bytes(raw)
        else:
            for path in slices[::2]:
                path.write_bytes(path.read_bytes()[:-1])


def test_a_file_without_a_strong_version_is_not_kept(site: Site, session: Make, tmp_path: Path) -> None:
    site.etags = False
    with open_checkpoint(f"{site.address}/m", session=session(cache_folder=tmp_path)) as checkpoint:
        check_all(checkpoint, arrays())
    assert list(tmp_path.iterdir()) == []


def test_the_cache_is_bounded(hub: Hub, session: Make, tmp_path: Path) -> None:
    shared = session(hub_endpoint=hub.address, cache_folder=tmp_path, cache_bytes=100_000)
    with open_checkpoint("hf://org/model", session=shared) as checkpoint:
        check_all(checkpoint, arrays())
    shared.close()
    assert 0 < sum(p.stat().st_size - 32 for p in tmp_path.rglob("*-*") if p.is_file()) <= 100_000


def test_what_memory_cannot_hold_lies_on_disk(hub: Hub, session: Make, tmp_path: Path) -> None:
    shared = session(hub_endpoint=hub.address, cache_folder=tmp_path, memory_bytes=20_000)
    with open_checkpoint("hf://org/model", session=shared) as checkpoint:
        files = list(checkpoint._files.values())
        shared.fetch_all([(f, [(0, f.size)]) for f in files])
        asked = len(hub.storage.asked)
        check_all(checkpoint, arrays())
        assert len(hub.storage.asked) == asked
        assert shared.bytes_read < sum(len(d) for d in hub.files.values()) + 20_000


def test_a_cache_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError) as caught:
        RemoteSession(cache_folder=tmp_path / "file" / "cache")
    assert caught.value.code == "cache-folder"


def test_a_disk_that_fails_does_not_fail_the_audit(hub: Hub, session: Make, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    shared = session(hub_endpoint=hub.address, cache_folder=folder)
    folder.rmdir()
    folder.write_bytes(b"no folder any more")
    with open_checkpoint("hf://org/model", session=shared) as checkpoint:
        check_all(checkpoint, arrays())


def test_slices_that_overlap_and_strange_names_are_passed_over(tmp_path: Path) -> None:
    slices = SliceCache(tmp_path, 10**6).of("key")
    assert slices.save(0, b"abcdef")
    assert slices.save(4, b"efgh")
    assert slices.save(8, b"ij")
    folder = next(tmp_path.iterdir())
    for name in ("x", "1-", "-1", "٣-٤", ".partial-1", "9-3"):
        (folder / name).write_bytes(b"?")
    assert slices.spans() == [(0, 6), (8, 10)]
    assert slices.load(0, 6) == b"abcdef"
    assert slices.load(0, 5) is None
    assert SliceCache(tmp_path, 0).of("other").load(0, 6) is None
    (folder / "20-24").symlink_to(folder / "4-8")
    assert slices.load(20, 24) is None


CHILD = """
import sys
from pathlib import Path
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.remote_session import RemoteSession
address, cache = sys.argv[1:]
with RemoteSession(hub_endpoint=address, cache_folder=Path(cache), concurrency=2) as session:
    with open_checkpoint("hf://org/model", session=session) as checkpoint:
        print("opened", flush=True)
        for start in range(0, 19200, 64):
            for k in range(4):
                checkpoint.read(f"layers.{k}.w", start, 8)
        print("done", flush=True)
"""


def test_a_run_that_was_killed_goes_on_where_it_stopped(hub: Hub, session: Make, tmp_path: Path) -> None:
    hub.storage.latency = 0.01
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    env = clean | {"PYTHONPATH": str(Path(parentage.__file__).parents[1]), "HF_HOME": str(tmp_path / "hf")}
    command = [sys.executable, "-c", CHILD, hub.address, str(tmp_path / "cache")]
    child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "opened\n"
    while len(hub.storage.asked) < 40:
        assert child.poll() is None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    before = hub.storage.asked[:]
    hub.storage.asked.clear()
    hub.storage.latency = 0.0
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["opened", "done"], done.stderr
    ranges = [(a.path, a.range) for a in before]
    again = [(a.path, a.range) for a in hub.storage.asked]
    # What was in flight when it died may be asked for once more, and nothing else.
    assert len(set(ranges) & set(again)) <= 2
    flat = arrays()["layers.1.w"].reshape(-1)
    shared = session(hub_endpoint=hub.address, cache_folder=tmp_path / "cache")
    with open_checkpoint("hf://org/model", session=shared) as checkpoint:
        starts = np.arange(0, 19200, 64)
        got = np.stack([checkpoint.read("layers.1.w", int(s), 8) for s in starts])
    assert np.array_equal(got, flat.view(np.uint32).reshape(-1, 64)[:, :8])
