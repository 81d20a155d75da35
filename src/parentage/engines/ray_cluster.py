"""Tasks on a Ray cluster, or on a local one that is started for them (extra ``ray``).

Ray runs a task somewhere and says when its worker died; which machine, how many at a time, and what is
tried again is decided here. A task is pure, so that one that ran twice is as good as one that ran once.
"""

from __future__ import annotations

import importlib
import os
import socket
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from parentage.engines.engine import Work, Worker
from parentage.engines.placement import Placement
from parentage.engines.ray_head import Head
from parentage.errors import ParentageError, ReadError, UsageError

__all__ = ["RayEngine"]

T = TypeVar("T")
R = TypeVar("R")

# A worker that died was killed by a lack of memory, a person or a lost machine: not by chance four times.
TRIES = 4
# Tasks under way for each processor: one runs, one waits there already (a task costs .7 ms on its way).
AHEAD = 2
# The smallest store that Ray takes: results are some hundred bytes.
STORE = 80 * 2**20


class RayEngine:
    """See :class:`parentage.engines.engine.Engine`.

    ``address``: of a cluster that runs (``auto``, ``host:port``, ``ray://host:port``); None starts one on
    this machine, with ``workers`` processes (0: one a core), and stops it again. ``workers`` bounds what
    runs at once on a cluster too. ``processes`` counts results by (host, process), ``retried`` tasks that
    were done again.
    """

    id = "ray"
    remote = True

    def __init__(self, address: str | None = None, workers: int = 0) -> None:
        self.address, self.workers = address, workers
        self.processes: Counter[tuple[str, int]] = Counter()
        self.retried = 0

    def run(self, work: Work[T, R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
        """As many tasks are under way as the cluster has processors, and as many again wait there."""
        ray = _ray()
        started = not ray.is_initialized()
        if started:
            self._connect(ray)
        head = Head.of(ray)
        try:
            yield from _Run(ray, self, work, list(tasks), head).results()
        finally:
            if started and not head.lost:
                ray.shutdown()

    def _connect(self, ray: Any) -> None:
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        # A cluster that runs here, or ran and left its traces, is not the one that was asked for.
        own = {"address": "local", "include_dashboard": False, "object_store_memory": STORE}
        # Nothing is reported to anybody.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            if self.address is None:
                cores = self.workers or len(os.sched_getaffinity(0))
                ray.init(num_cpus=cores, **own, **quiet)
            else:
                ray.init(address=self.address, **quiet)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise ReadError(
                f"no Ray cluster can be reached: {str(error).splitlines()[0] if str(error) else error!r}",
                code="engine-unreachable",
                where=self.address or "this machine",
                hint="check --address and that `ray status` works there",
            ) from None


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise UsageError(
            "the engine ray needs the package ray",
            code="usage-engine",
            hint='pip install "parentage[ray]", on every machine of the cluster',
        ) from None


@dataclass(frozen=True, slots=True)
class _Done:
    host: str
    process: int
    value: Any


@dataclass(frozen=True, slots=True)
class _Failed:
    error: ParentageError


# One worker a process, of the run that it belongs to.
_open: dict[str, Worker[Any, Any]] = {}


def _do(run: str, work: Work[Any, Any], task: Any) -> _Done | _Failed:
    """In a process of the cluster: one task, with the files that the process has open."""
    try:
        if run not in _open:
            _open.clear()
            _open[run] = work.open()
        return _Done(socket.gethostname(), os.getpid(), _open[run].do(task))
    except ParentageError as error:
        return _Failed(error)


def _holds(work: Work[Any, Any], places: tuple[str, ...]) -> tuple[bool, ...]:
    return work.holds(places)


class _Run(Generic[T, R]):
    """One run: what is under way, and where."""

    def __init__(self, ray: Any, engine: RayEngine, work: Work[T, R], tasks: list[T], head: Head) -> None:
        self._ray, self._engine, self._work, self._tasks = ray, engine, work, tasks
        self._id, self._sent = uuid.uuid4().hex, ray.put(work)
        self._function = ray.remote(num_cpus=1, max_retries=0)(_do)
        self._slots = {n: AHEAD * c for n, c in self._processors().items()}
        if engine.address is not None and engine.workers:
            self._most = engine.workers
        else:
            self._most = sum(self._slots.values())
        self._busy: dict[Any, tuple[str, int]] = {}
        self._tries: Counter[int] = Counter()
        self._head = head

    def _processors(self) -> dict[str, int]:
        alive = [n for n in self._ray.nodes() if n["Alive"]]
        found = {n["NodeID"]: int(n["Resources"].get("CPU", 0)) for n in alive}
        return {node: count for node, count in sorted(found.items()) if count > 0}

    def _on(self, node: str) -> Any:
        from_ray = importlib.import_module("ray.util.scheduling_strategies")
        return from_ray.NodeAffinitySchedulingStrategy(node_id=node, soft=False)

    def results(self) -> Iterator[tuple[T, R]]:
        if not self._tasks:
            return
        placement = self._placed()
        try:
            self._submit(placement)
            while self._busy:
                ready, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=self._head.period)
                self._head.check()
                if not ready:
                    continue
                node, index = self._busy.pop(ready[0])
                found = self._result(ready[0], placement, node, index)
                if found is not None:
                    self._engine.processes[found.host, found.process] += 1
                    yield self._tasks[index], found.value
                self._submit(placement)
        finally:
            # Without its head the cluster answers to nothing, and asking it takes a minute.
            for reference in [] if self._head.lost else self._busy:
                self._ray.cancel(reference, force=True)

    def _placed(self) -> Placement[int]:
        places = [self._work.place(task) for task in self._tasks]
        distinct = tuple(dict.fromkeys(places))
        probe = self._ray.remote(num_cpus=1, max_retries=TRIES)(_holds)
        asked = {
            node: probe.options(scheduling_strategy=self._on(node)).remote(self._sent, distinct)
            for node in self._slots
        }
        held = self._answers(asked)
        holders = {
            place: tuple(node for node, found in held.items() if found[k])
            for k, place in enumerate(distinct)
        }
        try:
            return Placement(range(len(places)), places.__getitem__, holders, self._slots)
        except LookupError as error:
            raise _not_held(error) from None

    def _answers(self, asked: dict[str, Any]) -> dict[str, tuple[bool, ...]]:
        """What machines said; one that died over it is none of the run's."""
        errors, found = importlib.import_module("ray.exceptions"), dict[str, tuple[bool, ...]]()
        how = "it has no processors"
        for node, reference in asked.items():
            try:
                found[node] = self._ray.get(reference)
            except errors.RayTaskError:
                raise
            except errors.RayError as error:
                how = type(error).__name__
        if not found:
            raise _all_died(len(asked), how)
        self._slots = {node: self._slots[node] for node in found}
        return found

    def _submit(self, placement: Placement[int]) -> None:
        under_way = Counter(node for node, _ in self._busy.values())
        for node in placement.nodes:
            while under_way[node] < self._slots[node] and len(self._busy) < self._most:
                index = placement.next(node)
                if index is None:
                    break
                under_way[node] += 1
                function = self._function.options(scheduling_strategy=self._on(node))
                reference = function.remote(self._id, self._sent, self._tasks[index])
                self._busy[reference] = (node, index)

    def _result(self, reference: Any, placement: Placement[int], node: str, index: int) -> _Done | None:
        """What a task gave; None when its worker died and it will be done again."""
        errors = importlib.import_module("ray.exceptions")
        try:
            found: _Done | _Failed = self._ray.get(reference)
        except errors.RayTaskError:
            raise
        except errors.RayError as error:
            self._again(placement, node, index, type(error).__name__)
            return None
        if isinstance(found, _Failed):
            raise found.error
        return found

    def _again(self, placement: Placement[int], node: str, index: int, how: str) -> None:
        self._engine.retried += 1
        alive = self._processors()
        gone = [n for n in placement.nodes if n not in alive]
        if len(gone) == len(placement.nodes):
            raise _all_died(len(self._slots), how)
        if node in alive:
            self._count(index, how)
        try:
            for lost in gone:
                placement.lose(lost)
            placement.again(index)
        except LookupError as error:
            raise _not_held(error) from None

    def _count(self, index: int, how: str) -> None:
        """A worker died and its machine did not: maybe of the task. Machines that die are counted by their
        number."""
        self._tries[index] += 1
        if self._tries[index] >= TRIES:
            raise ReadError(
                f"workers died {TRIES} times over one task ({how})",
                code="engine-worker-died",
                where=self._work.place(self._tasks[index]).replace("\n", ", "),
                hint="look into the memory and the logs of that machine; --resume keeps what is done",
            )


def _all_died(machines: int, how: str) -> ReadError:
    return ReadError(
        f"of the cluster's {machines} machines that can work none is left ({how})",
        code="engine-cluster-lost",
        where="the Ray cluster",
        hint="start the cluster again and run the same command: --resume goes on from what is done",
    )


def _not_held(error: LookupError) -> ReadError:
    return ReadError(
        "no machine of the cluster has the files of a task",
        code="engine-not-held",
        where=str(error.args[0]).replace("\n", ", "),
        hint="give each machine some of the weight files, of all models, at the paths that they have here",
    )
