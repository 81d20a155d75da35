"""A worker of the full pass: reads a slice chunk by chunk into one buffer and counts.

Integers are counted and nothing else, so no chunk moves a number, and memory depends on the chunk alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.checkpoint import Checkpoint, stored_runs
from parentage.checkpoints.direct_files import ALIGNED, DirectBlock, DirectReader, in_memory
from parentage.checkpoints.pinned import PinnedCheckpoint
from parentage.engines.devices import CPU
from parentage.evidence.blends.mixtures import cast_operand
from parentage.evidence.full.tasks import SliceTask
from parentage.evidence.full.under_way import Part, Slice, UnderWay
from parentage.evidence.replaying.replays import prepare, replay_tensor
from parentage.evidence.sampling.reading import ModelSlice, TensorSample
from parentage.methods.linear_device import DeviceStream
from parentage.numerics.storage.formats import to_float64
from parentage.numerics.streaming import replay_kernels as places
from parentage.records.dtypes import DType

__all__ = ["CHUNK", "Counts", "PassWork", "PinnedPassWork", "SliceCounter", "chunk_elements"]

Raw = NDArray[np.uint8]
Counts = tuple[int, ...]
"""A slice's counts, by the places of ``numerics.streaming.replay_kernels``."""

# 512 KB of bfloat16 a model: a read of that size runs at the page cache's speed
# (benchmarks/full_throughput.py --chunk).
CHUNK = 2**18
# Chunks that numpy counts (8-bit formats, float64) need some thirty float64 arrays each.
PLAIN_CHUNK = 2**15
# What all buffers together may take; many workers on many float32 parents get smaller chunks.
BUFFERS = 128 * 2**20
# Whole blocks of every block format, so that none is decoded twice; rows stay aligned.
GRAIN = 256
# Elements that compiled code reads and counts at a time: of three bfloat16 models 384 KB, which stay in the
# second-level cache.
PIECE = 2**16
# Elements of a part of a slice, between which workers announce: 2 MiB of bfloat16 a model.
PART = 2**20
# Parts that are announced before they are read: from a cold disk one worker got .25 GB/s with nothing
# announced, .4 with 3 MB, .55 with 12 to 48 MB (median of three, on a machine under load).
AHEAD = 4
# Bytes of a part of a file that is read past the page cache, less a page for where it begins within one, at
# most and at least: a virtual disk gave as much for 2 MiB as for 4, and twice the buffers cost a short pass
# more than they win.
REQUEST = 2**21 - 2**12
LEAST_REQUEST = 2**20 - 2**12
# Parts that are read past the page cache before they are needed, where there is memory for them: one
# worker with 15 parts of 2 MiB of three models, or two of 1 MiB, reached .93 to .95 of a disk's rate
# (docs/log.md); on a machine under load 7 parts did as well.
DEPTH = 15
# Compiled code takes numbers where they lie, if they begin at a whole word of 4 bytes.
WORD = 4
# What all workers may hold of what was read so.
DIRECT = 96 * 2**20


def chunk_elements(wanted: int, workers: int, row: int) -> int:
    """Elements of a chunk such that the buffers of all workers fit; ``row``: bytes of an element in all
    rows."""
    fitting = BUFFERS // (max(1, workers) * row)
    # A chunk that is asked for (by a test, a benchmark) may be smaller than a grain.
    return max(64, min(wanted, fitting // GRAIN * GRAIN) // 64 * 64)


@dataclass(frozen=True, slots=True)
class PassWork:
    """Workers on checkpoints that are open here. ``rows``, ``width``: of the largest buffer that a job
    needs, models and bytes of an element. ``direct``: bytes that a worker may hold of what it reads past
    the page cache; 0: it reads through it."""

    checkpoints: Sequence[Checkpoint]
    chunk: int
    rows: int
    width: int
    device: str = CPU
    direct: int = 0

    def open(self) -> SliceCounter:
        """A worker with a buffer of its own."""
        room = np.empty((self.rows, self.chunk * self.width), np.uint8)
        part = PART if self.chunk >= PIECE else self.chunk
        if not self.direct:
            return SliceCounter(self.checkpoints, self.chunk, room, self.device, part)
        depth = min(DEPTH, max(1, self.direct // (self.rows * LEAST_REQUEST) - 1))
        span = min(REQUEST, self.direct // ((depth + 1) * self.rows) - ALIGNED)
        wanted = span // self.width if self.chunk >= PIECE else part
        part = max(GRAIN, min(wanted, span // self.width) // GRAIN * GRAIN)
        reader = DirectReader(part * self.width, self.rows, depth + 1)
        return SliceCounter(self.checkpoints, self.chunk, room, self.device, part, reader, depth)

    def announce(self, task: SliceTask) -> None:
        """Its first chunks, or all of it where reading takes requests."""
        for model, ref in task.job.models:
            checkpoint = self.checkpoints[model]
            if self.direct and not checkpoint.remote:
                # The system would fetch to its cache what is about to be read past it.
                continue
            # In parts, each of which is fetched only where it does not lie in memory.
            end = task.start + (task.count if checkpoint.remote else min(task.count, AHEAD * PART))
            step = task.count if checkpoint.remote else PART
            for start in range(task.start, end, step):
                checkpoint.announce(ref, start, min(step, end - start))

    def place(self, task: SliceTask) -> str:
        """The suspect's weight file."""
        return _place(task)

    def holds(self, places: tuple[str, ...]) -> tuple[bool, ...]:
        """They are open."""
        return (True,) * len(places)


@dataclass(frozen=True, slots=True)
class PinnedPassWork:
    """Workers that open the checkpoints themselves; plain data, safe to send."""

    pinned: tuple[PinnedCheckpoint, ...]
    chunk: int
    rows: int
    width: int
    direct: int = 0

    def open(self) -> SliceCounter:
        """A worker with files and a buffer of its own."""
        return self._here([p.open() for p in self.pinned]).open()

    def _here(self, opened: Sequence[Checkpoint]) -> PassWork:
        return PassWork(opened, self.chunk, self.rows, self.width, direct=self.direct)

    def announce(self, task: SliceTask) -> None:
        """Nothing is announced to another machine."""

    def place(self, task: SliceTask) -> str:
        """The suspect's weight file and those of the parents."""
        return _place(task)

    def holds(self, places: tuple[str, ...]) -> tuple[bool, ...]:
        """Do the files that a place names lie on this machine?"""
        return tuple(all(self._held(part) for part in place.split("\n")) for place in places)

    def _held(self, part: str) -> bool:
        model, _, shard = part.partition(" ")
        return self.pinned[int(model)].holds(shard)


def _place(task: SliceTask) -> str:
    parts = []
    for model, ref in task.job.models:
        shards = [run.source.shard for run in stored_runs(ref, 0, ref.elements)]
        parts += [f"{model} {shard}" for shard in dict.fromkeys(shards)]
    return "\n".join(parts)


@dataclass(frozen=True, slots=True)
class SliceCounter:
    """Counts slices, one after the other; ``buffer`` [models, bytes of a chunk];
    ``device``: what counts; ``part``: elements between which it looks ahead; ``reader``: past the cache,
    ``depth`` parts ahead."""

    checkpoints: Sequence[Checkpoint]
    chunk: int
    buffer: Raw
    device: str = CPU
    part: int = PART
    reader: DirectReader | None = None
    depth: int = 0

    def do(self, task: SliceTask) -> Counts:
        """The counts of one slice."""
        return next(self.each(iter((task,))))[1]

    def each(self, tasks: Iterator[SliceTask]) -> Iterator[tuple[SliceTask, Counts]]:
        """Slice after slice. What is read past the page cache goes on from one to the next: a worker that
        waited at the end of each for the first bytes of the next lost a fifth of a disk's time."""
        parts, under_way = self._parts(tasks), UnderWay(self.reader)
        while True:
            while len(under_way) <= self.depth and (part := next(parts, None)) is not None:
                under_way.add(part)
            if not under_way:
                return
            part = under_way.take()
            whole = part.of
            whole.total += self._counted(part)
            whole.left -= 1
            if not whole.left:
                yield whole.task, tuple(int(x) for x in whole.total)

    def _parts(self, tasks: Iterator[SliceTask]) -> Iterator[Part]:
        """Each begun when it is taken."""
        for task in tasks:
            end = task.start + task.count
            starts = range(task.start, end, self.part)
            whole = Slice(task, len(starts))
            for start in starts:
                until = min(start + self.part, end)
                yield Part(whole, start, until, self._begin(task, start, until))

    def _counted(self, part: Part) -> NDArray[np.int64]:
        task, (_, start, end, read) = part.of.task, part
        if read is not None:
            return self._directly(task, start, end, read)
        later, last = start + AHEAD * self.part, task.start + task.count
        self._announce(task, later, min(later + self.part, last))
        return self._part(task, start, end)

    def _begin(self, task: SliceTask, start: int, end: int) -> DirectBlock | None:
        """Start reading past the page cache what does not lie in it."""
        files = None if self.reader is None else self._files(task, start, end - start)
        if files is None or self.reader is None:
            return None
        sizes = [(end - start) * ref.dtype.itemsize for _, ref in task.job.models]
        if all(in_memory(*file, size) for file, size in zip(files, sizes, strict=True)):
            return None
        return self.reader.begin(files, sizes)

    def _directly(self, task: SliceTask, start: int, end: int, read: DirectBlock) -> NDArray[np.int64]:
        """Count what was read so; what could not be is read as anything else is."""
        known = [begin for begin in read.begins if begin is not None]
        if len(known) < len(read.begins):
            total = self._part(task, start, end)
        else:
            total = self._lying_there(task, read.rows, known, end - start)
        assert self.reader is not None
        self.reader.end(read)
        return total

    def _lying_there(
        self, task: SliceTask, rows: Raw, begins: Sequence[int], count: int
    ) -> NDArray[np.int64]:
        """Count numbers that lie in ``rows`` from the bytes ``begins`` on."""
        stream = task.job.stream
        assert stream is not None
        if not any(begin % WORD for begin in begins):
            return stream.count(rows, count, begins)
        total, room = np.zeros(places.COUNTS, np.int64), self.buffer[: len(rows)]
        for first in range(0, count, self.chunk):
            here = min(self.chunk, count - first)
            for k, begin in enumerate(begins):
                width = stream.stored[k].itemsize
                room[k, : here * width] = rows[k, begin + first * width :][: here * width]
            total += stream.count(room, here)
        return total

    def _part(self, task: SliceTask, start: int, end: int) -> NDArray[np.int64]:
        """Read and counted in compiled code where files hold the numbers as they are, else by chunks."""
        total = np.zeros(places.COUNTS, np.int64)
        stream, models = task.job.stream, task.job.models
        files = self._files(task, start, end - start)
        if stream is not None and files is not None:
            room = self.buffer[: len(models)]
            total, done = stream.count_files(files, end - start, room, min(PIECE, self.chunk))
            start += done
        # What could not be read so is read again, one chunk after the other: the error is told there.
        step = self.chunk if stream is not None else min(self.chunk, PLAIN_CHUNK)
        for begin in range(start, end, step):
            count = min(step, end - begin)
            self._fill(task, begin, count)
            total += self._count(task, count)
        return total

    def _files(self, task: SliceTask, start: int, count: int) -> list[tuple[int, int]] | None:
        stream, files = task.job.stream, []
        for k, (model, ref) in enumerate(task.job.models):
            found = self.checkpoints[model].descriptor(ref, start, count)
            if self.device != CPU or found is None or stream is None or stream.stored[k] is not ref.dtype:
                return None
            files.append(found)
        return files

    def _announce(self, task: SliceTask, start: int, end: int) -> None:
        if start >= end:
            return
        for model, ref in task.job.models:
            # What is read over a network was announced as a whole.
            if not self.checkpoints[model].remote:
                self.checkpoints[model].announce(ref, start, end - start)

    def _fill(self, task: SliceTask, start: int, count: int) -> None:
        stream = task.job.stream
        for k, (model, ref) in enumerate(task.job.models):
            checkpoint = self.checkpoints[model]
            if stream is None or stream.stored[k] is ref.dtype:
                checkpoint.read_into(ref, start, _numbers(self.buffer[k], ref.dtype, count))
            else:
                # A parent in another format goes in as the float32 numbers that every arithmetic takes.
                values = to_float64(checkpoint.read(ref, start, count), ref.dtype)
                with np.errstate(over="ignore", invalid="ignore"):
                    cast = cast_operand(values, task.job.recipe.cast).astype(np.float32)
                _numbers(self.buffer[k], DType.F32, count)[:] = cast.view(np.uint32)

    def _count(self, task: SliceTask, count: int) -> NDArray[np.int64]:
        stream, models = task.job.stream, task.job.models
        if stream is not None and self.device != CPU:
            return DeviceStream(stream, self.device).count(self.buffer[: len(models)], count)
        if stream is not None:
            return stream.count(self.buffer[: len(models)], count)
        return _count_plainly(task, self.buffer, count)


def _numbers(row: Raw, dtype: DType, count: int) -> NDArray[np.unsignedinteger]:
    return row[: count * dtype.itemsize].view(dtype.storage)


def _count_plainly(task: SliceTask, buffer: Raw, count: int) -> NDArray[np.int64]:
    """By the sampled pass's own functions, for formats that have no compiled count."""
    job, counts = task.job, np.zeros(places.COUNTS, np.int64)
    values = [
        to_float64(_numbers(row, ref.dtype, count), ref.dtype)
        for row, (_, ref) in zip(buffer, job.models, strict=False)
    ]
    found = [ModelSlice(v, ref.dtype, ref.dtype) for v, (_, ref) in zip(values, job.models, strict=True)]
    models: list[ModelSlice | None] = [None] * (1 + max(job.recipe.parents))
    models[0] = replace(found[0], effective=job.effective)
    for index, one in zip(job.recipe.parents, found[1:], strict=True):
        models[index] = one
    rows = np.zeros(count, np.int32)
    sample = TensorSample(job.name, job.role, job.shape, job.elements, False, rows, tuple(models))
    with np.errstate(over="ignore", invalid="ignore"):
        operands = prepare(sample, 0, job.recipe.parents, job.recipe.cast, job.recipe.grid)
        assert operands is not None
        tensor = replay_tensor(job.name, operands, job.recipe)
    counts[: places.OFFSETS] = (
        tensor.examined,
        tensor.matches,
        tensor.informative,
        tensor.informative_matches,
        tensor.beyond_rounding,
    )
    counts[places.OFFSETS :] = tensor.offsets
    return counts
