"""Carry out a plan: chunks are read, merged and written by several threads, and hashed in order by another.

Everything is made in ``OUT.partial`` and appears under its name at once, when all of it is there. A run
that was stopped leaves the shards that were finished, and the same command goes on from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.engines.compiler_start import load_compiler
from parentage.engines.threads import map_beside, map_ordered
from parentage.merging.operands import Operand, Operands, decode_into, pieces
from parentage.merging.planned import Plan, PlannedTensor
from parentage.merging.progress_state import Finished, RunState
from parentage.merging.rooms import Rooms
from parentage.merging.rules_ahead import RulesAhead, prepared
from parentage.merging.shards import Shard, ShardFile
from parentage.methods.method import BitsRule, Rule
from parentage.numerics.storage.formats import round_to
from parentage.records.dtypes import DType
from parentage.records.merge import MergedFile

__all__ = ["Job", "Progress", "jobs_of", "load_kernels", "made", "write_shards"]

Progress = Callable[[str, int, int], None]
MEBIBYTE = 2**20
# Elements of a tensor that is made beforehand: a thousandth of a second's work.
SMALL = 2**17
# Pieces of a file on a disk that are announced at once: to ask whether one lies in memory takes a tenth of
# the time in which it is hashed.
TOGETHER = 8
Bits = NDArray[np.unsignedinteger]


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of one tensor of the output; ``position``: of its first byte among the shard's tensors."""

    operands: Operands
    rule: Rule | None
    dtype: DType
    start: int
    count: int
    position: int


def load_kernels(plan: Plan) -> None:
    """Make the first piece of the smallest tensor of each kind: compiled code is loaded on its first use,
    which takes half a second and none of what hashing takes. Of models on a network nothing is read."""
    smallest: dict[object, PlannedTensor] = {}
    for tensor in plan.tensors:
        if tensor.method is not None and not tensor.operands.remote:
            kind = (tensor.method.id, tensor.operands.dtypes, tensor.profile)
            known = smallest.get(kind)
            if known is None or tensor.operands.elements < known.operands.elements:
                smallest[kind] = tensor
    load_compiler()
    for tensor in smallest.values():
        if tensor.operands.elements <= SMALL:
            rule = prepared(tensor)
            granularity = 1 if rule is None else rule.granularity
            start, count = next(pieces(tensor.operands.elements, granularity, granularity))
            made(Job(tensor.operands, rule, tensor.dtype, start, count, 0))


def write_shards(
    plan: Plan,
    shards: tuple[Shard, ...],
    metadata: Mapping[str, str],
    state: RunState,
    rules: RulesAhead,
    *,
    workers: int,
    progress: Progress,
) -> tuple[MergedFile, ...]:
    """Write every shard that ``state`` does not know as finished; all of them, in order. ``rules``: of the
    plan's tensors."""
    total, done = plan.nbytes // MEBIBYTE, 0
    files = []
    for shard in shards:
        header = shard.header(metadata)
        size = len(header) + shard.nbytes
        known = state.finished(shard.name, size)
        if known is None:
            with ShardFile(state.folder, shard.name, header, shard.nbytes) as file:
                _fill(shard, file, rules, workers, progress, done, total)
                known = Finished(file.finish(), size)
            state.finish(shard.name, known)
        done += shard.nbytes // MEBIBYTE
        progress("merging (MiB)", done, total)
        files.append(MergedFile(shard.name, size, known.sha256))
    return tuple(files)


def _fill(
    shard: Shard,
    file: ShardFile,
    rules: RulesAhead,
    workers: int,
    progress: Progress,
    done: int,
    total: int,
) -> None:
    inputs, outputs = Rooms(), Rooms()

    def work(job: Job) -> tuple[Bits, NDArray[np.uint16] | None]:
        bits, room = _made_in(job, inputs, outputs)
        file.put(job.position, bits.view(np.uint8).data)
        return bits, room

    def hashed(found: tuple[Bits, NDArray[np.uint16] | None]) -> int:
        bits, room = found
        file.hashed(bits.view(np.uint8).data)
        if room is not None:
            outputs.give(room)
        return bits.nbytes

    written = 0
    # Hashing is one chain, which nothing else should hold up. Closed before the file is.
    with (
        closing(map_ordered(work, jobs_of(shard, rules), workers=workers)) as found,
        closing(map_beside(hashed, found, workers=workers)) as sizes,
    ):
        for nbytes in sizes:
            written += nbytes
            progress("merging (MiB)", done + written // MEBIBYTE, total)


def _made_in(job: Job, inputs: Rooms, outputs: Rooms) -> tuple[Bits, NDArray[np.uint16] | None]:
    """``made``, and the room of ``outputs`` that it lies in, if it lies in one."""
    rule = job.rule
    if not (isinstance(rule, BitsRule) and rule.on_bits):
        return np.ascontiguousarray(made(job)), None
    room, out = inputs.lend(job.operands.models * job.count), outputs.lend(job.count)
    bits = rule.apply_bits(job.start, job.operands.read_bits(job.start, job.count, room), out)
    inputs.give(room)
    return bits, out


def jobs_of(shard: Shard, rules: RulesAhead) -> Iterator[Job]:
    """The pieces of a shard in the order of its bytes; a method's passes over a tensor come before its
    first piece."""
    position = 0
    for tensor, rule in rules.of(shard.tensors):
        granularity = 1 if rule is None else rule.granularity
        operands = tensor.operands
        together = 1 if operands.remote else TOGETHER
        for k, (start, count) in enumerate(pieces(operands.elements, granularity, operands.chunk)):
            if k % together == 0:
                operands.announce(start, min(together * count, operands.elements - start))
            at = position + start * tensor.dtype.itemsize
            yield Job(operands, rule, tensor.dtype, start, count, at)
        position += tensor.nbytes


def made(job: Job) -> Bits:
    """Storage bits of one piece of the output."""
    if isinstance(job.rule, BitsRule) and job.rule.on_bits:
        return job.rule.apply_bits(job.start, job.operands.read_bits(job.start, job.count))
    if job.rule is not None:
        return job.rule.apply(job.start, job.operands.read(job.start, job.count))
    return _copied(job.operands.parts[0], job)


def _copied(part: Operand, job: Job) -> Bits:
    bits = part.bits(job.start, job.count)
    if part.tensor.dtype is job.dtype:
        return bits
    values = np.empty(job.count, np.float32)
    decode_into(bits, part.tensor.dtype, values)
    return round_to(values, job.dtype)
