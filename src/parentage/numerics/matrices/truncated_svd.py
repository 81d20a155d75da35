"""The leading singular triples of matrices that are not held: products of thin factors, matrices by bands.

A product L R of thin factors has the singular values of the small matrix L S, S from R's QR factors, at the
cost of the factors. Of any other matrix with few columns the Gram matrix is added up band by band
and decomposed. A wider one goes through a block Krylov space (Musco & Musco, arXiv 1504.05477), begun anew
from what it found until the energy that it holds settles. All in float64; one sweep of the bands at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, qr

__all__ = ["GRAM_COLUMNS", "Bands", "Factor", "krylov_numbers", "truncated_bands", "truncated_product"]

Matrix = NDArray[np.float64]
Factor = NDArray[np.floating]
# Rows of a factor that are widened at once.
BAND: Final = 4096
# A Gram matrix of 3,072 columns has 75 MB, and LAPACK's room for its leading vectors as much again.
GRAM_COLUMNS: Final = 3072
# Directions beside those asked for, blocks of a space, spaces; where energy no longer grows, it is done.
OVER, BLOCKS, SPACES = 8, 4, 12
SETTLED: Final = 1e-12
SEED: Final = 20260


@dataclass(frozen=True, slots=True)
class Bands:
    """A matrix [m, n] as bands of rows: ``read()`` yields (first row, [rows, n]) in order, anew at each
    call."""

    shape: tuple[int, int]
    read: Callable[[], Iterator[tuple[int, NDArray[np.floating]]]]


def truncated_product(left: Factor, right: Factor, rank: int) -> tuple[Matrix, Matrix]:
    """[m, k] · [k, n], the best approximation of left · right of that rank; k = rank, or the least of the
    sides if that is less. Of the longer side no copy in float64 is made."""
    if left.shape[0] < right.shape[1]:
        a, b = truncated_product(right.T, left.T, rank)
        return b.T, a.T
    p, s = qr(right.T.astype(np.float64), mode="economic", overwrite_a=True, check_finite=False)
    gram = np.zeros((s.shape[0], s.shape[0]))
    for first in range(0, left.shape[0], BAND):
        seen = left[first : first + BAND].astype(np.float64) @ s.T
        gram += seen.T @ seen
    # Squares lose singular values below 1e-8 of the largest: what they hold is below float32's rounding.
    vectors = np.linalg.eigh(gram)[1][:, ::-1][:, :rank]
    made = np.empty((left.shape[0], vectors.shape[1]))
    for first in range(0, left.shape[0], BAND):
        made[first : first + BAND] = left[first : first + BAND].astype(np.float64) @ (s.T @ vectors)
    return made, np.asarray((p @ vectors).T)


def krylov_numbers(shape: tuple[int, int], rank: int) -> int:
    """Numbers that ``truncated_bands`` holds at most; 8 bytes each."""
    m, n = shape
    k = min(rank + OVER, m, n)
    if n <= GRAM_COLUMNS:
        return 2 * n * n + k * (m + n)
    return BLOCKS * k * (2 * n + m)


def truncated_bands(bands: Bands, rank: int) -> tuple[Matrix, Matrix]:
    """The same of a matrix by bands: [m, k] · [k, n]."""
    k = min(rank, *bands.shape)
    v = _of_gram(bands, k) if bands.shape[1] <= GRAM_COLUMNS else _of_spaces(bands, k)
    left = np.empty((bands.shape[0], k))
    for first, band in bands.read():
        left[first : first + band.shape[0]] = band.astype(np.float64) @ v
    return left, np.ascontiguousarray(v.T)


def _of_gram(bands: Bands, k: int) -> Matrix:
    """The k leading right vectors [n, k], the largest first."""
    n = bands.shape[1]
    gram = np.zeros((n, n))
    for _, band in bands.read():
        wide = band.astype(np.float64)
        gram += wide.T @ wide
    _, vectors = eigh(gram, subset_by_index=(n - k, n - 1), overwrite_a=True, check_finite=False)
    return np.ascontiguousarray(vectors[:, ::-1])


def _of_spaces(bands: Bands, k: int) -> Matrix:
    width = min(k + OVER, *bands.shape)
    start = np.random.Generator(np.random.Philox(SEED)).standard_normal((bands.shape[1], width))
    held = -1.0
    for _ in range(SPACES):
        start, energy = _space(bands, start, k)
        if energy <= held * (1 + SETTLED):
            break
        held = energy
    return np.ascontiguousarray(start[:, :k])


def _space(bands: Bands, start: Matrix, k: int) -> tuple[Matrix, float]:
    """Right vectors [n, width], the best of the Krylov space of a start, and the energy of the first k."""
    width = start.shape[1]
    basis = np.empty((start.shape[0], 0))
    block = start
    for _ in range(BLOCKS):
        basis = np.concatenate([basis, _against(basis, block)], axis=1)
        block = np.zeros_like(start)
        newest = basis[:, -width:]
        for _, band in bands.read():
            wide = band.astype(np.float64)
            block += wide.T @ (wide @ newest)
    gram = np.zeros((basis.shape[1], basis.shape[1]))
    for _, band in bands.read():
        seen = band.astype(np.float64) @ basis
        gram += seen.T @ seen
    values, vectors = np.linalg.eigh(gram)
    leading = np.ascontiguousarray(vectors[:, ::-1][:, :width])
    return basis @ leading, float(values[::-1][:k].sum())


def _against(basis: Matrix, block: Matrix) -> Matrix:
    """An orthonormal block beside the basis; twice, because once leaves what rounding does."""
    for _ in range(2):
        block = block - basis @ (basis.T @ block)
        block = np.linalg.qr(block)[0]
    return block
