"""A tensor's operands in blocks whose borders do not depend on how they are read.

Sums depend on their order: every pass that adds numbers up goes over these blocks, so that no chunk size
can move a norm or a threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from parentage.methods.method import Reader, Values

__all__ = ["BLOCK", "blocks", "rows_of"]

# 256 KB an operand: small beside a reader's chunk, large beside a call's cost. A multiple of 64, the
# widest step of the sums in ``torch_sums``.
BLOCK: Final = 1 << 16


def blocks(reader: Reader, size: int = BLOCK) -> Iterator[tuple[int, Values]]:
    """(first element, operands [models, ``size``]) in order; only the last block is shorter."""
    room = np.empty((reader.models, size), np.float32)
    begin, filled = 0, 0
    for _, values in reader.chunks():
        used, n = 0, values.shape[1]
        while used < n:
            if filled == 0 and n - used >= size:
                yield begin, values[:, used : used + size]
                begin, used = begin + size, used + size
                continue
            take = min(size - filled, n - used)
            room[:, filled : filled + take] = values[:, used : used + take]
            filled, used = filled + take, used + take
            if filled == size:
                yield begin, room
                begin, filled = begin + size, 0
    if filled:
        yield begin, room[:, :filled]


def rows_of(shape: tuple[int, ...]) -> int:
    """Elements of a row: of the last dimension, 1 for a single number."""
    return shape[-1] if shape else 1
