"""Leading singular triples of matrices that are not held, against the whole decomposition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage.numerics.matrices.truncated_svd import (
    GRAM_COLUMNS,
    Bands,
    krylov_numbers,
    truncated_bands,
    truncated_product,
)

Matrix = NDArray[np.float64]


def best(matrix: Matrix, rank: int) -> Matrix:
    u, values, v = np.linalg.svd(matrix, full_matrices=False)
    return (u[:, :rank] * values[:rank]) @ v[:rank]


def bands_of(matrix: Matrix, step: int) -> Bands:
    def read() -> Iterator[tuple[int, Any]]:
        for first in range(0, matrix.shape[0], step):
            yield first, matrix[first : first + step]

    return Bands((matrix.shape[0], matrix.shape[1]), read)


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (5, 40), (40, 3)])
@pytest.mark.parametrize("rank", [1, 4, 9, 60])
def test_a_product_of_thin_factors_is_cut_as_the_whole_matrix_would_be(
    shape: tuple[int, int], rank: int
) -> None:
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal((shape[0], 6)), rng.standard_normal((6, shape[1]))
    wanted = best(left @ right, rank)
    a, b = truncated_product(left.copy(), right.copy(), rank)
    assert a.shape[1] == b.shape[0] <= min(rank, 6)
    assert np.abs(a @ b - wanted).max() < 1e-12 * np.abs(wanted).max()


@pytest.mark.parametrize("step", [1, 7, 100])
def test_a_matrix_by_bands_is_cut_as_the_whole_would_be(step: int) -> None:
    matrix = np.random.default_rng(2).standard_normal((90, 40))
    a, b = truncated_bands(bands_of(matrix, step), 5)
    assert np.abs(a @ b - best(matrix, 5)).max() < 1e-10


def test_a_wide_matrix_goes_through_spaces_to_the_same_end() -> None:
    rng = np.random.default_rng(3)
    n = GRAM_COLUMNS + 30
    signal = rng.standard_normal((120, 6)) @ rng.standard_normal((6, n))
    # A tail that does not fall off, as pruning leaves one, well below the sixth value.
    matrix = signal + rng.standard_normal((120, n)) * 0.1
    a, b = truncated_bands(bands_of(matrix, 50), 6)
    wanted = best(matrix, 6)
    assert np.abs(a @ b - wanted).max() < 1e-6 * np.abs(wanted).max()


@pytest.mark.slow
def test_of_values_that_are_nearly_alike_the_energy_kept_is_that_of_the_best() -> None:
    rng = np.random.default_rng(4)
    matrix = rng.standard_normal((100, GRAM_COLUMNS + 5))
    a, _ = truncated_bands(bands_of(matrix, 100), 4)
    assert np.sum(a**2) > np.sum(best(matrix, 4) ** 2) * (1 - 1e-6)


def test_what_will_be_held_is_known_before_it_is() -> None:
    assert krylov_numbers((1 << 20, 1024), 8) < 3 << 23
    assert krylov_numbers((28_672, 8_192), 64) < 3 << 23
    assert krylov_numbers((28_672, 8_192), 4096) > 1 << 26
