"""Tensors and weight files as a checkpoint's headers describe them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from parentage.records.dtypes import DType

__all__ = ["Adapted", "Dequantised", "Order", "Piece", "Scaled", "ShardRef", "TensorRef"]


@dataclass(frozen=True, slots=True)
class Scaled:
    """A tensor holds codes: a weight is (code - zero point) · scale.

    ``scale``, ``zero_point``: names of tensors of the same checkpoint; ``zero_point`` empty where it is 0.
    ``blocks``: how many neighbours along each dimension of the codes' shape share one scale: (1, n) for a
    scale a row of an [m, n] matrix, (m, n) for one scale in all. Both hold one number a block, in the
    blocks' order, whatever shape they have.
    """

    scale: str
    zero_point: str
    blocks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorRef:
    """One tensor: where its bytes lie. ``begin``, ``end`` are offsets in the file ``shard``.

    ``encoding``: the name of a block format whose numbers ``dtype`` holds once they are decoded (GGUF's
    ``Q4_1``); empty where the file holds ``dtype`` itself. ``pieces``: the tensor lies in parts of others,
    one after the other, and has no bytes of its own (``shard`` empty). ``transposed``: the file holds the
    matrix [n, m] of which ``shape`` is [m, n]. ``scaled``: where the scales of quantised weights are.
    ``dequantised``: weights are read through them; ``dtype`` is float32, ``encoding`` names the codes.
    ``order``: another tensor's rows and columns in another order; it has no bytes of its own.
    ``adapted``: a base's tensor, whose place in the file this is, with an adapter merged in.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    shard: str
    begin: int
    end: int
    encoding: str = ""
    pieces: tuple[Piece, ...] = ()
    transposed: bool = False
    scaled: Scaled | None = None
    dequantised: Dequantised | None = None
    order: Order | None = None
    adapted: Adapted | None = None

    @property
    def stored_as(self) -> str:
        """The number format of the file: a dtype's name, or a block format's."""
        return self.encoding or self.dtype.value

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of data, those of its pieces included."""
        if self.order is not None:
            return self.order.source.nbytes
        if self.pieces:
            return sum(p.count * p.source.nbytes // max(p.source.elements, 1) for p in self.pieces)
        return self.end - self.begin

    @property
    def stored_names(self) -> tuple[str, ...]:
        """The tensors of the file that it is made of."""
        if self.order is not None:
            return self.order.source.stored_names
        if not self.pieces:
            return (self.name,)
        return tuple(dict.fromkeys(n for p in self.pieces for n in p.source.stored_names))


@dataclass(frozen=True, slots=True)
class Dequantised:
    """Weights that are (code - zero point) · scale, as in ``Scaled``; ``blocks`` in the weights' shape.

    ``packed_bits``: several codes of so many bits, made unsigned, lie in each 32-bit number of ``codes``,
    the first in the lowest bits, every row padded to whole numbers; 0 where ``codes`` holds each apart.
    """

    codes: TensorRef
    scale: TensorRef
    zero_point: TensorRef | None
    blocks: tuple[int, ...]
    packed_bits: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """Row ``rows[i]`` and column ``columns[j]`` of ``source``, [n, m] or [n], lie at (i, j); None: as is.

    ``row_factors``, ``column_factors``: by which the numbers are multiplied at (i, j); each is a power of
    two or its negative, so that nothing is rounded.
    """

    source: TensorRef
    rows: NDArray[np.int64] | None = None
    columns: NDArray[np.int64] | None = None
    row_factors: NDArray[np.float64] | None = None
    column_factors: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Adapted:
    """``base`` + ``scaling`` · B A, rows scaled to ``magnitude`` where there is one, stored as ``base`` is.

    ``a`` [rank, in], ``b`` [out, rank]: the factors; ``turned``: the tensor is [in, out] and holds the
    transpose. ``rounded``: the change is rounded as ``base`` is before it is added. ``saved``: what takes
    the base's place instead, where the adapter holds a whole tensor.
    """

    base: TensorRef
    a: TensorRef | None = None
    b: TensorRef | None = None
    magnitude: TensorRef | None = None
    scaling: float = 1.0
    turned: bool = False
    rounded: bool = False
    saved: TensorRef | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """``count`` elements of ``source`` from ``start`` on; the whole has them from ``at`` on."""

    at: int
    count: int
    source: TensorRef
    start: int


@dataclass(frozen=True, slots=True)
class ShardRef:
    """One weight file: name relative to the checkpoint, size and header size in bytes."""

    name: str
    size: int
    header_bytes: int
    published_sha256: str = ""
    """The digest that the place publishes; empty where it publishes none."""
