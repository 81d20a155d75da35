"""Elements of a base's tensor with an adapter merged in, as peft merges it: bit for bit, by slice.

base + scaling · B A in float32 (one fused product and sum a rank), rounded once to the base's dtype; the
change of an embedding is rounded by itself before. DoRA scales the rows of the sum to their learned length.
Hu et al., arXiv 2106.09685; Liu et al., arXiv 2402.09353. peft widens factors of 16 bits to float32 when it
loads an adapter, so they are exact here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.tensors import Adapted, TensorRef

__all__ = ["adapted_parts", "read_adapted"]

# Elements that are made at once: 1 MB of float32 thrice.
BAND = 2**18
Bits = NDArray[np.unsignedinteger]
Values = NDArray[np.float32]
Read = Callable[[TensorRef, int, int], Bits]
Block = tuple[int, int, int, int]
"""First and one past the last row, the same of columns."""


def adapted_parts(tensor: TensorRef, start: int, count: int) -> Iterator[tuple[TensorRef, int, int]]:
    """What is read for elements [start, start + count): (tensor, start, count) of base and adapter."""
    how = _how(tensor)
    if how.saved is not None:
        yield how.saved, start, count
        return
    for block in _blocks(tensor, how, start, count):
        yield _rectangle(how.base, block)
        yield from (*_across(how, block), _along(how, block))
    if how.magnitude is not None:
        yield how.magnitude, 0, how.magnitude.elements


def read_adapted(tensor: TensorRef, start: int, count: int, read: Read) -> Bits:
    """Storage bits of elements [start, start + count)."""
    how, columns = _how(tensor), _columns(tensor)
    if how.saved is not None:
        bits = read(how.saved, start, count)
        same = how.saved.dtype is tensor.dtype
        return bits if same else round_to(to_float32(bits, how.saved.dtype), tensor.dtype)
    out = np.empty(count, tensor.dtype.storage)
    for block in _blocks(tensor, how, start, count):
        top, bottom, left, right = block
        made = _made(how, block, read).reshape(-1)
        # Bands of whole rows may hold more than was asked for, at their beginning and end.
        first = top * columns + left
        low, high = max(start, first), min(start + count, (bottom - 1) * columns + right)
        out[low - start : high - start] = made[low - first : high - first]
    return out


def _made(how: Adapted, block: Block, read: Read) -> Bits:
    """Storage bits [rows, columns] of a block."""
    # Compiled: half of the start of a command that opens checkpoints, of which few have adapters.
    from parentage.numerics.matrices.low_rank import product, row_norms

    top, bottom, left, right = block
    base = to_float32(read(*_rectangle(how.base, block)), how.base.dtype).reshape(
        bottom - top, right - left
    )
    with np.errstate(all="ignore"):
        rows, columns = _sides(how, block, read)
        change = product(rows, columns, fused=True) * np.float32(how.scaling)
        if how.rounded:
            change = to_float32(round_to(change.reshape(-1), how.base.dtype), how.base.dtype)
        made = base + change.reshape(base.shape)
        if how.magnitude is not None:
            length = to_float32(read(how.magnitude, top, bottom - top), how.magnitude.dtype)
            made = (length / row_norms(made))[:, None] * made
        return round_to(made.reshape(-1), how.base.dtype).reshape(base.shape)


def _sides(how: Adapted, block: Block, read: Read) -> tuple[Values, Values]:
    """Factors [rows, rank] and [rank, columns] of a block."""
    across = _numbers(_across(how, block), read)
    along = _numbers([_along(how, block)], read)
    rank = how.a.shape[0] if how.a is not None else 0
    if how.turned:
        return across.reshape(rank, -1).T, along.reshape(-1, rank).T
    return along.reshape(-1, rank), across.reshape(rank, -1)


def _numbers(parts: Sequence[tuple[TensorRef, int, int]], read: Read) -> Values:
    return np.concatenate([to_float32(read(*part), part[0].dtype) for part in parts])


def _along(how: Adapted, block: Block) -> tuple[TensorRef, int, int]:
    """B's rows, which lie in one piece."""
    assert how.b is not None
    first, last = block[2:] if how.turned else block[:2]
    rank = how.b.shape[1]
    return how.b, first * rank, (last - first) * rank


def _across(how: Adapted, block: Block) -> list[tuple[TensorRef, int, int]]:
    """A's columns, rank by rank."""
    assert how.a is not None
    first, last = block[:2] if how.turned else block[2:]
    rank, inner = how.a.shape
    if (first, last) == (0, inner):
        return [(how.a, 0, how.a.elements)]
    return [(how.a, k * inner + first, last - first) for k in range(rank)]


def _how(tensor: TensorRef) -> Adapted:
    """What the tensor is made of; a matrix that is presented the other way round is made that way."""
    how = tensor.adapted
    assert how is not None
    if not tensor.transposed:
        return how
    base, saved = (
        None if t is None else replace(t, shape=tensor.shape, transposed=not t.transposed)
        for t in (how.base, how.saved)
    )
    assert base is not None
    return replace(how, base=base, saved=saved, turned=not how.turned)


def _columns(tensor: TensorRef) -> int:
    return tensor.shape[-1] if tensor.shape else 1


def _rectangle(base: TensorRef, block: Block) -> tuple[TensorRef, int, int]:
    """A block is whole rows, or lies in one row: either way one run of elements."""
    top, bottom, left, right = block
    columns = _columns(base)
    return base, top * columns + left, (bottom - top) * columns - (columns - right) - left


def _blocks(tensor: TensorRef, how: Adapted, start: int, count: int) -> Iterator[Block]:
    """Blocks that cover the elements in order: a part of one row, or bands of whole rows."""
    columns, end = _columns(tensor), start + count
    if not count:
        return
    first, last = start // columns, (end - 1) // columns + 1
    if last - first == 1 and how.magnitude is None:
        yield first, last, start - first * columns, end - first * columns
        return
    step = max(1, BAND // columns)
    for top in range(first, last, step):
        yield top, min(top + step, last), 0, columns
