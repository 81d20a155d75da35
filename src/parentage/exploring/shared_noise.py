"""Whether all tensors of a model were moved by one stream of noise: what RandOpt's published code leaves.

Element k of every tensor's change is σ·ε_k there, so that changes of any two tensors agree element by
element, whatever their shapes. Training leaves likeness too, but by rows and columns: only tensors of
unlike width are compared, in which element k stands in another row and column, and the same changes are
compared again at other offsets, where nothing shared can remain. This measures; no verdict rests on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import AlignmentError
from parentage.numerics.storage.formats import to_float32
from parentage.records.absence import Absent
from parentage.records.tensors import TensorRef
from parentage.training.drawing import draws

__all__ = ["SCHEMA", "VERSION", "SharedNoise", "shared_noise"]

SCHEMA: Final = "parentage.shared-noise"
VERSION: Final = 1

ELEMENTS: Final = 16_384
# Narrower windows tell less: an independent correlation has sd 1 / √n.
LEAST: Final = 1_024
MOST_TENSORS: Final = 64
OFFSETS: Final = 200
# By chance the correlation is as large as the largest of 200 others once in 201; this is far beyond.
FAR: Final = 4.0


@dataclass(frozen=True, slots=True)
class SharedNoise:
    """``correlation``: mean over ``pairs`` of tensors of unlike width, of ``elements`` each, of their
    changes element by element; ``elsewhere``: the largest such mean, in absolute value, at ``offsets``
    other offsets; ``sigma``: the root of the mean covariance, which is σ for a member (rounding does not
    enter).

    Shared noise is a correlation far above what is found elsewhere. Measured (2026-11-29): members of
    SmolLM2-135M .977 (σ .002; elsewhere .026) and .923 (σ .001; .025); real fine-tunes of MiniLM ±.001
    (.002); changes by nothing but columns .33, and .32 elsewhere.
    """

    correlation: float
    elsewhere: float
    offsets: int
    pairs: int
    tensors: int
    elements: int
    sigma: float

    @property
    def shared(self) -> bool:
        """Whether it is far above what is found elsewhere; how often that errs: docs/explore.md."""
        return self.correlation > FAR * self.elsewhere


def shared_noise(suspect: str, base: str) -> SharedNoise | Absent:
    """Measure, from a stretch of each of at most ``MOST_TENSORS`` matrices that both have and that differ.

    Reads by range. Raises ``AlignmentError`` where no matrix is in both, and what opening raises.
    """
    with open_checkpoint(suspect) as one, open_checkpoint(base) as other:
        common = [t for t in one.tensors.values() if _alike(t, other)]
        if not common:
            raise AlignmentError(
                "no matrix of floating-point numbers is in both",
                where=f"{suspect}, {base}",
                hint="name the model that the suspect may be a member of",
            )
        start, count = _stretch(common)
        if count < LEAST:
            return Absent(f"the matrices have fewer than {LEAST:,} elements beyond their first rows")
        long = [t for t in common if t.elements >= start + count]
        step = -(-len(long) // MOST_TENSORS)
        changes, widths = [], []
        for tensor in long[::step]:
            change = _change(one, other, tensor, start, count)
            if np.ptp(change) > 0:
                changes.append(change)
                widths.append(tensor.shape[-1])
    return _measured(np.array(changes), np.array(widths, np.int64))


def _alike(tensor: TensorRef, other: Checkpoint) -> bool:
    twin = other.tensors.get(tensor.name)
    matrix = len(tensor.shape) >= 2 and tensor.dtype.is_float
    return matrix and twin is not None and twin.dtype.is_float and twin.shape == tensor.shape


def _stretch(tensors: list[TensorRef]) -> tuple[int, int]:
    """(first element, how many): past the first two rows of all, where columns stand one above another."""
    start = 2 * max(t.shape[-1] for t in tensors)
    room = sorted(t.elements - start for t in tensors)
    # A few small matrices shall not narrow the rest.
    return start, min(ELEMENTS, max(0, room[len(room) // 4]))


def _change(
    one: Checkpoint, other: Checkpoint, tensor: TensorRef, start: int, count: int
) -> NDArray[np.float64]:
    twin = other.tensors[tensor.name]
    ours = to_float32(one.read(tensor, start, count), tensor.dtype).astype(np.float64)
    return ours - to_float32(other.read(twin, start, count), twin.dtype).astype(np.float64)


def _measured(changes: NDArray[np.float64], widths: NDArray[np.int64]) -> SharedNoise | Absent:
    unlike = widths[:, None] != widths[None, :]
    pairs = int(np.triu(unlike).sum())
    if not pairs:
        return Absent("no two matrices of unlike width were changed")
    n = changes.shape[1]
    centred = changes - changes.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True))
    covariance = float((centred @ centred.T / n)[unlike].mean())
    places = draws(0, "offsets of shared noise", n - 1)
    shifts = [1 + next(places) for _ in range(OFFSETS)]
    away = [abs(float((scaled @ np.roll(scaled, s, axis=1).T / n)[unlike].mean())) for s in shifts]
    return SharedNoise(
        correlation=float((scaled @ scaled.T / n)[unlike].mean()),
        elsewhere=max(away),
        offsets=OFFSETS,
        pairs=pairs,
        tensors=len(widths),
        elements=n,
        sigma=math.sqrt(max(0.0, covariance)),
    )
