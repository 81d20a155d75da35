"""SCE: select elements that vary, weight models by the size of their changes, erase minority signs.

Wan et al., "FuseChat: knowledge fusion of chat models", arXiv 2408.07990. Of the changes d_k (rounded to
D): those elements whose variance over the models is among the ``select_topk`` share of the non-zero ones;
weights mean(d_k^2) over their sum (equal ones where the sum is below 1e-6, usual in float32); signs elected
by the sum of the changes; out = base + sum(d_k w_k) / sum(w_k) over those that agree. No free parameter but
the share. Variances are float64 by Welford's steps; which of equal ones are taken is ``topk``'s order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit

from parentage.methods.algebra import Algebra
from parentage.methods.grids import on_grid, stored
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
from parentage.methods.selection import Asked, Cut, cuts
from parentage.methods.task_vectors import Deltas
from parentage.methods.totals import OurSum, Total
from parentage.numerics.tool_order.torch_sums import TorchSum, outer_sum, sum_of
from parentage.records.dtypes import DType

__all__ = ["SCE"]


@njit(cache=True, nogil=True, error_model="numpy")
def _variances(rows: Values, out: Values) -> None:
    """Of each column, over the number of rows, float64 inside (Welford 1962)."""
    for i in range(out.size):
        mean, squares = 0.0, 0.0
        for k in range(rows.shape[0]):
            x = np.float64(rows[k, i])
            apart = x - mean
            mean = mean + apart / np.float64(k + 1)
            squares = squares + apart * (x - mean)
        out[i] = np.float32(squares / np.float64(rows.shape[0]))


def _spread(deltas: Values, dtype: DType) -> Values:
    out = np.empty(deltas.shape[1], np.float32)
    _variances(deltas, out)
    return on_grid(out, dtype)


@dataclass(frozen=True, slots=True)
class _Selected:
    """Which elements vary most: all, none, or those before a cut."""

    cut: Cut | None
    everything: bool

    def apply(self, start: int, deltas: Values, dtype: DType) -> Values:
        if self.everything:
            return deltas
        if self.cut is None:
            return deltas * np.float32(0)
        return deltas * self.cut.before(_spread(deltas, dtype), start, descending=True)


@dataclass(frozen=True, slots=True)
class _Sce:
    deltas: Deltas
    selected: _Selected
    weights: Values
    algebra: Algebra
    elements: int
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        q = self.algebra
        d = self.selected.apply(start, self.deltas(values), q.dtype)
        positive = q.q(outer_sum(d, start, self.elements)) >= 0
        agree = np.where(positive, d > 0, d < 0)
        weights = np.where(agree, self.weights[:, None], np.float32(0))
        merged = q.q(outer_sum(q.mul(d, weights), start, self.elements))
        share = np.maximum(q.q(outer_sum(weights, start, self.elements)), q.q(np.float32(1e-6)))
        base = q.q(values[self.deltas.base])
        return stored(q.add(base, q.div(merged, share)), q.profile.out)


def _select(reader: Reader, deltas: Deltas, share: float, profile: Profile) -> _Selected:
    if share >= 1 or share <= 0:
        return _Selected(None, share >= 1)

    def passes() -> Iterator[tuple[int, Values]]:
        for start, values in reader.chunks():
            yield start, _spread(deltas(values), deltas.dtype)[None]

    varying = sum(int(np.count_nonzero(x)) for _, x in passes())
    k = int(np.float32(varying) * np.float32(share))
    if k == 0:
        return _Selected(None, False)
    (cut,) = cuts(passes, [Asked(0, k, True)], 1, reader.elements, as_tool=not profile.ours, topk=True)
    return _Selected(cut, False)


def _weights(reader: Reader, deltas: Deltas, selected: _Selected, q: Algebra) -> Values:
    """The models' shares [others]."""
    models, n, narrow = len(deltas.others), reader.elements, q.dtype is not DType.F32
    totals: list[Total] = [
        OurSum() if q.profile.ours else TorchSum(n, narrow=narrow) for _ in range(models)
    ]
    for start, values in reader.chunks():
        d = selected.apply(start, deltas(values), q.dtype)
        for total, row in zip(totals, d, strict=True):
            total.add(q.mul(row, row))
    # A mean divides the sum before it is rounded.
    means = q.div(np.array([t.result() for t in totals], np.float32), np.float32(n))
    whole = q.q(sum_of(means, narrow=narrow))
    if abs(float(whole)) < 1e-6:
        return np.asarray(q.div(np.ones(models, np.float32), np.float32(models)), np.float32)
    return np.asarray(q.div(means, whole), np.float32)


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    algebra = Algebra.of(profile)
    deltas = Deltas.of(reader, algebra.dtype)
    selected = _select(reader, deltas, float(parameters.shared["select_topk"]), profile)
    weights = _weights(reader, deltas, selected, algebra)
    return _Sce(deltas, selected, weights, algebra, reader.elements)


SCE: Final[Method] = Method(
    id="sce",
    relation="sce-merge",
    about="changes selected by variance, weighted by size, minority signs erased",
    paper="https://arxiv.org/abs/2408.07990",
    rule=_prepare,
    parameters=(
        Declared("select_topk", "share of the varying elements that is merged", default=1.0, low=0, high=1),
        Declared("int8_mask", "a tool's way to save memory; changes nothing", kind="switch", default=False),
    ),
    base=BASE_REQUIRED,
    models=(2, 64),
)
