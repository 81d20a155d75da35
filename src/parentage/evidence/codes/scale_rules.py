"""Which rule made the stored scales of a tensor of codes: the largest size in a block, over what?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.evidence.sampling.positions import seeded_rng
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.numerics.storage.quantizers import SCALE_RULES
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.tensors import Dequantised, TensorRef

__all__ = ["ReplayedScales", "replay_scales"]

# Whole rows of blocks are read: 64 blocks tell a rule, four million numbers are 32 MB as float64.
MOST_BLOCKS = 64
MOST_ELEMENTS = 4 * 2**20


@dataclass(frozen=True, slots=True)
class ReplayedScales:
    """``matches`` by model under ``rule``, of ``scales``."""

    scales: int
    matches: tuple[int, ...]
    rule: str


def replay_scales(
    group: AlignedTensor, checkpoints: Sequence[Checkpoint], seed: int, best: int
) -> ReplayedScales | Absent:
    """Scales of some bands of blocks, from each model's numbers; ``best`` chooses the rule."""
    ref, how = group.suspect, group.suspect.dequantised
    if how is None:
        return Absent("its quantiser searches for scales")
    flat = _two_dimensional(ref.shape, how.blocks)
    if flat is None:
        return Absent("its blocks span more than two dimensions")
    rows, columns, high, wide = flat
    if high * columns > MOST_ELEMENTS:
        return Absent("a block is too large to be read whole")
    across = -(-columns // wide)
    bands = _bands(-(-rows // high), max(1, MOST_BLOCKS // across), high * columns, seed, group.name)
    stored = np.concatenate([_stored(checkpoints[0], how, int(b) * across, across) for b in bands])
    largest = [
        np.concatenate(
            [_largest(c, r, int(b) * high, min(high, rows - int(b) * high), columns, wide) for b in bands]
        )
        if isinstance(r, TensorRef)
        else None
        for c, r in zip(checkpoints[1:], group.others, strict=True)
    ]
    return _compared(stored, largest, how, best)


def _two_dimensional(shape: tuple[int, ...], blocks: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Rows, columns, and a block's extents in them; None where rows cannot be numbered through."""
    if len(shape) < 2:
        return (1, shape[0], 1, blocks[0]) if shape else None
    if blocks == shape:
        return prod(shape[:-1]), shape[-1], prod(shape[:-1]), shape[-1]
    outer = any(b != 1 for b in blocks[:-2])
    if outer or (len(shape) > 2 and shape[-2] % blocks[-2]):
        return None
    return prod(shape[:-1]), shape[-1], blocks[-2], blocks[-1]


def _bands(count: int, most: int, elements: int, seed: int, name: str) -> NDArray[np.int64]:
    most = min(most, max(1, MOST_ELEMENTS // elements), count)
    rng = seeded_rng(seed, "scales", name, str(count))
    return np.sort(rng.permutation(count)[:most]).astype(np.int64) if count < 2**22 else np.arange(most)


def _stored(checkpoint: Checkpoint, how: Dequantised, first: int, count: int) -> NDArray[np.float64]:
    return to_float64(checkpoint.read(how.scale, first, count), how.scale.dtype)


def _largest(
    checkpoint: Checkpoint, ref: TensorRef, first: int, rows: int, columns: int, wide: int
) -> NDArray[np.float64]:
    """The largest size in each block of a band, in order."""
    bits = checkpoint.read(ref, first * columns, rows * columns)
    size = np.abs(to_float64(bits, ref.dtype)).reshape(rows, columns).max(axis=0)
    return np.maximum.reduceat(size, np.arange(0, columns, wide))


def _compared(
    stored: NDArray[np.float64], largest: list[NDArray[np.float64] | None], how: Dequantised, best: int
) -> ReplayedScales:
    kind = how.codes.dtype
    name = kind.value if kind.is_float else "int4" if how.bits == 4 else "int8"
    if how.factor != 1:
        name = "largest"
    found: list[tuple[int, ...]] = []
    rules = SCALE_RULES[name]
    for divisor in rules.values():
        made = [None if m is None else _scale(m, divisor, how.scale.dtype) for m in largest]
        found.append(tuple(0 if m is None else int(np.count_nonzero(m == stored)) for m in made))
    top = max(range(len(found)), key=lambda k: (found[k][best], -k))
    rule = list(rules)[top] if found[top][best] else "no rule that is known here"
    return ReplayedScales(int(stored.size), found[top], rule)


def _scale(largest: NDArray[np.float64], divisor: float, dtype: DType) -> NDArray[np.float64]:
    """float32 throughout, then as the scale is stored."""
    with np.errstate(all="ignore"):
        if divisor == 1:
            largest = largest.astype(np.float16).astype(np.float64)
        made = largest.astype(np.float32) / np.float32(divisor)
    return to_float64(round_to(made, dtype), dtype)
