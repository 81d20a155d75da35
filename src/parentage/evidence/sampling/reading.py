"""From aligned tensors to decoded samples in step: the same elements of every model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor
from parentage.architectures.roles import TensorRole
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.evidence.sampling.positions import BLOCK, SamplePlan, Sampling, experts_of, plan_sample
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.tensors import TensorRef

__all__ = ["ModelSlice", "TensorSample", "read_sample", "recast"]


@dataclass(frozen=True, slots=True)
class ModelSlice:
    """One model's elements: values as float64 [n], the stored dtype, and the narrowest dtype that
    holds all of them (a float32 file often carries bf16 numbers). ``encoding``: the block format that
    they were decoded from, or empty."""

    values: NDArray[np.float64]
    dtype: DType
    effective: DType
    encoding: str = ""

    @property
    def stored_as(self) -> str:
        """The number format of the file."""
        return self.encoding or self.dtype.value


@dataclass(frozen=True, slots=True)
class TensorSample:
    """The same elements of every model; ``models[0]`` is the suspect, ``None`` where absent.

    ``rows`` [n] numbers the row or run that an element belongs to; ``experts`` [n] the expert, in a tensor
    that holds a layer's, else None.
    """

    name: str
    role: TensorRole
    shape: tuple[int, ...]
    elements: int
    whole: bool
    rows: NDArray[np.int32]
    models: tuple[ModelSlice | None, ...]
    experts: NDArray[np.int32] | None = None

    @property
    def suspect(self) -> ModelSlice:
        """The suspect's elements."""
        first = self.models[0]
        assert first is not None
        return first


def read_sample(
    aligned: AlignedTensor, checkpoints: Sequence[Checkpoint], sampling: Sampling
) -> TensorSample:
    """Read one tensor's planned elements from every model that has it."""
    elements = aligned.suspect.elements
    plan = plan_sample(aligned.name, aligned.role, aligned.suspect.shape, sampling)
    refs = (aligned.suspect, *aligned.others)
    slices = tuple(
        None if isinstance(ref, Absent) else _slice(checkpoint, ref, plan)
        for checkpoint, ref in zip(checkpoints, refs, strict=True)
    )
    return TensorSample(
        aligned.name,
        aligned.role,
        tuple(aligned.suspect.shape),
        elements,
        plan.whole,
        _rows(plan, aligned.suspect.shape),
        slices,
        experts_of(plan, aligned.role, aligned.suspect.shape),
    )


def _slice(checkpoint: Checkpoint, ref: TensorRef, plan: SamplePlan) -> ModelSlice:
    if plan.whole:
        bits = checkpoint.read(ref, 0, plan.elements)
    else:
        bits = checkpoint.read_blocks(ref, plan.starts, plan.length).reshape(-1)
    values = to_float64(bits, ref.dtype)
    # What a block format decodes to may fit a narrower float by chance; that is not how it was rounded.
    effective = ref.dtype if ref.encoding else _effective(values, ref.dtype)
    return ModelSlice(values, ref.dtype, effective, ref.encoding)


def _effective(values: NDArray[np.float64], dtype: DType) -> DType:
    if dtype is not DType.F32 or values.size == 0:
        return dtype
    finite = values[np.isfinite(values)]
    for narrow in (DType.BF16, DType.F16):
        if np.array_equal(recast(finite, narrow), finite):
            return narrow
    return dtype


def recast(values: NDArray[np.float64], dtype: DType) -> NDArray[np.float64]:
    """The values after storage in ``dtype`` (round to nearest, ties to even), as float64."""
    return to_float64(round_to(values, dtype), dtype)


def _rows(plan: SamplePlan, shape: Sequence[int]) -> NDArray[np.int32]:
    if not plan.whole:
        return np.repeat(np.arange(plan.starts.size, dtype=np.int32), plan.length)
    width = int(shape[-1]) if len(shape) >= 2 and shape[-1] >= 64 else BLOCK
    return (np.arange(plan.elements, dtype=np.int64) // max(width, 1)).astype(np.int32)
