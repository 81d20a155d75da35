"""How many directions does a difference have?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["stable_rank"]

STEPS = 60
TOLERANCE = 1e-9


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)


def stable_rank(matrix: NDArray[np.float64], rng: np.random.Generator) -> float:
    """Squared Frobenius norm over squared spectral norm of a [rows, columns] matrix (1 ... rank).

    Power iteration from a seeded start; the spectral norm is approached from below, so the stable rank
    from above, to about 1e-3 for spectra without a gap. 0 for a zero matrix. (Rudelson & Vershynin 2007)
    """
    whole = float(np.sum(matrix * matrix))
    if whole == 0:
        return 0.0
    vector = _unit(np.asarray(rng.standard_normal(matrix.shape[1]), dtype=np.float64))
    largest = 0.0
    for _ in range(STEPS):
        image = matrix @ vector
        vector = matrix.T @ image
        size = float(np.linalg.norm(vector))
        if size == 0:
            break
        vector = np.asarray(vector / size, dtype=np.float64)
        if abs(size - largest) <= TOLERANCE * size:
            largest = size
            break
        largest = size
    return max(1.0, whole / largest) if largest > 0 else 0.0
