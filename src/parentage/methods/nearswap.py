"""NearSwap: where the two models are near, take the other one; elsewhere stay near the base.

alchemonaut, QuartetAnemoi-70B-t0.0001 (its model card). w = t / max(|base - other|, 1e-6), at most 1;
out = w other + (1 - w) base, each step rounded to D. torch divides a number by a tensor as its reciprocal
times the number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from parentage.methods.algebra import Algebra
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

__all__ = ["NEARSWAP"]


@dataclass(frozen=True, slots=True)
class _NearSwap:
    base: int
    t: np.float32
    algebra: Algebra
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        q, one = self.algebra, np.float32(1)
        a, b = q.q(values[self.base]), q.q(values[1 - self.base])
        apart = np.maximum(np.abs(q.sub(a, b)), q.q(np.float32(1e-6)))
        weight = np.clip(q.mul(q.div(one, apart), self.t), np.float32(0), one)
        return stored(q.add(q.mul(weight, b), q.mul(q.sub(one, weight), a)), q.profile.out)


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    assert reader.base is not None
    return _NearSwap(reader.base, np.float32(parameters.shared["t"]), Algebra.of(profile))


NEARSWAP: Final[Method] = Method(
    id="nearswap",
    relation="nearswap-merge",
    about="the other model where it is near the base, the base elsewhere",
    paper="https://huggingface.co/alchemonaut/QuartetAnemoi-70B-t0.0001",
    rule=_prepare,
    parameters=(Declared("t", "how far apart still counts as near", low=0),),
    base=BASE_REQUIRED,
    models=(2, 2),
    optional="copy-base",
)
