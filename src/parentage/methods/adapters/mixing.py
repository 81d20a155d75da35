"""Tensors of several adapters made one: pruned, weighted, added up, or elected by sign and averaged.

As peft 0.21's ``utils/merge_utils.py`` does it in float32, for x_k [n], the k-th adapter's tensor, and its
weight w_k:

    pruned, by size: the ⌊density · n⌋ largest |x_k| stay; at random: each stays with the probability
    density, and what stays is divided by density
    added:           sum of x_k w_k, in order
    elected (TIES, arXiv 2306.01708): the sign of sum x_k, or of more positive than negative x_k, zero for
                     plus; the sum of those x_k w_k whose x_k has that sign, over their number (at least 1)

Signs are elected before weighting and the sum is divided by a count, where mergekit weights first and
divides by weights. DARE: arXiv 2311.03099. A pruned number is an exact zero and takes no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from parentage.methods.brackets import Look
from parentage.methods.draws import Draws
from parentage.methods.method import Values
from parentage.methods.selection import Asked, Cut, cuts
from parentage.numerics.tool_order.torch_sums import outer_sum

__all__ = ["Drawn", "Keeping", "Mixed", "Mixing", "Stack", "kept"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Mixing:
    """What a combination does. ``prune``: ``none``, ``largest`` (those stay) or ``random``."""

    prune: str = "none"
    elect: bool = False


@dataclass(frozen=True, slots=True)
class Stack:
    """The adapters' tensors, one row each: ``blocks()`` yields (first element, [adapters, n]) in order and
    anew at each call; ``look`` reads [adapters, count] from any element on."""

    rows: int
    elements: int
    blocks: Callable[[], Iterator[tuple[int, Values]]]
    look: Look


@dataclass(frozen=True, slots=True)
class Drawn:
    """Random numbers, and which of their operands the first row of a stack is."""

    draws: Draws
    first: int = 0


@dataclass(frozen=True, slots=True)
class Keeping:
    """Which elements stay. ``cuts``: by row, where the largest stay; ``drawn``: where chance decides."""

    density: float = 1.0
    cuts: tuple[Cut, ...] = ()
    drawn: Drawn | None = None
    nothing: bool = False

    def pruned(self, start: int, x: Values) -> Values:
        """The rows [adapters, n], elements ``start`` on, with zeros in place of what does not stay."""
        if self.nothing:
            return np.zeros_like(x)
        if self.drawn is not None:
            keep = np.stack([self._stays(k, start, x.shape[1]) for k in range(x.shape[0])])
            return np.where(keep, x / np.float32(self.density), np.float32(0))
        if self.cuts:
            keep = np.stack(
                [c.before(row, start, descending=True) for c, row in zip(self.cuts, x, strict=True)]
            )
            return np.where(keep, x, np.float32(0))
        return x

    def _stays(self, row: int, start: int, n: int) -> Mask:
        assert self.drawn is not None
        uniform = self.drawn.draws.uniform(self.drawn.first + row, start, n)
        stays: Mask = uniform < np.float32(self.density)
        return stays


WHOLE: Final = Keeping()


def kept(mixing: Mixing, stack: Stack, density: float, drawn: Drawn | None, *, as_tool: bool) -> Keeping:
    """What stays of each row, in passes that hold no row. ``as_tool``: of equal numbers the tool's."""
    if mixing.prune == "none" or density >= 1:
        return WHOLE
    if mixing.prune == "random":
        return Keeping(density, drawn=drawn)
    count = int(density * stack.elements)
    if not count:
        return Keeping(nothing=True)
    asked = [Asked(k, count, True) for k in range(stack.rows)]
    found = cuts(
        stack.blocks, asked, stack.rows, stack.elements, as_tool=as_tool, topk=True, look=stack.look
    )
    return Keeping(cuts=tuple(found))


@dataclass(frozen=True, slots=True)
class Mixed:
    """The one tensor. ``weights`` [adapters]; ``by_count``: the sign that more rows have is elected."""

    mixing: Mixing
    keeping: Keeping
    weights: NDArray[np.float32]
    elements: int
    by_count: bool = False

    def __call__(self, start: int, x: Values) -> Values:
        """Elements ``start`` on [n] of the rows [adapters, n]."""
        with np.errstate(all="ignore"):
            rows = self.keeping.pruned(start, x)
            weighted = rows * self.weights[:, None]
            if not self.mixing.elect:
                return outer_sum(weighted, start, self.elements)
            agrees = self._agrees(start, rows)
            mixed = outer_sum(np.where(agrees, weighted, np.float32(0)), start, self.elements)
            averaged: Values = mixed / np.maximum(agrees.sum(axis=0), 1).astype(np.float32)
            return averaged

    def _agrees(self, start: int, rows: Values) -> Mask:
        signs = np.sign(rows)
        total = outer_sum(signs if self.by_count else rows, start, self.elements)
        agrees: Mask = signs == np.where(total >= 0, np.float32(1), np.float32(-1))
        return agrees
