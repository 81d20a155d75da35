"""A real local Ray cluster of several worker processes: the same results, whoever dies on the way."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from parentage.engines.ray_cluster import TRIES, RayEngine
from parentage.errors import ReadError

ray: Any = pytest.importorskip("ray")
WORKERS = 3


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Started once; an engine uses a Ray that runs already."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    options = {"log_to_driver": False, "logging_level": "ERROR", "include_dashboard": False}
    ray.init(num_cpus=WORKERS, object_store_memory=80 * 2**20, **options)
    yield
    ray.shutdown()


@dataclass(frozen=True)
class Squares:
    """Squares numbers; a number in ``deadly`` kills its process, so often as ``lives`` says.

    Each start of a task leaves a file in ``folder``, for what was tried and when.
    """

    folder: Path
    deadly: frozenset[int] = frozenset()
    lives: int = 1
    refused: frozenset[int] = frozenset()
    held: bool = True

    def open(self) -> Squares:
        return self

    def announce(self, task: int) -> None:
        """Nothing."""

    def place(self, task: int) -> str:
        return f"file {task % 3}"

    def holds(self, places: tuple[str, ...]) -> tuple[bool, ...]:
        return (self.held,) * len(places)

    def do(self, task: int) -> int:
        tried = len(list(self.folder.glob(f"{task}-*")))
        (self.folder / f"{task}-{tried}").touch()
        if task in self.deadly and tried < self.lives:
            os.kill(os.getpid(), signal.SIGKILL)
        if task in self.refused:
            raise ReadError("no", code="read-failed", where="here", hint="look")
        return task * task


def test_every_task_is_done_once_by_several_processes(tmp_path: Path) -> None:
    engine = RayEngine()
    found = list(engine.run(Squares(tmp_path), range(200)))
    assert sorted(found) == [(k, k * k) for k in range(200)]
    assert sum(engine.processes.values()) == 200
    assert os.getpid() not in {process for _, process in engine.processes}
    assert engine.retried == 0


def test_what_a_dead_worker_was_at_is_done_again(tmp_path: Path) -> None:
    engine = RayEngine()
    work = Squares(tmp_path, deadly=frozenset({20, 60}), lives=TRIES - 1)
    assert sorted(engine.run(work, range(80))) == [(k, k * k) for k in range(80)]
    assert engine.retried >= 2 * (TRIES - 1)
    assert len(list(tmp_path.glob("20-*"))) == TRIES


def test_a_task_that_kills_each_worker_ends_the_run_and_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReadError) as raised:
        list(RayEngine().run(Squares(tmp_path, deadly=frozenset({4}), lives=99), range(5)))
    assert raised.value.code == "engine-worker-died"
    assert raised.value.where == "file 1"


def test_an_error_in_a_worker_is_raised_here_as_it_was_there(tmp_path: Path) -> None:
    with pytest.raises(ReadError) as raised:
        list(RayEngine().run(Squares(tmp_path, refused=frozenset({7})), range(50)))
    assert (raised.value.code, raised.value.where, raised.value.hint) == ("read-failed", "here", "look")


def test_files_that_no_machine_has_are_named_before_any_task(tmp_path: Path) -> None:
    with pytest.raises(ReadError) as raised:
        list(RayEngine().run(Squares(tmp_path, held=False), range(5)))
    assert raised.value.code == "engine-not-held"
    assert not list(tmp_path.iterdir())


def test_few_tasks_are_under_way_however_slowly_results_are_taken(tmp_path: Path) -> None:
    results = RayEngine().run(Squares(tmp_path), range(400))
    next(results)
    time.sleep(1)
    assert len(list(tmp_path.iterdir())) <= 1 + 2 * WORKERS
    results.close()  # type: ignore[attr-defined]


def test_no_tasks_end_at_once(tmp_path: Path) -> None:
    assert not list(RayEngine().run(Squares(tmp_path), []))
