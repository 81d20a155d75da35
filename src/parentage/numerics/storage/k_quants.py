"""llama.cpp's K-quants taken apart: the code of each number, and what its block stores to read it.

``ggml-common.h`` (``block_q2_K`` ... ``block_q6_K``) for the layouts. Their quantisers search for scales,
and write, once these are found and rounded, the nearest code under them (``quantize_row_q4_K_ref`` and its
like in ``ggml-quants.c``, with an importance matrix or without): code = nearest((x + least) / step). So
scales cannot be replayed here, and codes can, whatever the search was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["K_BLOCK", "K_QUANTS", "KBlocks", "KFormat", "code_k_blocks", "unpack_k_blocks"]

K_BLOCK = 256
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Codes = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class KFormat:
    """``levels`` codes; a number is step · (code - offset) - least. ``nbytes`` of a block of 256."""

    levels: int
    offset: int
    nbytes: int


K_QUANTS: Mapping[str, KFormat] = {
    "Q2_K": KFormat(4, 0, 84),
    "Q3_K": KFormat(8, 4, 110),
    "Q4_K": KFormat(16, 0, 144),
    "Q5_K": KFormat(32, 0, 176),
    "Q6_K": KFormat(64, 32, 210),
}


@dataclass(frozen=True, slots=True)
class KBlocks:
    """``codes`` [n], the offset still in them; ``step`` and ``least`` of each [n], float32."""

    codes: Codes
    step: Floats
    least: Floats


def unpack_k_blocks(raw: Bytes, format_: str) -> KBlocks:
    """Whole stored blocks [b, bytes of a block], as flat arrays of b · 256."""
    codes, step, least = _UNPACK[format_](raw)
    wide = [np.repeat(part, K_BLOCK // part.shape[1], axis=1).reshape(-1) for part in (step, least)]
    return KBlocks(codes.reshape(-1).astype(np.int16), wide[0], wide[1])


def code_k_blocks(values: Floats, blocks: KBlocks, format_: str) -> Codes:
    """The codes that ``values`` [n] get under the blocks' own steps; where a step is 0 the stored code,
    which says nothing."""
    kind = K_QUANTS[format_]
    with np.errstate(all="ignore"):
        nearest = np.rint((values + blocks.least) / blocks.step) + np.float32(kind.offset)
    nearest = np.nan_to_num(nearest, nan=-1.0, posinf=kind.levels - 1, neginf=0)
    coded = np.clip(nearest, 0, kind.levels - 1).astype(np.int16)
    return np.where(blocks.step == 0, blocks.codes, coded)


Parts = tuple[Bytes, Floats, Floats]


def _half(raw: Bytes) -> Floats:
    """A binary16 of each block [b, 1]."""
    return np.ascontiguousarray(raw).view(np.float16).astype(np.float32)


def _bits(raw: Bytes, shifts: tuple[int, ...], mask: int, run: int) -> Bytes:
    """``run`` bytes give ``run`` numbers at each shift, one shift after the other [b, 256]."""
    grouped = raw.reshape(raw.shape[0], -1, 1, run)
    found = (grouped >> np.array(shifts, np.uint8)[:, None]) & np.uint8(mask)
    return np.asarray(found.reshape(raw.shape[0], -1), dtype=np.uint8)


def _two(raw: Bytes) -> Parts:
    """Scales and leasts of 16 numbers, four bits each; codes of two bits; step; least."""
    small, step, least = raw[:, :16], _half(raw[:, 80:82]), _half(raw[:, 82:84])
    codes = _bits(raw[:, 16:80], (0, 2, 4, 6), 3, 32)
    with np.errstate(all="ignore"):
        return codes, step * (small & 15).astype(np.float32), least * (small >> 4).astype(np.float32)


def _three(raw: Bytes) -> Parts:
    """The highest bit of each code, the two lower, sixteen scales of six bits, step."""
    high = _bits(raw[:, :32], tuple(range(8)), 1, 32)
    codes = _bits(raw[:, 32:96], (0, 2, 4, 6), 3, 32) | (high << np.uint8(2))
    packed = raw[:, 96:108]
    low = np.concatenate([packed[:, :8] & 15, packed[:, :8] >> 4], axis=1)
    upper = np.concatenate([(packed[:, 8:] >> np.uint8(s)) & 3 for s in (0, 2, 4, 6)], axis=1)
    scale = (low | (upper << np.uint8(4))).astype(np.float32) - np.float32(32)
    with np.errstate(all="ignore"):
        return codes, _half(raw[:, 108:110]) * scale, np.zeros_like(scale)


def _six_bit_scales(raw: Bytes) -> tuple[Floats, Floats]:
    """Eight scales and eight leasts of six bits in twelve bytes [b, 8] each: the last four of both have
    their upper two bits in the first eight bytes."""
    first, second, rest = raw[:, :4], raw[:, 4:8], raw[:, 8:]
    scale = np.concatenate([first & 63, (rest & 15) | ((first >> 6) << 4)], axis=1)
    least = np.concatenate([second & 63, (rest >> 4) | ((second >> 6) << 4)], axis=1)
    return scale.astype(np.float32), least.astype(np.float32)


def _four(raw: Bytes) -> Parts:
    return _affine(raw, _bits(raw[:, 16:], (0, 4), 15, 32))


def _five(raw: Bytes) -> Parts:
    high = _bits(raw[:, 16:48], tuple(range(8)), 1, 32)
    return _affine(raw, _bits(raw[:, 48:], (0, 4), 15, 32) | (high << np.uint8(4)))


def _affine(raw: Bytes, codes: Bytes) -> Parts:
    scale, least = _six_bit_scales(raw[:, 4:16])
    with np.errstate(all="ignore"):
        return codes, _half(raw[:, :2]) * scale, _half(raw[:, 2:4]) * least


def _six(raw: Bytes) -> Parts:
    """Four lower bits, two upper, sixteen scales of eight bits, step."""
    low = _bits(raw[:, :128], (0, 4), 15, 64)
    codes = low | (_bits(raw[:, 128:192], (0, 2, 4, 6), 3, 32) << np.uint8(4))
    scale = np.ascontiguousarray(raw[:, 192:208]).view(np.int8).astype(np.float32)
    with np.errstate(all="ignore"):
        return codes, _half(raw[:, 208:210]) * scale, np.zeros_like(scale)


_UNPACK = {"Q2_K": _two, "Q3_K": _three, "Q4_K": _four, "Q5_K": _five, "Q6_K": _six}
