"""Linear merges and model soups as a method: the arithmetics of ``linear`` in a tool's dress.

Wortsman et al., "Model soups", arXiv 2203.05482. C = sum w_j A_j, over sum w_j where ``normalize`` is on.
mergekit casts the operands to the recipe's dtype D, computes, rounds to D, and then to the file's dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.methods.grids import decode_bf16, on_grid, store_bf16, stored
from parentage.methods.linear import (
    ARITHMETICS,
    FP64,
    Arithmetic,
    Wide,
    arithmetic,
    blend,
    narrow_format,
)
from parentage.methods.method import (
    ONE_ARITHMETIC,
    Bits,
    Declared,
    Method,
    Parameters,
    Profile,
    Reader,
    Rule,
    Values,
    bits_reader,
)
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.numerics.tool_order.torch_sums import sum_of
from parentage.records.dtypes import DType

__all__ = ["LINEAR", "LinearRule", "OneArithmetic", "weights_of"]

# Which arithmetic a profile's linear merge is, in 16 bits and in float32.
_NARROW: Final[Mapping[str, str]] = {
    "parentage-1": "fp32-divided",
    "mergekit-0.1.5": "fp32-fma",
    "mergekit-0.1.4": "mergekit-0.1.4",
    "bf16-scalar": "scalar-16",
}
_WIDE: Final[Mapping[str, str]] = {**_NARROW, "mergekit-0.1.4": "fp32-divided", "bf16-scalar": "fp32-sum"}


# Elements of a block: what is decoded of two models stays in the first-level cache.
BLOCK: Final = 2048


@njit(cache=True, nogil=True, error_model="numpy")
def _blend_stored(rule: int, params: Wide, bits: NDArray[np.uint16], out: NDArray[np.uint16]) -> None:
    """Decode, blend and round block by block: bfloat16 in, bfloat16 out."""
    models = bits.shape[0]
    values, total, wide = np.empty((models, BLOCK), np.float32), np.empty(BLOCK, np.float32), np.empty(0)
    for begin in range(0, out.size, BLOCK):
        n = min(BLOCK, out.size - begin)
        for k in range(models):
            decode_bf16(bits[k, begin : begin + n], values[k])
        blend(rule, params, values, n, False, total, wide)
        store_bf16(total[:n], out[begin : begin + n])


@dataclass(frozen=True, slots=True)
class LinearRule:
    """A linear arithmetic with its rounded weights [K] and divisor."""

    arithmetic: Arithmetic
    params: Wide
    profile: Profile
    on_bits: bool = False
    granularity: int = 1

    def apply_bits(
        self, start: int, bits: NDArray[np.uint16], out: NDArray[np.uint16] | None = None
    ) -> NDArray[np.uint16]:
        """The same of bfloat16 operands as they are stored, which no cast changes."""
        out = np.empty(bits.shape[1], np.uint16) if out is None else out
        _blend_stored(self.arithmetic.rule, self.params, bits, out)
        return out

    def apply(self, start: int, values: Values) -> Bits:
        """Storage bits [n]; elements do not depend on each other."""
        cast = values if self.profile.ours else on_grid(values, self.profile.dtype)
        n, rule = values.shape[1], self.arithmetic.rule
        total, wide = np.empty(n, np.float32), np.empty(n if rule == FP64 else 0)
        binary16 = narrow_format(self.profile.dtype) is DType.F16
        blend(rule, self.params, np.ascontiguousarray(cast), n, binary16, total, wide)
        if not self.profile.ours and self.profile.dtype is not self.profile.out:
            total = on_grid(total, self.profile.dtype)
        return stored(total, self.profile.out)


def weights_of(parameters: Parameters) -> list[float]:
    """The weights [K] of a linear merge."""
    return [float(p["weight"]) for p in parameters.per_model]


@dataclass(frozen=True, slots=True)
class OneArithmetic:
    """An arithmetic by its own id: operands are cast to the recipe's dtype (float32 casts nothing), and
    blended and rounded as the audit's replays do."""

    arithmetic: Arithmetic
    params: Wide
    profile: Profile
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        """Storage bits [n]; elements do not depend on each other."""
        cast = np.ascontiguousarray(on_grid(values, self.profile.dtype))
        n, rule, grid = values.shape[1], self.arithmetic.rule, grid_of(self.profile)
        total, wide = np.empty(n, np.float32), np.empty(n if rule == FP64 else 0)
        blend(rule, self.params, cast, n, narrow_format(grid) is DType.F16, total, wide)
        if rule == FP64:
            total = to_float32(round_to(wide, grid), grid)
        return stored(on_grid(total, grid), self.profile.out)


def grid_of(profile: Profile) -> DType:
    """The format that one arithmetic rounds its result to: the recipe's dtype, or what is stored."""
    return profile.out if profile.dtype is DType.F32 else profile.dtype


def _prepare_one(parameters: Parameters, profile: Profile, name: str) -> Rule:
    chosen = arithmetic(profile.id.removeprefix(ONE_ARITHMETIC))
    weights = weights_of(parameters)
    if chosen.two_only and len(weights) != 2:
        raise UsageError(
            f"the arithmetic {chosen.id} is one of two models",
            code="method-operands",
            where=name,
        )
    params = chosen.params(weights, grid_of(profile))
    if not parameters.shared["normalize"]:
        params[-1] = 1.0
    if params[-1] == 0:
        raise UsageError("the weights sum to zero", code="weights-sum-zero", where=name)
    return OneArithmetic(chosen, params, profile)


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    if profile.id.startswith(ONE_ARITHMETIC):
        return _prepare_one(parameters, profile, name)
    kind = (_WIDE if profile.dtype is DType.F32 else _NARROW)[profile.id]
    params = arithmetic(kind).params(weights_of(parameters), profile.dtype)
    if not profile.ours and kind == "fp32-divided":
        params[-1] = sum_of(params[:-1].astype(np.float32))
    if not parameters.shared["normalize"]:
        params[-1] = 1.0
    if params[-1] == 0:
        raise UsageError(
            "the weights sum to zero, and a normalised merge divides by their sum",
            code="weights-sum-zero",
            where=name,
            hint="normalize: false, or other weights",
        )
    narrow = profile.out is DType.BF16 and (profile.ours or profile.dtype is DType.BF16)
    return LinearRule(arithmetic(kind), params, profile, narrow and bits_reader(reader) is not None)


LINEAR: Final = Method(
    id="linear",
    relation="linear-merge",
    about="a weighted sum of the models (a model soup)",
    paper="https://arxiv.org/abs/2203.05482",
    rule=_prepare,
    parameters=(
        Declared("weight", "the model's share", per_model=True),
        Declared("normalize", "divide by the sum of the weights", kind="switch", default=True),
    ),
    profiles=(*_NARROW, *(f"{ONE_ARITHMETIC}{a.id}" for a in ARITHMETICS)),
)
