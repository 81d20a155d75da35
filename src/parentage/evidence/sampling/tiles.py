"""Matrices that a model keeps turned, where it is read by range: a run of one lies in as many rows of the
file, so that they are read in tiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.evidence.sampling.positions import Sampling
from parentage.records.tensors import TensorRef

__all__ = ["in_tiles", "too_dear"]

# Where tiles do not serve (candidates are all read at the same places, in runs), all of the matrix is read.
MOST_BYTES = 16 * 2**20


def in_tiles(
    sampling: Sampling, groups: Iterable[AlignedTensor], checkpoints: Sequence[Checkpoint]
) -> Sampling:
    """The sampling with the matrices named that are read in tiles; the same from headers alone."""
    names = {g.name for g in groups if len(g.suspect.shape) == 2 and _turned(g, checkpoints)}
    return replace(sampling, tiled=frozenset(names)) if names else sampling


def _turned(group: AlignedTensor, checkpoints: Sequence[Checkpoint]) -> bool:
    refs = zip((group.suspect, *group.others), checkpoints, strict=True)
    return any(isinstance(r, TensorRef) and c.by_range and _kept_turned(r) for r, c in refs)


def too_dear(group: AlignedTensor, checkpoints: Sequence[Checkpoint]) -> bool:
    """Would runs of it take all of a large matrix over a network?"""
    return group.suspect.nbytes > MOST_BYTES and _turned(group, checkpoints)


def _kept_turned(ref: TensorRef) -> bool:
    source = ref if ref.order is None else ref.order.source
    return source.transposed or any(p.source.transposed for p in source.pieces)
