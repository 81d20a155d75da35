"""The chosen recipe replayed on every element of every tensor, streamed in chunks.

Integers are counted and nothing else, so neither chunks nor threads move a number, and memory depends on
the chunk alone. What a tensor's sample already covered whole is not read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.engines.streaming import stream_unordered
from parentage.evidence.mixtures import AS_STORED, cast_operand
from parentage.evidence.reading import ModelSlice, TensorSample
from parentage.evidence.replays import Recipe, entropy, prepare, replay_tensor
from parentage.methods.linear_stream import LinearStream
from parentage.numerics import replay_kernels as places
from parentage.numerics.formats import to_float64
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.evidence import Replay, ReplayTensor, TensorEvidence
from parentage.records.tensors import TensorRef

__all__ = ["FullPass", "replay_every_element"]

Raw = NDArray[np.uint8]
Counts = NDArray[np.int64]

# 512 KB of bfloat16 a model: a read of that size runs at the page cache's speed, and smaller chunks spend
# their time on passing buffers between threads (benchmarks/full_throughput.py --chunk).
CHUNK = 2**18
# Chunks that numpy counts (8-bit formats, float64) need some thirty float64 arrays each.
PLAIN_CHUNK = 2**15
# What all buffers together may take; many workers on many float32 parents get smaller chunks.
BUFFERS = 128 * 2**20
MEBIBYTE = 2**20
FOUND_BY_ALL = Absent("the sample equals the replay; only reading all elements found some off it")


@dataclass(frozen=True, slots=True)
class FullPass:
    """Where the tensors lie, and how many workers read them; ``chunk`` moves no result."""

    groups: Mapping[str, AlignedTensor]
    checkpoints: Sequence[Checkpoint]
    workers: int
    progress: Callable[[str, int, int], None]
    chunk: int = CHUNK


def replay_every_element(
    sampled: Replay, recipes: Mapping[str, Recipe], tensors: Sequence[TensorEvidence], plan: FullPass
) -> Replay:
    """The same replay with counts over all elements; ``recipes`` by the names of ``sampled.tensors``.

    The entropy of the offsets within +-8 steps is that of all elements; within the open ends the
    sample's stands for it. The suspect's own entropy, the backward match and the fits stay the sample's.
    """
    measured = {t.name: t for t in tensors}
    jobs = {
        t.name: _job(t.name, recipes[t.name], measured[t.name], plan)
        for t in sampled.tensors
        if not measured[t.name].whole
    }
    counted = _count_all(list(jobs.values()), plan)
    found = tuple(_merged(t, counted[t.name]) if t.name in counted else t for t in sampled.tensors)
    return replace(
        sampled,
        examined=sum(t.examined for t in found),
        matches=sum(t.matches for t in found),
        informative=sum(t.informative for t in found),
        informative_matches=sum(t.informative_matches for t in found),
        full=True,
        tensors=found,
    )


@dataclass(frozen=True)
class _Job:
    """One tensor under its recipe: the suspect, then the parents in the recipe's order."""

    group: AlignedTensor
    recipe: Recipe
    effective: DType
    models: tuple[tuple[Checkpoint, TensorRef], ...]

    @property
    def elements(self) -> int:
        return self.group.suspect.elements

    @property
    def element_bytes(self) -> int:
        return sum(ref.dtype.itemsize for _, ref in self.models)

    @cached_property
    def stream(self) -> LinearStream | None:
        """The compiled count; None where the suspect's format has none."""
        own, *parents = (ref.dtype for _, ref in self.models)
        if not LinearStream.supports((own, self.effective)):
            return None
        stored = (own, *(p if LinearStream.supports([p]) else DType.F32 for p in parents))
        cast = None if self.recipe.cast == AS_STORED else DType(self.recipe.cast)
        return LinearStream(self.recipe.arithmetic, self.recipe.weights, stored, self.effective, cast)


def _job(name: str, recipe: Recipe, tensor: TensorEvidence, plan: FullPass) -> _Job:
    group = plan.groups[name]
    models = [(plan.checkpoints[0], group.suspect)]
    for index in recipe.parents:
        ref = group.others[index - 1]
        assert isinstance(ref, TensorRef)
        models.append((plan.checkpoints[index], ref))
    return _Job(group, recipe, DType(tensor.effective_dtypes[0]), tuple(models))


@dataclass(frozen=True, slots=True)
class _Chunk:
    job: _Job
    start: int
    count: int


def _count_all(jobs: Sequence[_Job], plan: FullPass) -> dict[str, Counts]:
    counted = {job.group.name: np.zeros(places.COUNTS, np.int64) for job in jobs}
    if not jobs:
        return counted
    rows = max(len(job.models) for job in jobs)
    widest = max(_width(job) for job in jobs)
    chunk = _chunk(plan, rows * widest)
    total = sum(job.elements * job.element_bytes for job in jobs)
    done = 0
    for item, counts in stream_unordered(
        _chunks(jobs, chunk),
        buffer=lambda: np.empty((rows, chunk * widest), np.uint8),
        announce=_announce,
        fill=_fill,
        work=_count,
        workers=plan.workers,
    ):
        counted[item.job.group.name] += counts
        done += item.count * item.job.element_bytes
        plan.progress("replaying every element (MiB)", done // MEBIBYTE, total // MEBIBYTE)
    return counted


def _width(job: _Job) -> int:
    """Bytes that an element of the widest row takes in a buffer."""
    stored = (ref.dtype for _, ref in job.models) if job.stream is None else job.stream.stored
    return max(d.itemsize for d in stored)


def _chunk(plan: FullPass, row: int) -> int:
    """Elements of a chunk such that all buffers fit; a multiple of 64, so that rows stay aligned."""
    fitting = BUFFERS // (max(1, plan.workers) * row)
    return max(64, min(plan.chunk, fitting) // 64 * 64)


def _chunks(jobs: Sequence[_Job], chunk: int) -> Iterator[_Chunk]:
    for job in jobs:
        size = chunk if job.stream is not None else min(chunk, PLAIN_CHUNK)
        for start in range(0, job.elements, size):
            yield _Chunk(job, start, min(size, job.elements - start))


def _announce(item: _Chunk) -> None:
    for checkpoint, ref in item.job.models:
        checkpoint.announce(ref, item.start, item.count)


def _fill(item: _Chunk, buffer: Raw) -> None:
    stream = item.job.stream
    for k, (checkpoint, ref) in enumerate(item.job.models):
        if stream is None or stream.stored[k] is ref.dtype:
            checkpoint.read_into(ref, item.start, _numbers(buffer[k], ref.dtype, item.count))
        else:
            # A parent in another format goes in as the float32 numbers that every arithmetic takes.
            values = to_float64(checkpoint.read(ref, item.start, item.count), ref.dtype)
            with np.errstate(over="ignore", invalid="ignore"):
                cast = cast_operand(values, item.job.recipe.cast).astype(np.float32)
            _numbers(buffer[k], DType.F32, item.count)[:] = cast.view(np.uint32)


def _numbers(row: Raw, dtype: DType, count: int) -> NDArray[np.unsignedinteger]:
    return row[: count * dtype.itemsize].view(dtype.storage)


def _count(item: _Chunk, buffer: Raw) -> Counts:
    stream, models = item.job.stream, item.job.models
    if stream is not None:
        return stream.count(buffer[: len(models)], item.count)
    return _count_plainly(item, buffer)


def _count_plainly(item: _Chunk, buffer: Raw) -> Counts:
    """By the sampled pass's own functions, for formats that have no compiled count."""
    job, counts = item.job, np.zeros(places.COUNTS, np.int64)
    values = [
        to_float64(_numbers(row, ref.dtype, item.count), ref.dtype)
        for row, (_, ref) in zip(buffer, job.models, strict=False)
    ]
    slices = [ModelSlice(v, ref.dtype, ref.dtype) for v, (_, ref) in zip(values, job.models, strict=True)]
    models: list[ModelSlice | None] = [None] * (1 + max(job.recipe.parents))
    models[0] = replace(slices[0], effective=job.effective)
    for index, found in zip(job.recipe.parents, slices[1:], strict=True):
        models[index] = found
    shape, rows = job.group.suspect.shape, np.zeros(item.count, np.int32)
    sample = TensorSample(
        job.group.name, job.group.role, tuple(shape), job.elements, False, rows, tuple(models)
    )
    with np.errstate(over="ignore", invalid="ignore"):
        operands = prepare(sample, 0, job.recipe.parents, job.recipe.cast)
        assert operands is not None
        tensor = replay_tensor(job.group.name, operands, job.recipe)
    counts[: places.OFFSETS] = (
        tensor.examined,
        tensor.matches,
        tensor.informative,
        tensor.informative_matches,
        tensor.beyond_rounding,
    )
    counts[places.OFFSETS :] = tensor.offsets
    return counts


def _merged(sampled: ReplayTensor, counts: Counts) -> ReplayTensor:
    examined, matches, informative, informative_matches, beyond = (int(x) for x in counts[: places.OFFSETS])
    offsets = tuple(int(x) for x in counts[places.OFFSETS :])
    late = sampled.matches == sampled.examined and matches < examined
    return replace(
        sampled,
        examined=examined,
        matches=matches,
        informative=informative,
        informative_matches=informative_matches,
        beyond_rounding=beyond,
        novel_bits=_novel_bits(sampled, offsets),
        offsets=offsets,
        reach=FOUND_BY_ALL if late else sampled.reach,
        fit=FOUND_BY_ALL if late else sampled.fit,
    )


def _novel_bits(sampled: ReplayTensor, offsets: tuple[int, ...]) -> float:
    """Entropy of the histogram, and for its open ends what the sample says of the spread within them."""
    bits, total = entropy(np.array(offsets)), sum(offsets)
    ends, sampled_ends = offsets[0] + offsets[-1], sampled.offsets[0] + sampled.offsets[-1]
    if ends == 0 or sampled_ends == 0:
        return bits
    inside = max(0.0, sampled.novel_bits - entropy(np.array(sampled.offsets)))
    return bits + inside * (sampled.examined / sampled_ends) * (ends / total)
