"""Draws of several answers at once, each from a seed of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["RowNoise"]


class RowNoise:
    """Adds to each row's scores noise that makes their greatest a draw from softmax(scores / temperature).

    The Gumbel-max trick (Gumbel 1954; Maddison et al. 2014, arXiv 1411.0030): the greatest of s/T - log E,
    with E of the exponential distribution. A row's noise follows from its seed and the number of the token,
    whatever other rows are drawn beside it. Called as transformers calls what processes logits.
    """

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        import torch

        self._drawn = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._temperature = temperature

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """``scores``: [rows, tokens of the vocabulary], float; returns float64 of the same shape."""
        import torch

        noise = torch.empty(scores.shape, dtype=torch.float64)
        for row, drawn in zip(noise, self._drawn, strict=True):
            row.exponential_(generator=drawn)
        return scores.double() / self._temperature - noise.log().to(scores.device)
