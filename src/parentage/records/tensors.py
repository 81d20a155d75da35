"""Tensors and weight files as a checkpoint's headers describe them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from parentage.records.dtypes import DType

__all__ = [
    "Adapted",
    "Dequantised",
    "Groups",
    "Order",
    "Packed",
    "Piece",
    "Scaled",
    "ShardRef",
    "Shifted",
    "TensorRef",
]


@dataclass(frozen=True, slots=True)
class Scaled:
    """A tensor holds codes: a weight is (code - zero point) · scale.

    ``scale``, ``zero_point``: names of tensors of the same checkpoint; ``zero_point`` empty where it is 0.
    ``blocks``: how many neighbours along each dimension of the codes' shape share one scale: (1, n) for a
    scale a row of an [m, n] matrix, (m, n) for one scale in all. Both hold one number a block, in the
    blocks' order, whatever shape they have. ``bits``: codes of so many bits of a matrix of ``shape`` lie in
    bytes, each row's from a byte of its own, and so do zero points that are bytes; 0 where none is packed.
    """

    scale: str
    zero_point: str
    blocks: tuple[int, ...]
    bits: int = 0
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TensorRef:
    """One tensor: where its bytes lie. ``begin``, ``end`` are offsets in the file ``shard``.

    ``encoding``: the name of a block format whose numbers ``dtype`` holds once they are decoded (GGUF's
    ``Q4_1``); empty where the file holds ``dtype`` itself. ``pieces``: the tensor lies in parts of others,
    one after the other, and has no bytes of its own (``shard`` empty). ``transposed``: the file holds the
    matrix [n, m] of which ``shape`` is [m, n]. ``scaled``: where the scales of quantised weights are.
    ``dequantised``: weights are read through them; ``dtype`` is float32, ``encoding`` names the codes.
    ``order``: another tensor's rows and columns in another order; ``packed``: numbers of few bits that lie
    in another tensor's words. Neither has bytes of its own.
    ``adapted``: a base's tensor, whose place in the file this is, with an adapter merged in. ``shifted``:
    another tensor's numbers plus one, or less one, as ``Shifted`` says.
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
    packed: Packed | None = None
    shifted: Shifted | None = None

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
        if self.packed is not None:
            return self.packed.source.nbytes
        if self.shifted is not None:
            return self.shifted.source.nbytes
        if self.pieces:
            return sum(p.count * p.source.nbytes // max(p.source.elements, 1) for p in self.pieces)
        return self.end - self.begin

    @property
    def stored_names(self) -> tuple[str, ...]:
        """The tensors of the file that it is made of."""
        if self.order is not None:
            return self.order.source.stored_names
        if self.packed is not None:
            return self.packed.source.stored_names
        if self.shifted is not None:
            return self.shifted.source.stored_names
        if not self.pieces:
            return (self.name,)
        return tuple(dict.fromkeys(n for p in self.pieces for n in p.source.stored_names))


@dataclass(frozen=True, slots=True)
class Packed:
    """Unsigned numbers of ``bits`` each, several in one word of ``source``, [m, n] words.

    ``axis``: they follow one another along the rows (0: down a column) or along the columns (1) of the
    matrix as it is stored, each line beginning with a word of its own. ``order``: the k-th number of a word
    lies ``order[k] · bits`` above its lowest bit; empty where they lie densely, from the lowest bit on,
    also across words. ``turned``: the tensor is the matrix the other way round.
    """

    source: TensorRef
    bits: int
    axis: int = 1
    order: tuple[int, ...] = ()
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Shifted:
    """``source``'s numbers and ``by``, added in float32; in binary16 where the source is, as llama.cpp's
    converter adds one to norms that hold w where the model multiplies by 1 + w. The result is float32."""

    source: TensorRef
    by: float


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Column j of a matrix has the scale of group ``numbers[j]``, of ``count`` in a row."""

    numbers: NDArray[np.int64]
    count: int


@dataclass(frozen=True, slots=True)
class Dequantised:
    """Weights that are (code - zero point) · scale, as in ``Scaled``; ``blocks`` in the weights' shape.

    ``zero``: taken off the codes besides the zero point. ``table``: what each code stands for, in place of
    its number. ``factor``: by which the product is multiplied, ``added``: what is then added; in float32.
    ``groups``: which columns share a scale, where these are not neighbours.
    """

    codes: TensorRef
    scale: TensorRef
    zero_point: TensorRef | None
    blocks: tuple[int, ...]
    zero: int = 0
    table: tuple[float, ...] = ()
    factor: float = 1.0
    added: float = 0.0
    groups: Groups | None = None

    @property
    def bits(self) -> int:
        """Of a code."""
        return self.codes.packed.bits if self.codes.packed else 8 * self.codes.dtype.itemsize


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
