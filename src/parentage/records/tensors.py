"""Tensors and weight files as a checkpoint's headers describe them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from parentage.records.dtypes import DType

__all__ = ["ShardRef", "TensorRef"]


@dataclass(frozen=True, slots=True)
class TensorRef:
    """One tensor: where its bytes lie. ``begin``, ``end`` are offsets in the file ``shard``."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    shard: str
    begin: int
    end: int

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of data."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class ShardRef:
    """One weight file: name relative to the checkpoint, size and header size in bytes."""

    name: str
    size: int
    header_bytes: int
