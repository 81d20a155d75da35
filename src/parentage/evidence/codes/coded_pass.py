"""All that is asked of a suspect that holds codes, in one pass after the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.evidence.codes.quantized import coded_groups, measure_codes, unknown_formats
from parentage.evidence.codes.quantized_blends import measure_blend
from parentage.evidence.sampling.positions import Sampling
from parentage.evidence.tensors import TensorPlan
from parentage.records.absence import Absent
from parentage.records.evidence import NO_CODES
from parentage.records.quantized import Quantized

__all__ = ["measure_quantized"]

ONE_GIVES_ALL = Absent("one model gives every code: there is no blend to look for")


def measure_quantized(
    groups: Sequence[AlignedTensor],
    checkpoints: Sequence[Checkpoint],
    plan: TensorPlan,
    sampling: Sampling,
    workers: int,
    progress: Callable[[str, int, int], None],
) -> Quantized | Absent:
    """Codes replayed from every model and, where none gives them all, from blends of two."""
    unknown = unknown_formats(groups)
    if not coded_groups(groups) and not unknown:
        return NO_CODES
    tensors = measure_codes(groups, checkpoints, sampling, workers, progress)
    others = range(len(checkpoints) - 1)
    if tensors and any(all(t.matches[k] == t.codes for t in tensors) for k in others):
        return Quantized(tensors, ONE_GIVES_ALL, unknown)
    progress("codes as blends", 0, 1)
    blend = measure_blend(groups, checkpoints, plan, tensors, sampling, workers)
    progress("codes as blends", 1, 1)
    return Quantized(tensors, blend, unknown)
