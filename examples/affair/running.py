"""Steps are run each after what it needs, several at a time; a run that was stopped goes on."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from examples.affair.steps import Done, Failed, Step, digest_of, key_of, shown, words_of

__all__ = ["run"]

IN_USE = "in-use"
# Sums in another number of threads end in other bits, and two steps on two cores have one each.
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
FIXED = {"PYTHONHASHSEED": "0"}


def run(steps: Sequence[Step], work: Path, wanted: Sequence[str] = (), jobs: int = 1) -> list[Done]:
    """All steps, or the wanted ones and what they need, ``jobs`` at a time; raises :class:`Failed`.

    A step that was finished with the same key is not run again; one that was killed is begun again in its
    folder, where commands that can resume do. Whoever stops this stops its commands too.
    """
    work.mkdir(parents=True, exist_ok=True)
    with _alone(work) as held:
        return _Runner(_chosen(steps, wanted), work, held).all(jobs)


@contextmanager
def _alone(work: Path) -> Iterator[int]:
    """One run at a time in a folder. Commands inherit the lock: one that outlives a killed run holds it."""
    with (work / IN_USE).open("wb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(
                f"{work} is in use, by another run or by a command that a killed one left"
            ) from None
        yield stream.fileno()


def _chosen(steps: Sequence[Step], wanted: Sequence[str]) -> list[Step]:
    by_name = {s.name: s for s in steps}
    waiting, found = list(wanted or by_name), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in by_name:
            raise Failed(f"there is no step {name}; there are {', '.join(by_name)}")
        if name not in found:
            found.add(name)
            waiting += by_name[name].needs
    return [s for s in steps if s.name in found]


class _Runner:
    """``held``: the lock's descriptor, for commands to inherit."""

    def __init__(self, chosen: Sequence[Step], work: Path, held: int) -> None:
        self._chosen, self._work, self._held = chosen, work, held
        self._made: dict[str, Done] = {}
        self._started: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.Lock()
        self._ended = False

    def all(self, jobs: int) -> list[Done]:
        """In the order of the steps."""
        waiting, running = list(self._chosen), dict[Future[Done], Step]()
        with ThreadPoolExecutor(jobs) as pool:
            try:
                while waiting or running:
                    for step in self._ready(waiting)[: jobs - len(running)]:
                        waiting.remove(step)
                        running[pool.submit(self._one, step)] = step
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        self._made[running.pop(future).name] = future.result()
            except BaseException as error:
                # What fails leaves its neighbours to end by themselves; what stops us stops them.
                self._stop(at_once=not isinstance(error, Failed))
                raise
        return [self._made[s.name] for s in self._chosen]

    def _ready(self, waiting: Sequence[Step]) -> list[Step]:
        return [s for s in waiting if set(s.needs) <= self._made.keys()]

    def _stop(self, *, at_once: bool) -> None:
        with self._guard:
            self._ended = True
            for process in self._started if at_once else ():
                process.terminate()

    def _one(self, step: Step) -> Done:
        key = key_of(step, self._made)
        place = self._chosen.index(step) + 1
        print(f"[{place}/{len(self._chosen)}] {step.name}: {step.about}", flush=True)
        return self._kept(step, key) or self._make(step, key)

    def _kept(self, step: Step, key: str) -> Done | None:
        record = self._work / f"{step.name}.done.json"
        if not record.is_file():
            return None
        done = Done(**json.loads(record.read_text("utf-8")))
        # A folder that was changed by hand is no outcome of the command.
        if done.key != key or digest_of(self._work / step.name) != done.outcome:
            return None
        print(f"    {step.name} is kept from before ({_cost(done)})", flush=True)
        return done

    def _make(self, step: Step, key: str) -> Done:
        out, begun = self._work / step.name, self._work / f"{step.name}.begun"
        if not (begun.is_file() and begun.read_text("utf-8") == key):
            # `parentage train` keeps what it can go on from beside its output, and refuses another run's.
            for left in (out, out.with_name(f"{step.name}.partial")):
                shutil.rmtree(left, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        begun.write_text(key, encoding="utf-8")
        command = shown(step)
        print(f"    $ {command}", flush=True)
        seconds, peak, cpu = self._ran(step)
        done = Done(step.name, command, key, digest_of(out), round(seconds, 1), peak, round(cpu, 1))
        record = self._work / f"{step.name}.done.json"
        record.write_text(json.dumps(asdict(done), indent=1) + "\n", encoding="utf-8")
        begun.unlink()
        print(f"    {step.name}: {_cost(done)}", flush=True)
        return done

    def _ran(self, step: Step) -> tuple[float, int, float]:
        """Seconds, the most memory in MiB, processor seconds; what was printed lies beside."""
        words, log = words_of(step, self._work), self._work / f"{step.name}.txt"
        began = time.monotonic()
        with log.open("wb") as stream:
            process = self._start(words, stream.fileno())
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = code = os.waitstatus_to_exitcode(status)
        with self._guard:
            self._started.discard(process)
        if code != 0:
            tail = log.read_text("utf-8", errors="replace")[-2000:]
            raise Failed(f"{shlex.join(words)}\nended with {code}; {log} holds what it printed:\n{tail}")
        return time.monotonic() - began, usage.ru_maxrss // 1024, usage.ru_utime + usage.ru_stime

    def _start(self, words: Sequence[str], out: int) -> subprocess.Popen[bytes]:
        with self._guard:
            if self._ended:
                raise Failed("the run was stopped")
            process = subprocess.Popen(
                words, stdout=out, env=THREADS | os.environ | FIXED, pass_fds=(self._held,)
            )
            self._started.add(process)
        return process


def _cost(done: Done) -> str:
    return f"{done.seconds:.0f} s, {done.cpu:.0f} s of processor, {done.peak_mb} MiB"
