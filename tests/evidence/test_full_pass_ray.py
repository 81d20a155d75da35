"""The full pass on a real local Ray cluster: the same evidence as threads give, byte for byte."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from parentage.engines.ray_cluster import RayEngine
from parentage.errors import ReadError
from parentage.evidence.full import full_pass
from parentage.evidence.replaying import search as replay_search
from tests.evidence.test_full_pass import FIRST, World
from tests.evidence.test_resume import SLICE, SLICES, interrupt, saved

ray: Any = pytest.importorskip("ray")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    options = {"log_to_driver": False, "logging_level": "ERROR", "include_dashboard": False}
    ray.init(num_cpus=2, object_store_memory=80 * 2**20, **options)
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_pass, "SLICE", SLICE)


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.change(FIRST, slice(None, None, 7))
    return found


def test_a_worker_that_is_killed_in_the_middle_moves_no_byte_of_the_evidence(world: World) -> None:
    engine = RayEngine()
    killed: set[int] = set()

    def kill_once(stage: str, done: int, total: int) -> None:
        if sum(engine.processes.values()) >= 30 and not killed:
            for _, process in list(engine.processes):
                killed.add(process)
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    progress = world.folder / "progress"
    found = saved(world, engine=engine, resume=progress, progress=kill_once)
    assert killed
    assert engine.retried >= 1
    # Others went on, and each slice was counted once.
    assert {process for _, process in engine.processes} - killed
    assert sum(engine.processes.values()) == SLICES
    assert progress.read_bytes().count(b"\n") - 1 == SLICES
    assert found == saved(world)


@pytest.mark.slow
def test_a_cluster_goes_on_where_threads_were_killed(world: World) -> None:
    progress = world.folder / "progress"
    assert interrupt(world, progress, 100, signal.SIGKILL) == -signal.SIGKILL
    done = progress.read_bytes().count(b"\n") - 1
    engine = RayEngine()
    found = saved(world, engine=engine, resume=progress)
    assert sum(engine.processes.values()) == SLICES - done
    assert found == saved(world)


def test_a_file_cut_short_meanwhile_ends_the_pass_with_one_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = full_pass.replay_every_element

    def cut_first(*arguments: Any) -> Any:
        with world.parents[1].open("r+b") as stream:
            stream.truncate(world.parents[1].stat().st_size - 60_000)
        return replay(*arguments)

    monkeypatch.setattr(replay_search, "replay_every_element", cut_first)
    with pytest.raises(ReadError) as raised:
        saved(world, engine=RayEngine())
    assert raised.value.code == "pinned-changed"
