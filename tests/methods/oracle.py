"""Every linear arithmetic written a second time, plainly, in whole-array numpy: what the compiled rules
are tested against. Slow and independent on purpose; shares only ``numerics.storage.formats`` with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from parentage.numerics.storage.formats import quantize, round_to, to_float32
from parentage.records.dtypes import DType

Values = NDArray[np.float32]
ONE = np.float32(1.0)


def apply(name: str, weights: Sequence[float], operands: Sequence[Values], d: DType) -> NDArray[np.uint64]:
    """Storage bits [n] as unsigned 64-bit; NaN as the positive quiet one."""
    with np.errstate(all="ignore"):
        bits = round_to(RULES[name](weights, list(operands), d), d)
        nan = np.isnan(to_float32(bits, d))
        quiet = round_to(np.array([np.nan]), d)[0]
        return np.where(nan, quiet, bits).astype(np.uint64)


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
    even = (bits & 1) == 0
    away = (error > 0) == (sum_ >= 0)
    # An infinite sum has no error but NaN.
    inexact = (error > 0) | (error < 0)
    moved = np.where(inexact & even, np.where(away, bits + 1, bits - 1), bits)
    return moved.view(np.float64).astype(np.float32)


def _fp32_sum(weights: Sequence[float], a: list[Values], _: DType) -> Values:
    total = np.float32(weights[0]) * a[0]
    for w, x in zip(weights[1:], a[1:], strict=True):
        total = total + np.float32(w) * x
    return total


def _fp32_rest(weights: Sequence[float], a: list[Values], _: DType) -> Values:
    first = np.float32(weights[0])
    return first * a[0] + (ONE - first) * a[1]


def _sum_of(weights: Sequence[float]) -> np.float32:
    divisor = np.float32(0.0)
    for w in weights:
        divisor = np.float32(divisor + np.float32(w))
    return divisor


def _torch_sum_of(weights: Sequence[float]) -> np.float32:
    """Four sums abreast, what is left to the first, then one after the other (fewer than eight weights);
    eight lanes and the rest before them (fewer than sixteen)."""
    w = np.array(weights, np.float32)
    if w.size < 8:
        parts, whole = [np.float32(0)] * 4, w.size // 4 * 4
        for i in range(w.size):
            lane = i % 4 if i < whole else 0
            parts[lane] = np.float32(parts[lane] + w[i])
        return _sum_of([float(p) for p in parts])
    assert w.size < 16
    return _sum_of([float(x) for x in (*w[8:], *w[:8])])


def _fp32_fma(weights: Sequence[float], a: list[Values], _: DType) -> Values:
    total = np.zeros_like(a[0])
    for w, x in zip(weights, a, strict=True):
        total = fused(total, np.float32(w), x)
    return total / _torch_sum_of(weights)


def _fp32_divided(weights: Sequence[float], a: list[Values], d: DType) -> Values:
    return _fp32_sum(weights, a, d) / _sum_of(weights)


def _fp64(weights: Sequence[float], a: list[Values], _: DType) -> NDArray[np.float64]:
    total = np.zeros(a[0].shape)
    for w, x in zip(weights, a, strict=True):
        total = total + w * x.astype(np.float64)
    return total


def _lerp_from_second(weights: Sequence[float], a: list[Values], _: DType) -> Values:
    return a[1] + np.float32(weights[0]) * (a[0] - a[1])


def _lerp_from_first(weights: Sequence[float], a: list[Values], _: DType) -> Values:
    return a[0] + np.float32(weights[1]) * (a[1] - a[0])


def _torch_lerp(weights: Sequence[float], a: list[Values], _: DType) -> Values:
    w, delta = np.float32(weights[0]), a[0] - a[1]
    return a[1] + w * delta if w < 0.5 else a[0] - delta * (ONE - w)


def _narrow(d: DType) -> DType:
    return d if d in (DType.BF16, DType.F16) else DType.BF16


def _q(values: NDArray[np.floating], d: DType) -> Values:
    return quantize(np.asarray(values, np.float64), _narrow(d)).astype(np.float32)


def _scalar_16(weights: Sequence[float], a: list[Values], d: DType) -> Values:
    total = _q(np.float32(weights[0]) * a[0], d)
    for w, x in zip(weights[1:], a[1:], strict=True):
        total = _q(total + _q(np.float32(w) * x, d), d)
    return total


def _short_sum(weights: Values) -> np.float32:
    """As ``_torch_sum_of`` for 16-bit weights, whose vectors hold sixteen: always four sums abreast."""
    parts, whole = [np.float32(0)] * 4, weights.size // 4 * 4
    for i in range(weights.size):
        lane = i % 4 if i < whole else 0
        parts[lane] = np.float32(parts[lane] + weights[i])
    return _sum_of([float(p) for p in parts])


def _mergekit_014(weights: Sequence[float], a: list[Values], d: DType) -> Values:
    rounded = _q(np.array(weights), d)
    total = np.zeros_like(a[0])
    for w, x in zip(rounded, a, strict=True):
        total = total + _q(w * x, d)
    divisor = _q(np.array([_short_sum(rounded)]), d)[0]
    return _q(_q(total, d) / divisor, d)


def _task_16(weights: Sequence[float], a: list[Values], d: DType) -> Values:
    total = np.zeros_like(a[-1])
    for w, x in zip(_q(np.array(weights), d), a[:-1], strict=False):
        total = _q(total + _q(_q(x - a[-1], d) * w, d), d)
    return _q(a[-1] + total, d)


RULES: dict[str, Callable[[Sequence[float], list[Values], DType], NDArray[np.floating]]] = {
    "fp32-sum": _fp32_sum,
    "fp32-fma": _fp32_fma,
    "mergekit-0.1.4": _mergekit_014,
    "fp32-divided": _fp32_divided,
    "fp32-rest": _fp32_rest,
    "fp64": _fp64,
    "lerp-from-second": _lerp_from_second,
    "lerp-from-first": _lerp_from_first,
    "torch-lerp": _torch_lerp,
    "scalar-16": _scalar_16,
    "task-16": _task_16,
}
