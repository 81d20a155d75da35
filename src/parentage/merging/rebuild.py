"""Make a merge again from its recipe and hold it against a model, in streams; nothing is written.

The suspect's weight files are made again in the order of their own bytes: its header as it is, then each
tensor as the recipe makes it. Equal SHA-256 prove the whole file without a look at its weights, so where a
place publishes digests the suspect need not be fetched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from parentage import __version__
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.engines.threads import map_ordered
from parentage.merging.layers import stem
from parentage.merging.operands import decode_into, pieces
from parentage.merging.planned import Plan, PlannedTensor
from parentage.merging.recipe_writing import recipe_digest
from parentage.merging.rules_ahead import RulesAhead
from parentage.merging.run import Job, made
from parentage.numerics.streaming.replay_kernels import FORMATS
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.merge import Parent
from parentage.records.rebuild import DifferingElement, Rebuild, RebuiltFile, RebuiltTensor, UnmatchedTensor
from parentage.records.tensors import ShardRef, TensorRef

__all__ = ["rebuild"]

Progress = Callable[[str, int, int], None]
Bits = NDArray[np.unsignedinteger]
MEBIBYTE = 2**20
MOST_SHOWN = 5
NOT_READ = Absent("the suspect's weights were not read: its published digests are compared")
NO_REVISION = Absent("a local folder has no revision")
NOT_PUBLISHED = Absent("its place publishes no digest")


@dataclass(slots=True)
class _Counts:
    """What was counted of one tensor."""

    equal: int = 0
    matches: int = 0
    informative: int = 0
    informative_matches: int = 0
    differing: list[DifferingElement] = field(default_factory=list)

    def add(self, other: _Counts) -> None:
        self.equal += other.equal
        self.matches += other.matches
        self.informative += other.informative
        self.informative_matches += other.informative_matches
        self.differing += other.differing[: MOST_SHOWN - len(self.differing)]


@dataclass(frozen=True, slots=True)
class _Piece:
    job: Job
    found: TensorRef


def rebuild(
    plan: Plan,
    parents: Sequence[Parent],
    suspect: Checkpoint,
    *,
    read: bool,
    workers: int,
    progress: Progress,
) -> Rebuild:
    """Compare; ``read`` False: by the digests that the suspect's place publishes alone."""
    pairs, unmatched = _pairs(plan, suspect)
    files, tensors, done = [], dict[str, RebuiltTensor](), 0
    total = sum(t.nbytes for t in plan.tensors) // MEBIBYTE
    for shard in suspect.shards:
        inside = sorted(
            (t for t in suspect.tensors.values() if t.shard == shard.name), key=lambda t: t.begin
        )
        known = [(pairs[t.name], t) for t in inside if t.name in pairs]

        def heard(nbytes: int, before: int = done) -> None:
            progress("rebuilding (MiB)", before + nbytes // MEBIBYTE, total)

        work = _Shard(plan, suspect, shard, inside, known, read, workers, heard)
        files.append(work.file())
        tensors.update(work.tensors)
        done += sum(p.nbytes for p, _ in known) // MEBIBYTE
    return _result(plan, parents, suspect, read, files, list(tensors.values()), unmatched)


def _pairs(plan: Plan, suspect: Checkpoint) -> tuple[dict[str, PlannedTensor], list[UnmatchedTensor]]:
    """Planned tensors by the suspect's names: equal ones, else equal but for a wrapper's prefix."""
    stems: dict[str, list[str]] = {}
    for name in suspect.tensors:
        stems.setdefault(stem(name), []).append(name)
    pairs: dict[str, PlannedTensor] = {}
    unmatched = []
    for planned in plan.tensors:
        near = stems.get(stem(planned.name), [])
        name = planned.name
        if name not in suspect.tensors and len(near) == 1:
            name = near[0]
        if name not in suspect.tensors:
            unmatched.append(UnmatchedTensor(planned.name, "the suspect has no such tensor"))
            continue
        reason = _unfit(planned, suspect.tensors[name])
        if reason:
            unmatched.append(UnmatchedTensor(name, reason))
        else:
            pairs[name] = planned
    listed = {u.tensor for u in unmatched}
    unmatched += [
        UnmatchedTensor(name, "the recipe makes no such tensor")
        for name in suspect.tensors
        if name not in pairs and name not in listed
    ]
    return pairs, unmatched


def _unfit(planned: PlannedTensor, found: TensorRef) -> str:
    if planned.shape != found.shape:
        return f"the recipe makes it {list(planned.shape)}, the suspect's is {list(found.shape)}"
    if planned.dtype is not found.dtype or found.encoding:
        stored = found.encoding or found.dtype.value
        return (
            f"the recipe stores {planned.dtype.value}, the suspect {stored}: out_dtype says what is stored"
        )
    return ""


@dataclass(slots=True)
class _Shard:
    plan: Plan
    suspect: Checkpoint
    shard: ShardRef
    inside: list[TensorRef]
    known: list[tuple[PlannedTensor, TensorRef]]
    read: bool
    workers: int
    heard: Callable[[int], None]
    tensors: dict[str, RebuiltTensor] = field(default_factory=dict)

    def file(self) -> RebuiltFile:
        """Go through one file; what is found of its tensors goes to ``tensors``."""
        reason = self._why_not_whole()
        ours, theirs = hashlib.sha256(), hashlib.sha256()
        header = b"" if reason else self.suspect.head(self.shard)
        ours.update(header)
        theirs.update(header)
        self._stream(ours, theirs)
        published = self.shard.published_sha256
        found: str | Absent = published or NOT_PUBLISHED
        if self.read and not published:
            found = Absent(reason) if reason else theirs.hexdigest()
        rebuilt = Absent(reason) if reason else ours.hexdigest()
        return RebuiltFile(self.shard.name, self.shard.size, rebuilt, found, bool(published))

    def _why_not_whole(self) -> str:
        """Why a file's bytes cannot all be made again; empty when they can."""
        if len(self.known) < len(self.inside):
            return "it holds tensors that the recipe does not make so"
        position = self.shard.header_bytes
        for tensor in self.inside:
            if tensor.begin != position or tensor.pieces or tensor.transposed:
                return "its tensors do not lie one after the other as they are"
            position = tensor.end
        return "" if position == self.shard.size else "it holds bytes that belong to no tensor"

    def _pieces(self) -> Iterator[_Piece]:
        with RulesAhead(planned for planned, _ in self.known) as ahead:
            rules = ahead.of(planned for planned, _ in self.known)
            for (_, tensor), (planned, rule) in zip(self.known, rules, strict=True):
                operands, granularity = planned.operands, 1 if rule is None else rule.granularity
                for start, count in pieces(operands.elements, granularity, operands.chunk):
                    operands.announce(start, count)
                    if self.read:
                        self.suspect.announce(tensor, start, count)
                    yield _Piece(Job(planned.operands, rule, planned.dtype, start, count, 0), tensor)

    def _stream(self, ours: hashlib._Hash, theirs: hashlib._Hash) -> None:
        counts = {t.name: _Counts() for _, t in self.known}
        done = 0
        for piece, bits, found, counted in map_ordered(self._compare, self._pieces(), workers=self.workers):
            ours.update(bits.view(np.uint8).data)
            if found is not None and not self.shard.published_sha256:
                theirs.update(found.view(np.uint8).data)
            counts[piece.found.name].add(counted)
            done += bits.nbytes
            self.heard(done)
        for planned, tensor in self.known:
            self.tensors[tensor.name] = _tensor(planned, tensor, counts[tensor.name], self.read)

    def _compare(self, piece: _Piece) -> tuple[_Piece, Bits, Bits | None, _Counts]:
        job = piece.job
        values = None if job.rule is None else job.operands.read(job.start, job.count)
        bits = np.ascontiguousarray(
            made(job) if values is None or job.rule is None else job.rule.apply(job.start, values)
        )
        informative = None if values is None else (values[1:] != values[:1]).any(axis=0)
        if not self.read:
            seen = 0 if informative is None else int(np.count_nonzero(informative))
            return piece, bits, None, _Counts(informative=seen)
        found = self.suspect.read(piece.found, job.start, job.count)
        return piece, bits, found, _count(bits, found, job, informative)


def _count(bits: Bits, found: Bits, job: Job, informative: NDArray[np.bool_] | None) -> _Counts:
    equal = bits == found
    match = equal if equal.all() else equal | _equal_values(bits, found, job.dtype)
    where = np.flatnonzero(~match)[:MOST_SHOWN]
    width = 2 * bits.dtype.itemsize
    shown = [
        DifferingElement(job.start + int(i), f"{int(bits[i]):0{width}x}", f"{int(found[i]):0{width}x}")
        for i in where
    ]
    counted = _Counts(int(np.count_nonzero(equal)), int(np.count_nonzero(match)), differing=shown)
    if informative is not None:
        counted.informative = int(np.count_nonzero(informative))
        counted.informative_matches = int(np.count_nonzero(match & informative))
    return counted


def _equal_values(bits: Bits, found: Bits, dtype: DType) -> NDArray[np.bool_]:
    """Zeros of both signs."""
    if dtype not in FORMATS:
        return np.zeros(bits.size, np.bool_)
    sides = []
    for side in (bits, found):
        values = np.empty(side.size, np.float32)
        decode_into(np.ascontiguousarray(side), dtype, values)
        sides.append(values)
    return np.equal(sides[0], sides[1])


def _tensor(planned: PlannedTensor, tensor: TensorRef, counts: _Counts, read: bool) -> RebuiltTensor:
    return RebuiltTensor(
        name=tensor.name,
        how="merged" if planned.merged else planned.reason,
        elements=tensor.elements,
        equal_bits=counts.equal if read else NOT_READ,
        matches=counts.matches if read else NOT_READ,
        informative=counts.informative,
        informative_matches=counts.informative_matches if read else NOT_READ,
        differing=tuple(counts.differing),
    )


def _result(
    plan: Plan,
    parents: Sequence[Parent],
    suspect: Checkpoint,
    read: bool,
    files: Sequence[RebuiltFile],
    tensors: Sequence[RebuiltTensor],
    unmatched: Sequence[UnmatchedTensor],
) -> Rebuild:
    def total(counts: Sequence[int | Absent]) -> int | Absent:
        return sum(c for c in counts if isinstance(c, int)) if read else NOT_READ

    elements = sum(t.elements for t in tensors)
    equal = total([t.equal_bits for t in tensors])
    whole = bool(files) and all(f.equal for f in files)
    return Rebuild(
        tool={"name": "parentage", "version": __version__},
        recipe_sha256=recipe_digest(plan.recipe),
        method=plan.method.id,
        profile=plan.profile,
        seed=plan.seed,
        suspect=suspect.locator,
        revision=suspect.revision or NO_REVISION,
        parents=tuple(parents),
        holds=not unmatched and (whole or (isinstance(equal, int) and equal == elements > 0)),
        elements=elements,
        equal_bits=equal,
        matches=total([t.matches for t in tensors]),
        informative=sum(t.informative for t in tensors),
        informative_matches=total([t.informative_matches for t in tensors]),
        tensors=tuple(tensors),
        unmatched=tuple(unmatched),
        files=tuple(files),
        notes=plan.notes,
    )
