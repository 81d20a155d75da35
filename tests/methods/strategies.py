"""Numbers as a hostile file may hold them: every bit pattern, and those where rounding goes wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage.numerics.storage.formats import round_to
from parentage.records.dtypes import DType

# float32: zeros of both signs, subnormals of all three formats, infinities, NaN with payloads, ends of
# binades, ties of bfloat16 and binary16 and their neighbours, the largest numbers of each format.
_ODD = (
    *(0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x00008000, 0x00018000, 0x33000000),
    *(0x33000001, 0x33800000, 0x387FE000, 0x387FF000, 0x387FFFFF, 0x38800000, 0x7F800000, 0xFF800000),
    *(0x7FC00000, 0xFFC00001, 0x7F800001, 0x7FFFFFFF, 0xFFFFFFFF, 0x3F800000, 0x3F7FFFFF, 0x3F808000),
    *(0x3F818000, 0x3F807FFF, 0x3F808001, 0x3F801000, 0x3F803000, 0x3F800FFF, 0x3F801001, 0x477FE000),
    *(0x477FEFFF, 0x477FF000, 0x47800000, 0x7F7F0000, 0x7F7F7FFF, 0x7F7F8000, 0x7F7FFFFF, 0xFF7FFFFF),
)
_SIXTEEN = (0x0000, 0x8000, 0x0001, 0x8001, 0x007F, 0x0080, 0x03FF, 0x0400, 0x3C00, 0x3F80, 0x7BFF, 0x7C00)
_SIXTEEN = (*_SIXTEEN, 0xFC00, 0x7C01, 0x7E00, 0x7F7F, 0x7F80, 0xFF80, 0x7F81, 0x7FC0, 0xFFFF, 0xFF7F)

FLOATS = (DType.BF16, DType.F16, DType.F32)
# Recipes as people write them, the ends, and weights that cancel, vanish, overflow or need every bit.
WEIGHTS = st.one_of(
    st.sampled_from([0.5, 0.25, 0.6, 0.4, 0.3, 1.0, 0.0, -0.0, 1 / 3, -1.0, 2.0, 1e-3, 1e30, 1e-40]),
    st.floats(-2, 2, allow_nan=False),
)


def any_bits(rng: np.random.Generator, dtype: DType, size: int) -> NDArray[Any]:
    """[size] storage bits: a third odd, a third any pattern at all, a third of the size of weights."""
    odd = rng.choice(np.array(_ODD if dtype is DType.F32 else _SIXTEEN, dtype.storage), size)
    every = rng.integers(0, 2 ** (8 * dtype.itemsize), size, dtype=np.uint64).astype(dtype.storage)
    usual = round_to(rng.standard_normal(size) * 0.02, dtype)
    kind = rng.integers(0, 3, size)
    return np.choose(kind, [odd, every, usual]).astype(dtype.storage)


def bits(dtype: DType, size: int) -> st.SearchStrategy[NDArray[Any]]:
    """[size] storage bits: each number odd, any pattern at all, or of the size that weights have."""
    top = 2 ** (8 * dtype.itemsize) - 1
    odd = _ODD if dtype is DType.F32 else _SIXTEEN
    usual = st.floats(-0.125, 0.125, width=32).map(lambda x: int(np.float32(x).view(np.uint32)))
    if dtype is not DType.F32:
        usual = usual.map(lambda b: b >> 16)
    one = st.one_of(st.sampled_from(odd), st.integers(0, top), usual)
    return st.lists(one, min_size=size, max_size=size).map(lambda xs: np.array(xs, dtype.storage))
