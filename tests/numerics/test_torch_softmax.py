"""Softmax as torch's CPU kernel rounds it: values that torch 2.13 gave, one thread, AVX-512."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage.numerics.tool_order.torch_softmax import softmax_rows

# torch.softmax of ((37 k) % 53) / 64 for k below 21, and of the first five alone, as patterns.
LONG = (
    *("3cf8fd1e", "3d5def6a", "3d2cd7e4", "3d069c4a", "3d6ff81c", "3d3ae360", "3d118c75", "3d81bbf9"),
    *("3d4a1307", "3d1d6029", "3d8c46b5", "3d5a7e93", "3d2a29e4", "3d048608", "3d6c3fb1", "3d37fda2"),
    *("3d0f4ac9", "3d7f7224", "3d46f103", "3d1aef8e", "3d8a19f6"),
)
SHORT = ("3e0e9f00", "3e7e3fe5", "3e460282", "3e1a35ce", "3e897466")


def _row(n: int) -> NDArray[np.float32]:
    return ((np.arange(n) * 37) % 53 / 64).astype(np.float32)


@pytest.mark.parametrize("patterns", [LONG, SHORT], ids=["lanes-and-a-tail", "in-order"])
def test_every_bit_is_that_of_torch(patterns: tuple[str, ...]) -> None:
    found = softmax_rows(np.stack([_row(len(patterns))] * 2))
    wanted = np.array([int(p, 16) for p in patterns], np.uint32)
    assert (found.view(np.uint32) == wanted).all()


def test_a_softmax_whose_steps_are_rounded_correctly_is_another() -> None:
    row = _row(len(LONG)).astype(np.float64)
    exact = (np.exp(row) / np.exp(row).sum()).astype(np.float32)
    assert np.count_nonzero(exact != softmax_rows(_row(len(LONG))[None])[0]) > len(LONG) // 2


def test_rows_sum_to_one_and_a_far_number_has_no_share() -> None:
    found = softmax_rows(np.array([[0, -1, -2, -200], [88, 88, 88, 88]], np.float32))
    assert found[0, 3] == 0
    assert np.abs(found.astype(float).sum(axis=1) - 1).max() < 1e-6


def test_no_rows_have_no_shares() -> None:
    assert softmax_rows(np.empty((0, 4), np.float32)).shape == (0, 4)
