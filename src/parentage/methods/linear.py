"""Linear merges, C = round(sum w_j A_j): the forward rule under each arithmetic that tools use.

What a merger computes is decided by dtypes, order and rounding, not by the formula: two tools differ in
38.6 % of elements for one recipe. Every arithmetic is named for what it does, or for the tool and version
whose published source does it.

The rules are compiled loops over a block of elements, so that one statement serves ``Arithmetic.apply``
(whole arrays) and the streaming replay (``linear_stream``, blocks that stay in the processor's cache).
``params`` [K + 1] holds the weights as the arithmetic rounds them, then the divisor; ``values`` [K, n]
float32 operands; the blend goes to ``total`` [n]. ``binary16``: the 16-bit format that intermediate
results are rounded to is binary16, else bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from parentage.methods.grids import stored, stored_wide
from parentage.numerics.storage.formats import quantize, round_to
from parentage.numerics.storage.rounding_kernels import fma32, on_bf16_grid, on_f16_grid
from parentage.numerics.tool_order.torch_sums import sum_of
from parentage.records.dtypes import DType

__all__ = [
    "ARITHMETICS",
    "FP64",
    "FUSED",
    "MERGEKIT_014",
    "SUM",
    "Arithmetic",
    "arithmetic",
    "blend",
    "narrow_format",
    "start",
    "step",
    "variants",
]

Values = NDArray[np.float32]
Wide = NDArray[np.float64]
Bits = NDArray[np.unsignedinteger]
Prepare = Callable[[Sequence[float], DType], list[float]]

SUM: Final = 0
FUSED: Final = 1
FP64: Final = 2
LERP_FROM_SECOND: Final = 3
LERP_FROM_FIRST: Final = 4
TORCH_LERP: Final = 5
SCALAR_16: Final = 6
MERGEKIT_014: Final = 7
TASK_16: Final = 8


@njit(cache=True, nogil=True, error_model="numpy")
def _grid(x: np.float32, binary16: bool) -> np.float32:
    return on_f16_grid(x) if binary16 else on_bf16_grid(x)


@njit(cache=True, nogil=True, error_model="numpy")
def start(rule: int) -> np.float32:
    """What a rule that adds model after model begins with; -0 leaves the sign of a first zero alone."""
    return np.float32(-0.0) if rule == SUM else np.float32(0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def step(rule: int, binary16: bool, total: np.float32, w: np.float32, a: np.float32) -> np.float32:
    """One model more: a product added, a fused multiply-add, or a product rounded to 16 bits, added."""
    if rule == SUM:
        return total + w * a
    if rule == FUSED:
        return np.float32(fma32(w, a, total))
    return total + np.float32(_grid(w * a, binary16))


@njit(cache=True, nogil=True, error_model="numpy")
def _accumulate(rule: int, params: Wide, values: Values, n: int, binary16: bool, total: Values) -> None:
    begin, first, models = start(rule), np.float32(params[0]), values.shape[0]
    if models == 1:
        for i in range(n):
            total[i] = step(rule, binary16, begin, first, values[0, i])
        return
    # Two at once: the sum stays in a register.
    second = np.float32(params[1])
    for i in range(n):
        part = step(rule, binary16, begin, first, values[0, i])
        total[i] = step(rule, binary16, part, second, values[1, i])
    for k in range(2, models):
        w = np.float32(params[k])
        for i in range(n):
            total[i] = step(rule, binary16, total[i], w, values[k, i])


@njit(cache=True, nogil=True, error_model="numpy")
def _finish(rule: int, params: Wide, n: int, binary16: bool, total: Values) -> None:
    """The sum over the divisor; mergekit <= 0.1.4 rounds sum and quotient to 16 bits."""
    divisor = np.float32(params[-1])
    if rule == MERGEKIT_014:
        for i in range(n):
            total[i] = _grid(total[i], binary16)
    if divisor == 1:
        return
    for i in range(n):
        total[i] = total[i] / divisor
    if rule == MERGEKIT_014:
        for i in range(n):
            total[i] = _grid(total[i], binary16)


@njit(cache=True, nogil=True, error_model="numpy")
def _fp64(params: Wide, values: Values, n: int, wide: Wide) -> None:
    """float64 throughout."""
    for i in range(n):
        wide[i] = 0.0
    for k in range(values.shape[0]):
        for i in range(n):
            wide[i] = wide[i] + params[k] * np.float64(values[k, i])


@njit(cache=True, nogil=True, error_model="numpy")
def _lerp(t: np.float32, start: Values, end: Values, n: int, total: Values) -> None:
    for i in range(n):
        total[i] = start[i] + t * np.float32(end[i] - start[i])


@njit(cache=True, nogil=True, error_model="numpy")
def _torch_lerp(params: Wide, values: Values, n: int, total: Values) -> None:
    """torch.lerp(B, A, w): from the nearer end, so that both ends are exact."""
    w = np.float32(params[0])
    if w < np.float32(0.5):
        _lerp(w, values[1], values[0], n, total)
        return
    rest = np.float32(np.float32(1) - w)
    for i in range(n):
        total[i] = values[0, i] - np.float32(values[0, i] - values[1, i]) * rest


@njit(cache=True, nogil=True, error_model="numpy")
def _scalar_16(params: Wide, values: Values, n: int, binary16: bool, total: Values) -> None:
    """``0.6 * a + 0.4 * b`` on 16-bit tensors: each product and each sum rounded."""
    w = np.float32(params[0])
    for i in range(n):
        total[i] = _grid(w * values[0, i], binary16)
    for k in range(1, values.shape[0]):
        w = np.float32(params[k])
        for i in range(n):
            product = np.float32(_grid(w * values[k, i], binary16))
            total[i] = _grid(total[i] + product, binary16)


@njit(cache=True, nogil=True, error_model="numpy")
def _task_16(params: Wide, values: Values, n: int, binary16: bool, total: Values) -> None:
    """Task arithmetic on rounded deltas: the base is the last operand."""
    last = values.shape[0] - 1
    for i in range(n):
        total[i] = np.float32(0)
    for k in range(last):
        w = np.float32(params[k])
        for i in range(n):
            delta = np.float32(_grid(values[k, i] - values[last, i], binary16))
            scaled = np.float32(_grid(delta * w, binary16))
            total[i] = _grid(total[i] + scaled, binary16)
    for i in range(n):
        total[i] = _grid(values[last, i] + total[i], binary16)


@njit(cache=True, nogil=True, error_model="numpy")
def blend(
    rule: int, params: Wide, values: Values, n: int, binary16: bool, total: Values, wide: Wide
) -> None:
    """Blend the first ``n`` of ``values`` under one of the rules; ``FP64`` writes to ``wide`` [n], the
    others to ``total`` [n]. The sign of a NaN that arithmetic makes differs between processors."""
    if rule == FP64:
        _fp64(params, values, n, wide)
    elif rule == SUM:
        _accumulate(SUM, params, values, n, binary16, total)
        _finish(SUM, params, n, binary16, total)
    elif rule == FUSED:
        _accumulate(FUSED, params, values, n, binary16, total)
        _finish(FUSED, params, n, binary16, total)
    elif rule == MERGEKIT_014:
        _accumulate(MERGEKIT_014, params, values, n, binary16, total)
        _finish(MERGEKIT_014, params, n, binary16, total)
    elif rule == LERP_FROM_SECOND:
        _lerp(np.float32(params[0]), values[1], values[0], n, total)
    elif rule == LERP_FROM_FIRST:
        _lerp(np.float32(params[1]), values[0], values[1], n, total)
    elif rule == TORCH_LERP:
        _torch_lerp(params, values, n, total)
    elif rule == SCALAR_16:
        _scalar_16(params, values, n, binary16, total)
    elif rule == TASK_16:
        _task_16(params, values, n, binary16, total)


def _as_float32(weights: Sequence[float], _: DType) -> list[float]:
    return [*(float(np.float32(w)) for w in weights), 1.0]


def _exact(weights: Sequence[float], _: DType) -> list[float]:
    return [*map(float, weights), 1.0]


def _rest(weights: Sequence[float], _: DType) -> list[float]:
    """The second weight taken as 1 - float32(first), as written in many scripts."""
    first = np.float32(weights[0])
    return [float(first), float(np.float32(1.0) - first), 1.0]


def _normalised(weights: Sequence[float], _: DType) -> list[float]:
    """float32 weights, over their float32 sum."""
    rounded = [np.float32(w) for w in weights]
    return [*map(float, rounded), _float32_sum(rounded)]


def _normalised_by_torch(weights: Sequence[float], _: DType) -> list[float]:
    """float32 weights, over their float32 sum in torch's order, which from five weights on is its own."""
    rounded = np.array(weights, np.float32)
    return [*map(float, rounded), float(sum_of(rounded))]


def _normalised_16(weights: Sequence[float], d: DType) -> list[float]:
    rounded = np.array(_on_grid(weights, d), np.float32)
    return [*map(float, rounded), *_on_grid([float(sum_of(rounded, narrow=True))], d)]


def _deltas_16(weights: Sequence[float], d: DType) -> list[float]:
    return [*_on_grid(weights, d), 1.0]


def _float32_sum(values: Sequence[np.float32]) -> float:
    total = np.float32(0.0)
    for value in values:
        total = np.float32(total + value)
    return float(total)


def _on_grid(values: Sequence[float], d: DType) -> list[float]:
    return [float(x) for x in quantize(np.array(values, np.float64), narrow_format(d))]


def narrow_format(d: DType) -> DType:
    """The 16-bit format of intermediate results in a tool that stores ``d``."""
    return d if d in (DType.BF16, DType.F16) else DType.BF16


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A named order of products, sums and roundings; ``two_only``: defined for two operands.

    ``rule``: which compiled loop of ``blend``; ``prepare``: the weights as the tool rounds them and
    the divisor.
    """

    id: str
    about: str
    rule: int
    prepare: Prepare
    two_only: bool = False

    def params(self, weights: Sequence[float], out_dtype: DType) -> Wide:
        """Weights as this arithmetic rounds them [K], then the divisor, for ``blend``."""
        return np.array(self.prepare(weights, out_dtype), np.float64)

    def apply(
        self, weights: Sequence[float], operands: Sequence[Values] | Values, *, out_dtype: DType
    ) -> Bits:
        """Blend float32 operands [n] (exact values of the stored parents) and store in ``out_dtype``.

        Overflow gives infinity; what is not a number the one positive NaN.
        """
        values = np.ascontiguousarray(operands, np.float32).reshape(len(operands), -1)
        n = values.shape[1]
        total, wide = np.empty(n, np.float32), np.empty(n if self.rule == FP64 else 0)
        binary16 = narrow_format(out_dtype) is DType.F16
        blend(self.rule, self.params(weights, out_dtype), values, n, binary16, total, wide)
        shape = operands[0].shape
        if self.rule == FP64:
            return stored_wide(wide, out_dtype).reshape(shape)
        if out_dtype in (DType.BF16, DType.F16, DType.F32):
            return stored(total, out_dtype).reshape(shape)
        total[np.isnan(total)] = np.nan
        return round_to(total.reshape(shape), out_dtype)


ARITHMETICS: tuple[Arithmetic, ...] = (
    Arithmetic("fp32-sum", "float32 products, summed in order, one rounding", SUM, _as_float32),
    Arithmetic(
        "fp32-fma", "mergekit 0.1.5: float32 fused multiply-adds, one rounding", FUSED, _normalised_by_torch
    ),
    Arithmetic(
        "mergekit-0.1.4", "16-bit weights, products, sum and quotient", MERGEKIT_014, _normalised_16
    ),
    Arithmetic("fp32-divided", "float32 sum over the float32 sum of weights", SUM, _normalised),
    Arithmetic("fp32-rest", "the second weight is 1 - float32(first)", SUM, _rest, True),
    Arithmetic("fp64", "float64 throughout, one rounding", FP64, _exact),
    Arithmetic("lerp-from-second", "B + t(A - B) in float32", LERP_FROM_SECOND, _as_float32, True),
    Arithmetic("lerp-from-first", "A + (1 - t)(B - A) in float32", LERP_FROM_FIRST, _as_float32, True),
    Arithmetic("torch-lerp", "torch.lerp in float32", TORCH_LERP, _as_float32, True),
    Arithmetic("scalar-16", "each product and the sum rounded to 16 bits", SCALAR_16, _as_float32),
    Arithmetic("task-16", "16-bit deltas from the last operand, each step rounded", TASK_16, _deltas_16),
)


def arithmetic(name: str) -> Arithmetic:
    """The arithmetic with this id; ``KeyError`` when there is none."""
    return {a.id: a for a in ARITHMETICS}[name]


def variants(weights: Sequence[float]) -> tuple[Arithmetic, ...]:
    """The arithmetics worth replaying for these weights, in a stable order."""
    return tuple(a for a in ARITHMETICS if len(weights) == 2 or not a.two_only)
