"""The full pass on a Ray cluster of several nodes that die on the way, one or all: the same evidence."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parentage.engines.ray_cluster import RayEngine
from parentage.errors import ReadError
from parentage.evidence.full import full_pass
from tests.evidence.test_full_pass import FIRST, SAMPLE, World, write
from tests.evidence.test_resume import SLICE, SLICES, saved

ray: Any = pytest.importorskip("ray")
pytestmark = pytest.mark.slow
STORE = 80 * 2**20
NODES = 2


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without processors, to which this process is connected, and nodes of one processor each."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    found = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False},
    )
    try:
        for _ in range(NODES):
            found.add_node(num_cpus=1, object_store_memory=STORE)
        ray.init(address=found.address, log_to_driver=False, logging_level="ERROR")
        yield found
    finally:
        ray.shutdown()
        found.shutdown()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(full_pass, "SLICE", SLICE)
    found = World(tmp_path)
    found.change(FIRST, slice(None, None, 7))
    return found


def test_a_node_that_dies_in_the_middle_moves_no_byte_of_the_evidence(cluster: Any, world: World) -> None:
    engine = RayEngine()
    died: list[int] = []

    def kill_once(stage: str, done: int, total: int) -> None:
        if sum(engine.processes.values()) >= 30 and not died:
            died.append(len(engine.processes))
            # As a machine dies: nothing on it is asked to end.
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    progress = world.folder / "progress"
    found = saved(world, engine=engine, resume=progress, progress=kill_once)
    # What the dead node was at was counted by others.
    assert died
    assert engine.retried >= 1
    assert sum(engine.processes.values()) == SLICES
    assert progress.read_bytes().count(b"\n") - 1 == SLICES
    assert found == saved(world)


def test_when_all_nodes_die_one_error_says_so_and_a_second_run_ends_in_the_same_evidence(
    cluster: Any, world: World
) -> None:
    engine, progress = RayEngine(), world.folder / "progress"
    killed: list[int] = []

    def kill_all(stage: str, done: int, total: int) -> None:
        if sum(engine.processes.values()) >= 30 and not killed:
            killed.append(len(cluster.worker_nodes))
            for node in list(cluster.worker_nodes):
                cluster.remove_node(node, allow_graceful=False)

    with pytest.raises(ReadError) as raised:
        saved(world, engine=engine, resume=progress, progress=kill_all)
    assert killed == [NODES]
    assert raised.value.code == "engine-cluster-lost"
    before = progress.read_bytes()
    done = before.count(b"\n") - 1
    assert 30 <= done < SLICES
    cluster.add_node(num_cpus=1, object_store_memory=STORE)
    again = RayEngine()
    found = saved(world, engine=again, resume=progress)
    assert progress.read_bytes().startswith(before)
    assert sum(again.processes.values()) == SLICES - done
    assert found == saved(world)


# A process of its own that takes its time: what it does when the head dies must not depend on its end.
PROGRAM = """
import time
from parentage.evidence.full import full_pass
from parentage.evidence.full import progress as pass_progress
full_pass.SLICE = {slice}
add = pass_progress.PassProgress.add
def slowly(self, task, counts):
    add(self, task, counts)
    time.sleep(0.8)
pass_progress.PassProgress.add = slowly
from parentage.cli.main import main
main()
"""


def test_when_the_head_dies_one_error_says_so_and_a_second_run_ends_in_the_same_evidence(
    cluster: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress, parents = world.folder / "progress", [w for p in world.parents for w in ("-p", str(p))]
    suspect = write(world.folder, "suspect", world.merge, world.out)
    address = cluster.address
    options = ["--full", "--sample", str(SAMPLE), "--no-digests", "--resume", str(progress)]
    command = ["audit", str(suspect), *parents, *options, "--engine", "ray", "--address", address]
    program = [sys.executable, "-c", PROGRAM.format(slice=SLICE), *command]
    # This process is no longer of the cluster: Ray would end it with the head.
    ray.shutdown()
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and (not progress.exists() or progress.read_bytes().count(b"\n") < 30):
            time.sleep(0.2)
        cluster.remove_node(cluster.head_node, allow_graceful=False)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 4, said
    assert "error[engine-cluster-lost]: the head of the Ray cluster has not answered for" in said
    before = progress.read_bytes()
    done = before.count(b"\n") - 1
    assert 29 <= done < SLICES
    # What the cluster left behind (its address in a file and in the environment) misleads nobody.
    monkeypatch.setenv("RAY_ADDRESS", address)
    again = RayEngine(workers=2)
    found = saved(world, engine=again, resume=progress)
    assert progress.read_bytes().startswith(before)
    assert sum(again.processes.values()) == SLICES - done
    assert found == saved(world)


def test_a_cluster_without_processors_is_refused_at_once(world: World) -> None:
    ray.init(num_cpus=0, object_store_memory=STORE, include_dashboard=False, log_to_driver=False)
    try:
        with pytest.raises(ReadError) as raised:
            saved(world, engine=RayEngine())
    finally:
        ray.shutdown()
    assert raised.value.code == "engine-cluster-lost"
