"""Norms that hold 1 + w read beside such that hold w, through the very addition that a converter made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType
from parentage.records.tensors import TensorRef

__all__ = ["read_shifted"]

Bits = NDArray[np.unsignedinteger]
Read = Callable[[TensorRef, int, int], Bits]


def read_shifted(tensor: TensorRef, start: int, count: int, read: Read) -> Bits:
    """Bits of elements [start, start + count), float32."""
    how = tensor.shifted
    assert how is not None
    with np.errstate(all="ignore"):
        found = to_float32(read(how.source, start, count), how.source.dtype) + np.float32(how.by)
        if how.source.dtype is DType.F16:
            found = found.astype(np.float16).astype(np.float32)
    bits: Bits = np.asarray(found, np.float32).view(np.uint32)
    return bits
