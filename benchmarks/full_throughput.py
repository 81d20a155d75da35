"""How fast is ``--full``? As a ratio to reading the same files from the page cache in the same run.

    python benchmarks/full_throughput.py [--mib 512] [--rounds 7] [--folder DIR]
    python benchmarks/full_throughput.py --cold [--past] [--mib 512] [--rounds 3]
    python benchmarks/full_throughput.py --engine ray [--workers 2]
    python benchmarks/full_throughput.py --kernels

The three models (one bfloat16 tensor each, the suspect a real blend) are written to a temporary folder.
Reading and replaying take turns, so that other load on the machine meets both; medians are printed, and
the ratios are medians of the pairs' ratios: of wall time, and of processor time, which a loaded machine
does not distort (from the page cache nothing waits). ``--cold``: from the disk; the files are dropped from
the page cache before each turn; the floor is eight reads of 4 MiB at a time past the page cache, into large
pages, and the replay runs through the cache and past it (``--past``: only past it). ``--engine ray``: the
same pass on a local cluster, and what a task costs there. ``--kernels``: the counting alone, on numbers in
memory.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple, Self

import numpy as np

from parentage import api
from parentage.architectures.alignment import align
from parentage.checkpoints.opening import open_checkpoint
from parentage.engines.engine import Engine
from parentage.evidence.blends.mixtures import AS_STORED
from parentage.evidence.full.full_pass import CHUNK, FullPass, replay_every_element
from parentage.evidence.replaying.replays import Recipe
from parentage.methods.linear import ARITHMETICS, arithmetic
from parentage.methods.linear_stream import LinearStream
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.dtypes import DType

NAME = "model.embed_tokens.weight"
WEIGHTS = (0.6, 0.4)
MEBIBYTE = 2**20
LARGE_PAGE = 2 * MEBIBYTE
# Elements that are written at a time.
PIECE = 2**24


def parents(elements: int, dtype: DType, count: int = 2) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    base = rng.standard_normal(elements, np.float32) * np.float32(0.02)
    apart = np.float32(2e-4)
    return [round_to(base + apart * rng.standard_normal(elements, np.float32), dtype) for _ in range(count)]


def blend(rule: str, stored: Sequence[np.ndarray], dtype: DType, weights: Sequence[float]) -> np.ndarray:
    return arithmetic(rule).apply(weights, [to_float32(p, dtype) for p in stored], out_dtype=dtype)


def write_models(folder: Path, mib: int, rule: str, changed: float) -> list[Path]:
    """Piece by piece, each of the same numbers: what is counted does not depend on which they are."""
    stored = parents(PIECE, DType.BF16)
    own = blend(rule, stored, DType.BF16, WEIGHTS)
    if changed:
        own += (np.random.default_rng(1).random(own.size) < changed).astype(own.dtype)
    times = mib * MEBIBYTE // (2 * PIECE)
    paths = [folder / f"{name}.safetensors" for name in ("suspect", "first", "second")]
    for path, bits in zip(paths, (own, *stored), strict=True):
        entry = {"dtype": "BF16", "shape": [times * PIECE // 1024, 1024]}
        text = json.dumps({NAME: {**entry, "data_offsets": [0, 2 * times * PIECE]}}).encode()
        text += b" " * (-len(text) % 8)
        with path.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for _ in range(times):
                file.write(bits.tobytes())
    return paths


class Seconds(NamedTuple):
    """Of the clock on the wall, and of processors."""

    wall: float
    cpu: float


class Clock:
    """Times what is done within."""

    def __enter__(self) -> Self:
        self._begun = Seconds(time.perf_counter(), time.process_time())
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = Seconds(
            time.perf_counter() - self._begun.wall, time.process_time() - self._begun.cpu
        )


class Turns:
    """Reading and replaying the same three files."""

    def __init__(
        self, paths: Sequence[Path], rule: str, stack: ExitStack, chunk: int, changed: float
    ) -> None:
        self.paths = paths
        suspect, *others = (str(p) for p in paths)
        found = api.audit(suspect, parents=others, sample=4096, workers=1, digests=False).evidence
        self.sampled, self.tensors = found.replays[0], found.tensors
        self.models = [stack.enter_context(open_checkpoint(p)) for p in paths]
        self.groups = {g.name: g for g in align(self.models[0], self.models[1:]).groups}
        self.elements, self.chunk = self.models[0].tensors[NAME].elements, chunk
        self.changed = changed
        self.bytes = 2 * self.elements * len(self.models)
        # A small sample cannot tell the planted arithmetic from its like.
        self.recipe = Recipe((1, 2), WEIGHTS, arithmetic(rule), AS_STORED)

    def read(self, workers: int) -> Seconds:
        """Read all, each worker into one buffer that it uses again."""
        rooms = np.empty((workers, len(self.models), self.chunk), np.uint16)
        items = range(0, self.elements, self.chunk)

        def part(worker: int) -> None:
            for start in items[worker::workers]:
                for row, model in zip(rooms[worker], self.models, strict=True):
                    model.read_into(NAME, start, row[: min(self.chunk, self.elements - start)])

        with Clock() as clock, ThreadPoolExecutor(workers) as pool:
            list(pool.map(part, range(workers)))
        return clock.seconds

    def drop(self) -> None:
        """Let the system forget what it holds of the files."""
        for path in self.paths:
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def read_past(self, in_flight: int = 8, size: int = 4 * MEBIBYTE) -> Seconds:
        """Read all past the page cache into large pages, in order, so many at a time: the floor."""
        places = [(path, k) for k in range(0, self.bytes // len(self.paths), size) for path in self.paths]
        numbers = {path: os.open(path, os.O_RDONLY | os.O_DIRECT) for path in self.paths}

        def part(worker: int) -> None:
            room = mmap.mmap(-1, size + LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            room.madvise(mmap.MADV_HUGEPAGE)
            begin = -np.frombuffer(room, np.uint8).ctypes.data % LARGE_PAGE
            view = memoryview(room)[begin : begin + size]
            for path, offset in places[worker::in_flight]:
                os.preadv(numbers[path], [view], offset)

        with Clock() as clock, ThreadPoolExecutor(in_flight) as pool:
            list(pool.map(part, range(in_flight)))
        for number in numbers.values():
            os.close(number)
        return clock.seconds

    def read_on(self, _: int) -> Seconds:
        """Read each file from its first byte to its last, all of them at once."""

        def whole(path: Path) -> None:
            room = bytearray(4 * MEBIBYTE)
            with path.open("rb", buffering=0) as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
                while file.readinto(room):
                    pass

        with Clock() as clock, ThreadPoolExecutor(len(self.paths)) as pool:
            list(pool.map(whole, self.paths))
        return clock.seconds

    def replay(self, workers: int, engine: Engine | None = None, *, direct: bool | None = None) -> Seconds:
        """Replay all; ``direct``: past the page cache."""
        plan = FullPass(
            self.groups,
            self.models,
            workers,
            lambda stage, done, total: None,
            self.chunk,
            engine,
            direct=direct,
        )
        with Clock() as clock:
            found = replay_every_element(self.sampled, {NAME: self.recipe}, self.tensors, plan)
        assert found.examined == self.elements
        assert self.changed or found.matches == self.elements
        return clock.seconds


def table(folder: Path, mib: int, rounds: int, chunk: int) -> Iterator[str]:
    yield "arithmetic       changed  workers  read GB/s  replay GB/s  ratio  ratio of processor time"
    for rule, changed in (
        ("fp32-fma", 0.0),
        ("mergekit-0.1.4", 0.0),
        ("fp32-fma", 0.01),
        ("fp32-fma", 0.5),
    ):
        paths = write_models(folder, mib, rule, changed)
        with ExitStack() as stack:
            turns = Turns(paths, rule, stack, chunk, changed)
            for workers in (1, 2):
                turns.read(workers)
                turns.replay(workers)
                pairs = [(turns.read(workers), turns.replay(workers)) for _ in range(rounds)]
                reading, replaying = (
                    turns.bytes / median(s.wall for s in side) / 1e9 for side in zip(*pairs, strict=True)
                )
                wall = median(read.wall / replay.wall for read, replay in pairs)
                cpu = median(read.cpu / replay.cpu for read, replay in pairs)
                yield (
                    f"{turns.recipe.arithmetic.id:16s} {changed:7.2f} {workers:8d} {reading:10.1f}"
                    f" {replaying:12.1f} {wall:6.2f} {cpu:24.2f}"
                )


def cold(folder: Path, mib: int, rounds: int, chunk: int, past: bool) -> Iterator[str]:
    """From the disk; in each round all four ways take turns."""
    yield "workers  way                            GB/s  of the floor  processor s a GB"
    paths = write_models(folder, mib, "fp32-fma", 0.0)
    with ExitStack() as stack:
        turns = Turns(paths, "fp32-fma", stack, chunk, 0.0)
        turns.replay(1)
        for workers in (1, 2):
            ways: dict[str, Callable[[], Seconds]] = {
                "floor: reading past the cache": turns.read_past,
                "reading through the cache": partial(turns.read_on, workers),
                "replay through the cache": partial(turns.replay, workers, direct=False),
                "replay past the cache": partial(turns.replay, workers, direct=True),
            }
            if past:
                ways = {name: way for name, way in ways.items() if "past" in name}
            found: dict[str, list[Seconds]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, way in ways.items():
                    turns.drop()
                    found[name].append(way())
            floor = found["floor: reading past the cache"]
            for name, taken in found.items():
                rate = turns.bytes / median(s.wall for s in taken) / 1e9
                ratio = median(f.wall / s.wall for f, s in zip(floor, taken, strict=True))
                cpu = median(s.cpu for s in taken) / turns.bytes * 1e9
                yield f"{workers:7d}  {name:29s} {rate:5.2f} {ratio:13.2f} {cpu:17.2f}"


def cluster(folder: Path, mib: int, rounds: int, chunk: int, workers: int) -> Iterator[str]:
    """On a local Ray cluster, started once."""
    import ray

    from parentage.engines.ray_cluster import RayEngine

    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    engine = RayEngine()
    list(engine.run(Nothing(), range(100)))
    with Clock() as clock:
        list(engine.run(Nothing(), range(2000)))
    yield f"a task that does nothing: {clock.seconds.wall / 2000 * 1e3:.2f} ms"
    paths = write_models(folder, mib, "fp32-fma", 0.0)
    with ExitStack() as stack:
        turns = Turns(paths, "fp32-fma", stack, chunk, 0.0)
        turns.replay(workers, engine)
        pairs = [(turns.replay(workers), turns.replay(workers, engine)) for _ in range(rounds)]
        threads, tasks = (
            turns.bytes / median(s.wall for s in side) / 1e9 for side in zip(*pairs, strict=True)
        )
        yield f"{workers} workers: threads {threads:.2f} GB/s, tasks {tasks:.2f} GB/s"


@dataclass(frozen=True)
class Nothing:
    """Work that is none."""

    def open(self) -> Self:
        return self

    def announce(self, task: int) -> None:
        pass

    def place(self, task: int) -> str:
        return ""

    def holds(self, places: tuple[str, ...]) -> tuple[bool, ...]:
        return (True,) * len(places)

    def do(self, task: int) -> int:
        return task


def kernels() -> Iterator[str]:
    """GB of operands a second of one thread's time, suspect included; 256k elements at a time."""
    elements = 2**18
    yield "arithmetic        BF16, two parents   three   F16, two   F32, two   1 % changed, BF16"
    columns = ((DType.BF16, 2, 0.0), (DType.BF16, 3, 0.0), (DType.F16, 2, 0.0), (DType.F32, 2, 0.0))
    for rule in ARITHMETICS:
        cells = [
            None if rule.two_only and count > 2 else kernel(rule.id, dtype, count, changed, elements)
            for dtype, count, changed in (*columns, (DType.BF16, 2, 0.01))
        ]
        shown = ["–" if c is None else f"{c:.1f}" for c in cells]
        widths = (19, 7, 10, 10, 19)
        yield f"{rule.id:16s}" + "".join(
            f" {text:>{width}s}" for text, width in zip(shown, widths, strict=True)
        )


def kernel(rule: str, dtype: DType, count: int, changed: float, elements: int) -> float:
    weights = (0.6, 0.4) if count == 2 else (0.5, 0.3, 0.2)
    stored = parents(elements, dtype, count)
    own = blend(rule, stored, dtype, weights)
    own += (np.random.default_rng(1).random(own.size) < changed).astype(own.dtype)
    raw = np.stack([own, *stored]).view(np.uint8)
    stream = LinearStream(arithmetic(rule), weights, (dtype,) * (count + 1), dtype)
    stream.count(raw, elements)
    taken = []
    for _ in range(9):
        # The thread's own time: a machine that others use too gives no other steady number.
        began = time.thread_time()
        for _ in range(10):
            stream.count(raw, elements)
        taken.append((time.thread_time() - began) / 10)
    return raw.nbytes / median(taken) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mib", type=int, default=512, help="size of each model")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--chunk", type=int, default=CHUNK, help="elements")
    parser.add_argument("--folder", type=Path, default=None, help="where the models are written")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument(
        "--past", action="store_true", help="with --cold: leave out what goes through the cache"
    )
    parser.add_argument("--engine", choices=("threads", "ray"), default="threads")
    parser.add_argument("--workers", type=int, default=2, help="of --engine ray")
    parser.add_argument("--kernels", action="store_true")
    chosen = parser.parse_args()
    if chosen.kernels:
        for line in kernels():
            print(line)
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        where = (Path(folder), chosen.mib, chosen.rounds, chosen.chunk)
        if chosen.engine == "ray":
            lines = cluster(*where, chosen.workers)
        else:
            lines = cold(*where, chosen.past) if chosen.cold else table(*where)
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    main()
