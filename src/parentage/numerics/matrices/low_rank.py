"""Products of thin matrices in the order of a tool: what an adapter adds to a matrix.

peft computes B A in float32 through torch; MKL's sgemm fuses one product and sum a rank, in order (up to
rank 128 at least: no bit differs from torch 2.13's on one thread).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.numerics.storage.rounding_kernels import fma32
from parentage.numerics.tool_order.torch_sums import TorchNorm

__all__ = ["product", "row_norms"]

Values = NDArray[np.float32]


@njit(cache=True, nogil=True, error_model="numpy")
def _fused(left: Values, right: Values, out: Values) -> None:
    for i in range(left.shape[0]):
        for j in range(right.shape[1]):
            out[i, j] = np.float32(0)
        for k in range(left.shape[1]):
            x = left[i, k]
            for j in range(right.shape[1]):
                out[i, j] = np.float32(fma32(x, right[k, j], out[i, j]))


@njit(cache=True, nogil=True, error_model="numpy")
def _plain(left: Values, right: Values, out: Values) -> None:
    for i in range(left.shape[0]):
        for j in range(right.shape[1]):
            out[i, j] = np.float32(0)
        for k in range(left.shape[1]):
            x = left[i, k]
            for j in range(right.shape[1]):
                out[i, j] += x * right[k, j]


def product(left: Values, right: Values, *, fused: bool) -> Values:
    """[rows, rank] times [rank, columns], float32, over the rank in order.

    ``fused``: each product and sum is rounded once; otherwise each apart.
    """
    out = np.empty((left.shape[0], right.shape[1]), np.float32)
    (_fused if fused else _plain)(np.ascontiguousarray(left), np.ascontiguousarray(right), out)
    return out


def row_norms(rows: Values) -> Values:
    """The Euclidean norm of each row [n], float32, as torch's ``linalg.norm(dim=1)`` gives them."""
    norms = np.empty(rows.shape[0], np.float32)
    for i, row in enumerate(rows):
        norm = TorchNorm()
        norm.add(row)
        norms[i] = norm.result()
    return norms
