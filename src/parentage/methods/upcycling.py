"""MoE upcycling: the experts of a mixture begin as copies of one model's, or of several models', FFN.

Komatsuzaki et al., "Sparse upcycling", arXiv 2212.05055. A stacked tensor of experts [experts, out, in] is
made of operands [out, in], expert e from operand e modulo their number; with ``noise`` above zero each
expert but the first gets Gaussian noise of that share of the operand's standard deviation, so that they can
part. What the routers begin with is the recipe's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from parentage.methods.draws import CounterDraws
from parentage.methods.grids import stored
from parentage.methods.method import Bits, Declared, Method, Parameters, Profile, Reader, Rule, Values
from parentage.methods.totals import OurSum

__all__ = ["UPCYCLING"]


@dataclass(frozen=True, slots=True)
class _Expert:
    """One expert of the stack: an operand, and its noise."""

    operand: int
    expert: int
    spread: np.float32
    draws: CounterDraws
    profile: Profile
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        x = values[self.operand]
        if self.spread == 0 or self.expert == 0:
            return stored(x, self.profile.out)
        return stored(x + self.spread * self._normal(start, x.size), self.profile.out)

    def _normal(self, start: int, n: int) -> Values:
        """Box and Muller's transform of two draws an element, in float64."""
        one = self.draws.uniform(2 * self.expert, start, n).astype(np.float64)
        other = self.draws.uniform(2 * self.expert + 1, start, n).astype(np.float64)
        radius = np.sqrt(-2 * np.log(1 - one))
        return np.asarray(radius * np.cos(2 * np.pi * other), np.float32)


def _spread(reader: Reader, operand: int) -> float:
    """The standard deviation of an operand."""
    total, squares = OurSum(), OurSum(squared=True)
    for _, values in reader.chunks():
        total.add(values[operand])
        squares.add(values[operand])
    n = max(1, reader.elements)
    return float(np.sqrt(max(0.0, squares.wide / n - (total.wide / n) ** 2)))


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    expert, noise = int(parameters.shared["expert"]), float(parameters.shared["noise"])
    operand = expert % reader.models
    spread = np.float32(noise * _spread(reader, operand)) if noise else np.float32(0)
    return _Expert(operand, expert, spread, CounterDraws(parameters.seed, name), profile)


UPCYCLING: Final[Method] = Method(
    id="upcycling",
    relation="upcycled-moe",
    about="one expert of a mixture from a dense model's FFN",
    paper="https://arxiv.org/abs/2212.05055",
    rule=_prepare,
    parameters=(
        Declared("expert", "which expert of the stack this is", kind="count", default=0, low=0),
        Declared("noise", "noise, as a share of the standard deviation", default=0.0, low=0),
    ),
    models=(1, 64),
    profiles=("parentage-1",),
)
