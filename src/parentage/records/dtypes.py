"""Storage dtypes, named as the safetensors specification names them."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

__all__ = ["DType"]


class DType(StrEnum):
    """A tensor's storage dtype. Arrays cross rooms as raw bits (``storage``) beside one of these."""

    F64 = "F64"
    F32 = "F32"
    F16 = "F16"
    BF16 = "BF16"
    F8_E4M3 = "F8_E4M3"
    F8_E5M2 = "F8_E5M2"
    I64 = "I64"
    I32 = "I32"
    I16 = "I16"
    I8 = "I8"
    U64 = "U64"
    U32 = "U32"
    U16 = "U16"
    U8 = "U8"
    BOOL = "BOOL"

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return _ITEMSIZE[self]

    @property
    def is_float(self) -> bool:
        """True for every floating-point dtype."""
        return self.value.startswith(("F", "BF"))

    @property
    def storage(self) -> np.dtype[np.unsignedinteger]:
        """The little-endian unsigned integer dtype that holds one element's bits."""
        return np.dtype(f"<u{self.itemsize}")


_ITEMSIZE: dict[DType, int] = {
    DType.F64: 8,
    DType.F32: 4,
    DType.F16: 2,
    DType.BF16: 2,
    DType.F8_E4M3: 1,
    DType.F8_E5M2: 1,
    DType.I64: 8,
    DType.I32: 4,
    DType.I16: 2,
    DType.I8: 1,
    DType.U64: 8,
    DType.U32: 4,
    DType.U16: 2,
    DType.U8: 1,
    DType.BOOL: 1,
}
