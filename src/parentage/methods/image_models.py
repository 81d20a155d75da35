"""What mergers of image models do: the weighted sum of two models, and the difference of two added to one.

Both are the buttons of AUTOMATIC1111's checkpoint merger, 2022, and functions of sd-mecha. Weighted sum:
(1 - alpha) a + alpha b. Add difference: a + alpha (b - c). sd-mecha computes in float32 and stores in
binary16: ``torch.lerp(a, b, alpha)`` and ``a.addcmul(b - c, alpha)``, a fused multiply-add. Scripts on
16-bit tensors round each product, difference and sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from parentage.methods.algebra import Algebra
from parentage.methods.grids import on_grid, stored
from parentage.methods.linear import Arithmetic, Wide, arithmetic, blend, narrow_format
from parentage.methods.method import Bits, Declared, Method, Parameters, Profile, Reader, Rule, Values
from parentage.records.dtypes import DType

__all__ = ["ADD_DIFFERENCE", "WEIGHTED_SUM"]

PROFILES: Final = ("parentage-1", "sd-mecha", "bf16-scalar")


def _cast(values: Values, profile: Profile) -> Values:
    return values if profile.ours else on_grid(values, profile.dtype)


@dataclass(frozen=True, slots=True)
class _Blend:
    """A linear arithmetic on the operands in ``order``."""

    arithmetic: Arithmetic
    params: Wide
    order: tuple[int, ...]
    profile: Profile
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        cast = np.ascontiguousarray(_cast(values[list(self.order)], self.profile))
        n = cast.shape[1]
        total = np.empty(n, np.float32)
        binary16 = narrow_format(self.profile.dtype) is DType.F16
        blend(self.arithmetic.rule, self.params, cast, n, binary16, total, np.empty(0))
        return stored(_cast(total, self.profile), self.profile.out)


def _weighted_sum(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    alpha = float(parameters.shared["alpha"])
    if profile.id == "sd-mecha":
        # torch.lerp goes from its first operand to its second, the arithmetic from its second to its first.
        kind, order, weights = "torch-lerp", (1, 0), (alpha, 1 - alpha)
    else:
        narrow = profile.id == "bf16-scalar" and profile.dtype is not DType.F32
        kind, order, weights = "scalar-16" if narrow else "fp32-sum", (0, 1), (1 - alpha, alpha)
    chosen = arithmetic(kind)
    return _Blend(chosen, chosen.params(weights, profile.dtype), order, profile)


@dataclass(frozen=True, slots=True)
class _Difference:
    """a + alpha (b - c), each step rounded."""

    alpha: np.float32
    algebra: Algebra
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        q = self.algebra
        a, b, c = (q.q(x) for x in values)
        return stored(q.add(a, q.mul(self.alpha, q.sub(b, c))), q.profile.out)


@dataclass(frozen=True, slots=True)
class _Fused:
    """1 * a + alpha * (b - c) as fused multiply-adds: the first is exact, the second rounds once."""

    alpha: float
    profile: Profile
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        a, b, c = _cast(values, self.profile)
        with np.errstate(all="ignore"):
            pair = np.stack([a, on_grid(b - c, self.profile.dtype)])
        total = np.empty(pair.shape[1], np.float32)
        fused = arithmetic("fp32-fma")
        params = np.array([1.0, np.float32(self.alpha), 1.0])
        blend(fused.rule, params, pair, total.size, False, total, np.empty(0))
        return stored(_cast(total, self.profile), self.profile.out)


def _add_difference(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    alpha = float(parameters.shared["alpha"])
    if profile.id == "sd-mecha":
        return _Fused(alpha, profile)
    return _Difference(np.float32(alpha), Algebra.of(profile))


WEIGHTED_SUM: Final = Method(
    id="weighted_sum",
    relation="linear-merge",
    about="(1 - alpha) a + alpha b, as mergers of image models have it",
    paper="https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features#checkpoint-merger",
    rule=_weighted_sum,
    parameters=(Declared("alpha", "the second model's share", default=0.5),),
    models=(2, 2),
    profiles=PROFILES,
)
ADD_DIFFERENCE: Final = Method(
    id="add_difference",
    relation="task-arithmetic-merge",
    about="a + alpha (b - c): what b has learnt since c, added to a",
    paper="https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features#checkpoint-merger",
    rule=_add_difference,
    parameters=(Declared("alpha", "how much of the difference", default=1.0),),
    models=(3, 3),
    profiles=PROFILES,
)
