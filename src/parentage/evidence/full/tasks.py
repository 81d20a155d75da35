"""The full pass as tasks: slices of tensors under their recipes, plain data that can be sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from parentage.architectures.alignment import AlignedTensor
from parentage.architectures.roles import TensorRole
from parentage.checkpoints.checkpoint import stored_runs
from parentage.evidence.blends.mixtures import AS_STORED
from parentage.evidence.replaying.replays import Recipe
from parentage.methods.linear_stream import LinearStream
from parentage.records.dtypes import DType
from parentage.records.evidence import TensorEvidence
from parentage.records.tensors import TensorRef

__all__ = ["REMOTE_SLICE", "SLICE", "SliceTask", "TensorJob", "make_job", "slice_bytes", "slices"]

# 64 MiB of bfloat16 a model. A cluster engine needs .7 ms for a task that takes 20 ms from the page cache
# and 75 ms from a fast disk; what a killed run loses is one slice a worker.
SLICE = 2**25
# Over a network: 8 MiB a model, some requests of the largest kind.
REMOTE_SLICE = 2**22


@dataclass(frozen=True)
class TensorJob:
    """One tensor under its recipe. ``models``: index of the checkpoint and tensor in it, of the suspect,
    then of the parents in the recipe's order. ``effective``: the format that the suspect's numbers fit."""

    name: str
    role: TensorRole
    shape: tuple[int, ...]
    recipe: Recipe
    effective: DType
    models: tuple[tuple[int, TensorRef], ...]

    @property
    def elements(self) -> int:
        """Number of elements of the suspect's tensor."""
        return self.models[0][1].elements

    @property
    def element_bytes(self) -> int:
        """Bytes of all models together for one element, as decoded."""
        return sum(ref.dtype.itemsize for _, ref in self.models)

    @cached_property
    def stream(self) -> LinearStream | None:
        """The compiled count; None where the suspect's format has none."""
        own, *parents = (ref.dtype for _, ref in self.models)
        # Numbers that changed in 32 bits after a blend had been stored in 16 are counted plainly.
        if self.recipe.grid is not None and self.effective is DType.F32:
            return None
        if not LinearStream.supports((own, self.effective)):
            return None
        stored = (own, *(p if LinearStream.supports([p]) else DType.F32 for p in parents))
        cast = None if self.recipe.cast == AS_STORED else DType(self.recipe.cast)
        return LinearStream(self.recipe.arithmetic, self.recipe.weights, stored, self.effective, cast)

    @property
    def width(self) -> int:
        """Bytes that an element of the widest row takes in a buffer."""
        stored = (ref.dtype for _, ref in self.models) if self.stream is None else self.stream.stored
        return max(d.itemsize for d in stored)


@dataclass(frozen=True, slots=True)
class SliceTask:
    """``count`` elements of a tensor from ``start`` on; ``index`` numbers the slices of a pass."""

    index: int
    job: TensorJob
    start: int
    count: int

    @property
    def nbytes(self) -> int:
        """Bytes of all models together, as decoded."""
        return self.count * self.job.element_bytes


def make_job(recipe: Recipe, tensor: TensorEvidence, group: AlignedTensor) -> TensorJob:
    """One tensor's job."""
    models = [(0, group.suspect)]
    for index in recipe.parents:
        ref = group.others[index - 1]
        assert isinstance(ref, TensorRef)
        models.append((index, ref))
    effective = DType(tensor.effective_dtypes[0])
    shape = tuple(group.suspect.shape)
    return TensorJob(group.name, group.role, shape, recipe, effective, tuple(models))


def slices(jobs: Sequence[TensorJob], length: int) -> Iterator[SliceTask]:
    """All slices of at most ``length`` elements, in the order in which they are numbered."""
    index = 0
    for job in jobs:
        for start in range(0, job.elements, length):
            yield SliceTask(index, job, start, min(length, job.elements - start))
            index += 1


def slice_bytes(task: SliceTask) -> Mapping[int, int]:
    """By the checkpoint's index: bytes of the files that hold the slice, each counted once however the
    slice is read."""
    found: dict[int, int] = {}
    for model, ref in task.job.models:
        for run in stored_runs(ref, task.start, task.count):
            whole = run.source.transposed
            nbytes = run.count * run.source.dtype.itemsize if whole else run.span[1]
            found[model] = found.get(model, 0) + nbytes
    return found
