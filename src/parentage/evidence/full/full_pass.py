"""The chosen recipe replayed on every element of every tensor, slice by slice, wherever an engine does it.

Counts are integers and are added up by slice, so neither chunks nor threads, machines or interruptions move
a number. What a tensor's sample already covered whole is not read again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parentage import __version__
from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.direct_files import larger_than_memory
from parentage.checkpoints.pinned import PinnedCheckpoint, pin_checkpoint
from parentage.engines.devices import CPU
from parentage.engines.engine import Engine, Work
from parentage.engines.threads import ThreadEngine
from parentage.evidence.full.progress import PassProgress
from parentage.evidence.full.tasks import (
    REMOTE_SLICE,
    SLICE,
    SliceTask,
    TensorJob,
    make_job,
    slice_bytes,
    slices,
)
from parentage.evidence.full.worker import CHUNK, DIRECT, Counts, PassWork, PinnedPassWork, chunk_elements
from parentage.evidence.replaying.replays import Recipe, entropy
from parentage.numerics.streaming import replay_kernels as places
from parentage.records.absence import Absent
from parentage.records.codec import to_plain
from parentage.records.evidence import Replay, ReplayTensor, TensorEvidence

__all__ = ["FullPass", "replay_every_element"]

MEBIBYTE = 2**20
FOUND_BY_ALL = Absent("the sample equals the replay; only reading all elements found some off it")


@dataclass(frozen=True, slots=True)
class FullPass:
    """Where the tensors lie, how many workers read them, and where; nothing of it moves a result.

    ``engine``: None for threads of this process. ``resume``: a file that keeps what is done. ``chunk``:
    elements that a worker reads at a time; ``slice``: of a task, None for the usual. ``device``: what
    counts. ``direct``: read past the page cache, None: where what is read does not fit there.
    """

    groups: Mapping[str, AlignedTensor]
    checkpoints: Sequence[Checkpoint]
    workers: int
    progress: Callable[[str, int, int], None]
    chunk: int = CHUNK
    engine: Engine | None = None
    resume: Path | None = None
    slice: int | None = None
    device: str = CPU
    direct: bool | None = None


def replay_every_element(
    sampled: Replay, recipes: Mapping[str, Recipe], tensors: Sequence[TensorEvidence], plan: FullPass
) -> Replay:
    """The same replay with counts over all elements; ``recipes`` by the names of ``sampled.tensors``.

    The entropy of the offsets within +-8 steps is that of all elements; within the open ends the
    sample's stands for it. The suspect's own entropy, the backward match and the fits stay the sample's.
    """
    measured = {t.name: t for t in tensors}
    jobs = [
        make_job(recipes[t.name], measured[t.name], plan.groups[t.name])
        for t in sampled.tensors
        if not measured[t.name].whole
    ]
    counted = _count_all(jobs, sampled, plan)
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


def _count_all(jobs: Sequence[TensorJob], sampled: Replay, plan: FullPass) -> dict[str, NDArray[np.int64]]:
    counted = {job.name: np.zeros(places.COUNTS, np.int64) for job in jobs}
    if not jobs:
        return counted
    remote = any(c.remote for c in plan.checkpoints)
    tasks = list(slices(jobs, plan.slice or (REMOTE_SLICE if remote else SLICE)))
    sent = plan.resume is not None or _engine(plan).remote
    pinned = [pin_checkpoint(c) for c in plan.checkpoints] if sent else []
    read = [c.bytes_read for c in plan.checkpoints]
    with _progress(plan, sampled, tasks, pinned) as kept:
        found: dict[int, Counts] = dict(kept.done) if kept is not None else {}
        told = _Told(plan, tasks, found)
        left = [task for task in tasks if task.index not in found]
        for task, counts in _engine(plan).run(_work(jobs, pinned, plan, sum(t.nbytes for t in left)), left):
            if kept is not None:
                kept.add(task, counts)
            found[task.index] = counts
            told.add(task)
    for task in tasks:
        counted[task.job.name] += np.array(found[task.index], np.int64)
        for model, nbytes in slice_bytes(task).items():
            read[model] += nbytes
    for checkpoint, nbytes in zip(plan.checkpoints, read, strict=True):
        # By the slices, and not by who read them, when, or how often.
        checkpoint.bytes_read = nbytes
    return counted


class _Told:
    """Progress in bytes of all models; what an earlier run did is done."""

    def __init__(self, plan: FullPass, tasks: Sequence[SliceTask], found: Mapping[int, Counts]) -> None:
        self._tell = plan.progress
        self._total = sum(task.nbytes for task in tasks)
        self._done = sum(task.nbytes for task in tasks if task.index in found)
        self._say()

    def add(self, task: SliceTask) -> None:
        self._done += task.nbytes
        self._say()

    def _say(self) -> None:
        self._tell("replaying every element (MiB)", self._done // MEBIBYTE, self._total // MEBIBYTE)


def _engine(plan: FullPass) -> Engine:
    return ThreadEngine(plan.workers) if plan.engine is None else plan.engine


def _work(
    jobs: Sequence[TensorJob], pinned: Sequence[PinnedCheckpoint], plan: FullPass, nbytes: int
) -> Work[SliceTask, Counts]:
    rows, width = max(len(job.models) for job in jobs), max(job.width for job in jobs)
    engine = _engine(plan)
    past = larger_than_memory(nbytes) if plan.direct is None else plan.direct
    # A process of a cluster has one worker, and others beside it.
    workers = 1 if engine.remote else max(1, plan.workers)
    direct = (DIRECT // (4 if engine.remote else workers)) if past else 0
    chunk = chunk_elements(plan.chunk, workers, rows * width)
    if engine.remote:
        return PinnedPassWork(tuple(pinned), chunk, rows, width, direct)
    return PassWork(plan.checkpoints, chunk, rows, width, plan.device, direct)


def _progress(
    plan: FullPass, sampled: Replay, tasks: Sequence[SliceTask], pinned: Sequence[PinnedCheckpoint]
) -> AbstractContextManager[PassProgress | None]:
    if plan.resume is None:
        return nullcontext()
    return PassProgress(plan.resume, _key(sampled, tasks, pinned), tasks)


def _key(sampled: Replay, tasks: Sequence[SliceTask], pinned: Sequence[PinnedCheckpoint]) -> str:
    """A digest of what decides the counts: version, files, tensors, recipes and slices; and of what the
    sample counted, which sees that bytes changed where sizes and times did not."""
    digest = hashlib.sha256(f"parentage {__version__}".encode())
    for model in pinned:
        # A remote file without a digest of its own is known by its commit, and by the sample.
        one = (model.locator, model.revision, to_plain(model.shards), model.stamps)
        digest.update(json.dumps(one).encode())
    names = {task.job.name for task in tasks}
    for tensor in sampled.tensors:
        if tensor.name in names:
            seen = (tensor.examined, tensor.matches, tensor.informative, tensor.offsets)
            digest.update(json.dumps((tensor.name, seen)).encode())
    for task in tasks:
        if task.start == 0:
            digest.update(_job_text(task.job).encode())
        digest.update(f"{task.start}+{task.count};".encode())
    return digest.hexdigest()


def _job_text(job: TensorJob) -> str:
    recipe = job.recipe
    rule: tuple[object, ...] = (recipe.parents, [w.hex() for w in recipe.weights])
    rule += (recipe.arithmetic.id, recipe.cast, *([] if recipe.grid is None else [recipe.grid.value]))
    return json.dumps((job.name, job.effective.value, rule, to_plain(job.models)))


def _merged(sampled: ReplayTensor, counts: NDArray[np.int64]) -> ReplayTensor:
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
