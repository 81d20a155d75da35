"""Model stock: the average of the models, drawn back to the base by how far their changes disagree.

Jang, Yun & Han, "Model Stock: all we need is just a few fine-tuned models", arXiv 2403.19522. With c the
mean cosine of the N models' changes, over pairs: t = N c / (1 + (N - 1) c); out = t mean + (1 - t) base.
One t a tensor, or one a row (``filter_wise``). Each step rounded to D; where |1 + (N - 1) c| < 1e-6, t = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.methods.algebra import Algebra
from parentage.methods.blocks import rows_of
from parentage.methods.grids import stored
from parentage.methods.method import (
    BASE_REQUIRED,
    Bits,
    Declared,
    Method,
    Parameters,
    Profile,
    Reader,
    Rule,
    Values,
)
from parentage.methods.task_vectors import Deltas
from parentage.numerics.tool_order.torch_sums import sum_of

__all__ = ["MODEL_STOCK"]


def _share(norms: Sequence[Any], dots: Sequence[Any], algebra: Algebra) -> np.float32:
    """t from the norms of the changes and the dot products of their pairs, in order."""
    models = len(norms)
    low = algebra.q(np.float32(1e-6))
    cosines = []
    for (i, j), dot in zip(combinations(range(models), 2), dots, strict=True):
        product = np.maximum(algebra.mul(norms[i], norms[j]), low)
        cosines.append(np.clip(algebra.div(dot, product), np.float32(-1), np.float32(1)))
    # A mean divides the sum before it is rounded.
    total = _sum(np.array(cosines, np.float32), algebra)
    c = algebra.div(total, np.float32(len(cosines)))
    below = algebra.add(np.float32(1), algebra.mul(np.float32(models - 1), c))
    if abs(below) < np.float32(1e-6):
        return np.float32(0)
    return np.float32(algebra.div(algebra.mul(np.float32(models), c), below))


def _sum(x: Values, algebra: Algebra) -> np.float32:
    return algebra.sum_of(x) if algebra.profile.ours else sum_of(x, narrow=algebra.dtype.itemsize == 2)


@dataclass(frozen=True, slots=True)
class _Stock:
    deltas: Deltas
    algebra: Algebra
    share: np.float32 | None
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        q, d = self.algebra, self.deltas
        share: Any = self.share if self.share is not None else self._shares(values)
        # From zero on: a sum of negative zeros is a positive one.
        mean: Values = np.zeros(values.shape[1], np.float32)
        for k in d.others:
            mean = q.add(mean, q.q(values[k]))
        mean = q.div(mean, np.float32(len(d.others)))
        drawn = q.mul(q.sub(np.float32(1), share), q.q(values[d.base]))
        return stored(q.add(q.mul(share, mean), drawn), q.profile.out)

    def _shares(self, values: Values) -> NDArray[np.float32]:
        """One t a row, repeated for each of its elements [n]."""
        changes = self.deltas(values).reshape(len(self.deltas.others), -1, self.granularity)
        shares = [self._row(changes[:, r]) for r in range(changes.shape[1])]
        return np.repeat(np.array(shares, np.float32), self.granularity)

    def _row(self, rows: Values) -> np.float32:
        q = self.algebra
        norms = [q.norm_of(row) for row in rows]
        dots = [q.sum_of(q.mul(a, b)) for a, b in combinations(rows, 2)]
        return _share(norms, dots, q)


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    algebra = Algebra.of(profile)
    deltas = Deltas.of(reader, algebra.dtype)
    if parameters.shared["filter_wise"]:
        return _Stock(deltas, algebra, None, max(1, rows_of(reader.shape)))
    pairs = list(combinations(range(len(deltas.others)), 2))
    norms = [algebra.norm() for _ in deltas.others]
    dots = [algebra.sum(reader.elements) for _ in pairs]
    for _, values in reader.chunks():
        d = deltas(values)
        for norm, row in zip(norms, d, strict=True):
            norm.add(row)
        for dot, (i, j) in zip(dots, pairs, strict=True):
            dot.add(algebra.mul(d[i], d[j]))
    share = _share([n.result() for n in norms], [d.result() for d in dots], algebra)
    return _Stock(deltas, algebra, share)


MODEL_STOCK: Final[Method] = Method(
    id="model_stock",
    relation="model-stock-merge",
    about="the models' average, drawn back to the base where their changes disagree",
    paper="https://arxiv.org/abs/2403.19522",
    rule=_prepare,
    parameters=(Declared("filter_wise", "a share for each row", kind="switch", default=False),),
    base=BASE_REQUIRED,
    models=(3, 64),
    optional="base-or-skip",
)
