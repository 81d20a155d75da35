"""Shapes of differences that need whole matrices: stable rank, and rows that only decay moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor, Alignment
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.evidence.sampling.positions import seeded_rng
from parentage.numerics.matrices.spectrum import stable_rank
from parentage.numerics.storage.formats import to_float64
from parentage.records.absence import Absent
from parentage.records.evidence import Spectrum, TensorEvidence
from parentage.records.tensors import TensorRef

__all__ = ["measure_spectra"]

# Matrices up to 4 M elements are read whole for their spectrum (two of them: 64 MB as float64), at most
# 24 of them, spread over the model.
LARGEST = 4 * 2**20
COUNT = 24


def measure_spectra(
    tensors: Sequence[TensorEvidence],
    alignment: Alignment,
    checkpoints: Sequence[Checkpoint],
    seed: int,
) -> tuple[TensorEvidence, ...]:
    """Add, to a spread of matrices, the stable rank of the delta to the nearest model."""
    groups = {g.name: g for g in alignment.groups}
    eligible = [t for t in tensors if _eligible(t)]
    step = max(1, -(-len(eligible) // COUNT))
    chosen = {t.name for t in eligible[::step]}
    return tuple(
        replace(t, spectra=_spectra(t, groups[t.name], checkpoints, seed)) if t.name in chosen else t
        for t in tensors
    )


def _eligible(tensor: TensorEvidence) -> bool:
    wide = len(tensor.shape) == 2 and min(tensor.shape) >= 8
    return wide and tensor.elements <= LARGEST and tensor.finite == tensor.examined


def _spectra(
    tensor: TensorEvidence, group: AlignedTensor, checkpoints: Sequence[Checkpoint], seed: int
) -> tuple[Spectrum, ...]:
    near = [(tensor.gram[i - 1][i - 1], i) for i in tensor.present if i]
    if not near or min(near)[0] == 0:
        return ()
    model = min(near)[1]
    other = group.others[model - 1]
    if isinstance(other, Absent):
        return ()
    delta = _whole(checkpoints[0], group.suspect) - _whole(checkpoints[model], other)
    if not np.isfinite(delta).all():
        return ()
    rank = stable_rank(delta.reshape(tensor.shape), seeded_rng(seed, "spectrum", tensor.name))
    return (Spectrum(model, rank, tensor.shape[0], tensor.shape[1]),)


def _whole(checkpoint: Checkpoint, ref: TensorRef) -> NDArray[np.float64]:
    return to_float64(checkpoint.read(ref, 0, ref.elements), ref.dtype)
