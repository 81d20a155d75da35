"""Task arithmetic: base + lambda * sum w_k (x_k - base). Ilharco et al., arXiv 2212.04089."""

from __future__ import annotations

from typing import Final

from parentage.methods.method import Method
from parentage.methods.task_vectors import task_method

__all__ = ["TASK_ARITHMETIC"]

TASK_ARITHMETIC: Final[Method] = task_method(
    "task_arithmetic",
    "the base plus a weighted sum of the models' changes",
    "https://arxiv.org/abs/2212.04089",
    "task-arithmetic-merge",
    elect=False,
)
