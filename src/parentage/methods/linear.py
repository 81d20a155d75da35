"""Linear merges, C = round(sum w_j A_j): the forward rule under each arithmetic that tools use.

What a merger computes is decided by dtypes, order and rounding, not by the formula: two tools differ in
38.6 % of elements for one recipe. Every arithmetic is named for what it does, or for the tool and version
whose published source does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.formats import quantize, round_to
from parentage.records.dtypes import DType

__all__ = ["ARITHMETICS", "Arithmetic", "arithmetic", "variants"]

Values = NDArray[np.float32]
Bits = NDArray[np.unsignedinteger]
Rule = Callable[[Sequence[float], Sequence[Values], DType], NDArray[np.floating]]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A named order of products, sums and roundings; ``two_only``: defined for two operands."""

    id: str
    about: str
    rule: Rule
    two_only: bool = False

    def apply(self, weights: Sequence[float], operands: Sequence[Values], *, out_dtype: DType) -> Bits:
        """Blend float32 operands [n] (exact values of the stored parents) and store in ``out_dtype``."""
        return round_to(self.rule(weights, operands, out_dtype), out_dtype)


def _f32(values: NDArray[np.floating] | float) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)


def _fp32_sum(weights: Sequence[float], operands: Sequence[Values], _: DType) -> Values:
    total = _f32(weights[0]) * operands[0]
    for w, a in zip(weights[1:], operands[1:], strict=True):
        total = total + _f32(w) * a
    return total


def _fp32_rest(weights: Sequence[float], operands: Sequence[Values], _: DType) -> Values:
    """The second weight taken as 1 - float32(first), as written in many scripts."""
    first = _f32(weights[0])
    return first * operands[0] + (np.float32(1.0) - first) * operands[1]


def fused(total: Values, weight: np.float32, operand: Values) -> Values:
    """round_float32(weight * operand + total), once: the product of two float32 is exact in float64,
    and rounding the sum to odd in float64 keeps the last rounding from being a second one."""
    product = np.float64(weight) * operand.astype(np.float64)
    addend = total.astype(np.float64)
    sum_ = product + addend
    # Knuth's two-sum: the exact error of that addition.
    virtual = sum_ - product
    error = (product - (sum_ - virtual)) + (addend - virtual)
    bits = sum_.view(np.int64)
    odd = (bits & 1) == 1
    away = (error > 0) == (sum_ >= 0)
    moved = np.where((error != 0) & ~odd, np.where(away, bits + 1, bits - 1), bits)
    return moved.view(np.float64).astype(np.float32)


def _fp32_fma(weights: Sequence[float], operands: Sequence[Values], _: DType) -> Values:
    """mergekit 0.1.5: an fp32 accumulator, one fused multiply-add a model, divided by the fp32 sum
    of the weights."""
    total = np.zeros_like(operands[0])
    for w, a in zip(weights, operands, strict=True):
        total = fused(total, np.float32(w), a)
    divisor = np.float32(0.0)
    for w in weights:
        divisor = np.float32(divisor + np.float32(w))
    return total if divisor == 1 else total / divisor


def _fp32_divided(weights: Sequence[float], operands: Sequence[Values], d: DType) -> Values:
    divisor = np.float32(0.0)
    for w in weights:
        divisor = np.float32(divisor + np.float32(w))
    return _fp32_sum(weights, operands, d) / divisor


def _fp64(weights: Sequence[float], operands: Sequence[Values], _: DType) -> NDArray[np.float64]:
    total = np.zeros(operands[0].shape)
    for w, a in zip(weights, operands, strict=True):
        total = total + w * a.astype(np.float64)
    return total


def _lerp_from_second(weights: Sequence[float], operands: Sequence[Values], _: DType) -> Values:
    return operands[1] + _f32(weights[0]) * (operands[0] - operands[1])


def _lerp_from_first(weights: Sequence[float], operands: Sequence[Values], _: DType) -> Values:
    return operands[0] + _f32(weights[1]) * (operands[1] - operands[0])


def _torch_lerp(weights: Sequence[float], operands: Sequence[Values], _: DType) -> Values:
    """torch.lerp(B, A, w): from the nearer end, so that both ends are exact."""
    w = _f32(weights[0])
    delta = operands[0] - operands[1]
    if w < 0.5:
        return operands[1] + w * delta
    return operands[0] - delta * (np.float32(1.0) - w)


def _q(values: NDArray[np.floating], dtype: DType) -> NDArray[np.float32]:
    return quantize(np.asarray(values, np.float64), dtype).astype(np.float32)


def _narrow(d: DType) -> DType:
    return d if d in (DType.BF16, DType.F16) else DType.BF16


def _stored_scalar(weights: Sequence[float], operands: Sequence[Values], d: DType) -> Values:
    """``0.6 * a + 0.4 * b`` on 16-bit tensors: each product and the sum rounded."""
    d = _narrow(d)
    total = _q(_f32(weights[0]) * operands[0], d)
    for w, a in zip(weights[1:], operands[1:], strict=True):
        total = _q(total + _q(_f32(w) * a, d), d)
    return total


def _mergekit_014(weights: Sequence[float], operands: Sequence[Values], d: DType) -> Values:
    """mergekit <= 0.1.4 with a 16-bit dtype: weights, products, sum and quotient rounded to it."""
    d = _narrow(d)
    rounded = [_q(np.array([w]), d)[0] for w in weights]
    total = np.zeros_like(operands[0])
    for w, a in zip(rounded, operands, strict=True):
        total = total + _q(w * a, d)
    divisor = np.float32(0.0)
    for w in rounded:
        divisor = np.float32(divisor + w)
    divisor = _q(np.array([divisor]), d)[0]
    return _q(_q(total, d) / divisor, d)


def _task_narrow(weights: Sequence[float], operands: Sequence[Values], d: DType) -> Values:
    """Task arithmetic on rounded deltas: base is the last operand."""
    d = _narrow(d)
    base = operands[-1]
    total = np.zeros_like(base)
    for w, a in zip(weights[:-1], operands[:-1], strict=True):
        scaled = _q(_q(a - base, d) * _q(np.array([w]), d)[0], d)
        total = _q(total + scaled, d)
    return _q(base + total, d)


ARITHMETICS: tuple[Arithmetic, ...] = (
    Arithmetic("fp32-sum", "float32 products, summed in order, one rounding", _fp32_sum),
    Arithmetic("fp32-fma", "mergekit 0.1.5: float32 fused multiply-adds, one rounding", _fp32_fma),
    Arithmetic("mergekit-0.1.4", "16-bit weights, products, sum and quotient", _mergekit_014),
    Arithmetic("fp32-divided", "float32 sum over the float32 sum of weights", _fp32_divided),
    Arithmetic("fp32-rest", "the second weight is 1 - float32(first)", _fp32_rest, True),
    Arithmetic("fp64", "float64 throughout, one rounding", _fp64),
    Arithmetic("lerp-from-second", "B + t(A - B) in float32", _lerp_from_second, True),
    Arithmetic("lerp-from-first", "A + (1 - t)(B - A) in float32", _lerp_from_first, True),
    Arithmetic("torch-lerp", "torch.lerp in float32", _torch_lerp, True),
    Arithmetic("scalar-16", "each product and the sum rounded to 16 bits", _stored_scalar),
    Arithmetic("task-16", "16-bit deltas from the last operand, each step rounded", _task_narrow),
)


def arithmetic(name: str) -> Arithmetic:
    """The arithmetic with this id; ``KeyError`` when there is none."""
    return {a.id: a for a in ARITHMETICS}[name]


def variants(weights: Sequence[float]) -> tuple[Arithmetic, ...]:
    """The arithmetics worth replaying for these weights, in a stable order."""
    return tuple(a for a in ARITHMETICS if len(weights) == 2 or not a.two_only)
