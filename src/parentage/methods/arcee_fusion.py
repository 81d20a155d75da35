"""Arcee Fusion: take over only the changes that matter most, by size and by what they do to the row.

mergekit's own. With P and Q the softmax over the last dimension of the model and of the base, 1e-8 added:
importance = |model - base| * sum_row P log(P / Q), each step rounded to D; an element is taken over where
its importance is at least median + 1.5 (q3 - q1). Quartiles are those of all elements, or of 1,000,000
drawn with replacement where there are more (a tool: torch's ``randint``; ours: evenly spaced ones, nothing
drawn). The taken-over change is added in float32, so that a 16-bit merge is rounded once. In float32 the
divergence of two near models lies below the softmax's own rounding: a tool's outcome is that of its very
exponential and order of sums (``torch_softmax``); logarithms are the correctly rounded ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from parentage.methods.algebra import Algebra
from parentage.methods.blocks import rows_of
from parentage.methods.draws import TorchDraws, words_below
from parentage.methods.grids import stored
from parentage.methods.method import (
    BASE_REQUIRED,
    Bits,
    Method,
    Parameters,
    Profile,
    Reader,
    Rule,
    Values,
)
from parentage.numerics.tool_order.torch_softmax import softmax_rows

__all__ = ["ARCEE_FUSION"]

SAMPLE: Final = 1_000_000
SMALL: Final = np.float32(1e-8)


def _softmax(x: Values, q: Algebra) -> Values:
    """Over rows [rows, row]: float32 inside, rounded once."""
    if not q.profile.ours:
        return np.asarray(q.q(softmax_rows(x)))
    with np.errstate(all="ignore"):
        powers = np.exp((x - x.max(axis=1, keepdims=True)).astype(np.float64))
        found: Values = q.q((powers / powers.sum(axis=1, keepdims=True)).astype(np.float32))
    return found


@dataclass(frozen=True, slots=True)
class _Fusion:
    base: int
    algebra: Algebra
    granularity: int
    threshold: np.float32 | None = None

    def change(self, values: Values) -> Values:
        """The model's change [n]."""
        q = self.algebra
        found: Values = q.sub(q.q(values[1 - self.base]), q.q(values[self.base]))
        return found

    def importance(self, values: Values) -> Values:
        """How much each element's change matters [n], in whole rows."""
        q, row = self.algebra, self.granularity
        rows = [q.q(values[k]).reshape(-1, row) for k in (1 - self.base, self.base)]
        p, base = (q.add(_softmax(x, q), q.q(SMALL)) for x in rows)
        with np.errstate(all="ignore"):
            logs = q.q(np.log(q.div(p, base).astype(np.float64)).astype(np.float32))
        terms = q.mul(p, logs)
        apart = np.array([q.sum_of(term) for term in terms], np.float32)
        sizes = np.abs(self.change(values)).reshape(-1, row)
        found: Values = q.mul(sizes, apart[:, None]).reshape(-1)
        return found

    def apply(self, start: int, values: Values) -> Bits:
        assert self.threshold is not None
        taken = self.importance(values) >= self.threshold
        with np.errstate(all="ignore"):
            found = self.algebra.q(values[self.base]) + self.change(values) * taken
        return stored(found, self.algebra.profile.out)


def _places(n: int, parameters: Parameters, profile: Profile) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Ascending places of the elements whose quartiles are taken."""
    if n <= SAMPLE:
        return np.arange(n, dtype=np.int64)
    if profile.ours:
        return np.arange(SAMPLE, dtype=np.int64) * n // SAMPLE
    return np.sort(TorchDraws(parameters.seed, parameters.drawn, n).below(n, SAMPLE))


def _threshold(reader: Reader, rule: _Fusion, parameters: Parameters) -> np.float32:
    q = rule.algebra
    places = _places(reader.elements, parameters, q.profile)
    sample = np.empty(places.size, np.float32)
    for start, values in reader.chunks(rows=True):
        first, last = np.searchsorted(places, [start, start + values.shape[1]])
        if last > first:
            sample[first:last] = rule.importance(values)[places[first:last] - start]
    sample.sort()
    at = (np.array([0.25, 0.5, 0.75], np.float32) * np.float32(sample.size - 1)).astype(np.int64)
    low, middle, high = sample[at]
    return np.float32(q.add(middle, q.mul(np.float32(1.5), q.sub(high, low))))


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    assert reader.base is not None
    rule = _Fusion(reader.base, Algebra.of(profile), max(1, rows_of(reader.shape)))
    if not reader.elements:
        return rule
    threshold = _threshold(reader, rule, parameters)
    return _Fusion(rule.base, rule.algebra, rule.granularity, threshold)


def _words(reader: Reader, parameters: Parameters, profile: Profile) -> int:
    return SAMPLE * words_below(reader.elements) if reader.elements > SAMPLE else 0


ARCEE_FUSION: Final[Method] = Method(
    id="arcee_fusion",
    relation="arcee-fusion-merge",
    about="the base with the most important of the model's changes",
    paper="https://www.arcee.ai/blog/meet-mergekit-v0-1-arcee-fusion-expanded-model-support-multi-gpu-acceleration",
    rule=_prepare,
    base=BASE_REQUIRED,
    models=(2, 2),
    optional="copy-single",
    random=_words,
)
