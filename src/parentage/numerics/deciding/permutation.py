"""The row-permutation null: how alike are two deltas when their rows no longer belong together?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["cosine", "row_permutation_null"]

Floats = NDArray[np.float64]


def cosine(x: Floats, y: Floats) -> float:
    """Cosine of two arrays of equal shape; 0 when one of them is zero."""
    size = float(np.sqrt(np.sum(x * x) * np.sum(y * y)))
    return float(np.sum(x * y)) / size if size > 0 else 0.0


def row_permutation_null(
    *, suspect_delta: Floats, parent_delta: Floats, permutations: int, rng: np.random.Generator
) -> Floats:
    """Cosines [permutations] of [rows, columns] deltas with the rows of one of them permuted.

    Keeps what makes the i.i.d. null wrong (heavy columns, scales, low rank within a row) and breaks
    only the correspondence of rows.
    """
    null = [
        cosine(suspect_delta[rng.permutation(len(suspect_delta))], parent_delta)
        for _ in range(permutations)
    ]
    return np.array(null)
