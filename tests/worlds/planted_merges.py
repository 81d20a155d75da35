"""Merges, stored: plain ones under the usual arithmetics, and ones that no catalogue lists.

The arithmetics are written out here a second time, independently of the package, so that a planted
recipe does not owe its truth to the code that is to recover it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.formats.safetensors_writer import StoredTensor
from parentage.numerics.storage.formats import quantize, round_to
from parentage.records.dtypes import DType
from tests.worlds.planted import Floats, Model, Weights, each_tensor, stored, values_of

__all__ = ["ARITHMETICS", "FOREIGN", "blend", "merged", "rounded", "truncated"]

Singles = NDArray[np.float32]


def rounded(values: NDArray[np.floating], dtype: DType) -> Floats:
    """Values after one storage in ``dtype``."""
    wide = np.asarray(values, np.float64)
    return quantize(wide.ravel(), dtype).reshape(wide.shape)


def _sum(weights: Sequence[float], parts: Sequence[Floats]) -> Singles:
    total = np.float32(weights[0]) * parts[0].astype(np.float32)
    for w, part in zip(weights[1:], parts[1:], strict=True):
        total = total + np.float32(w) * part.astype(np.float32)
    return np.asarray(total, np.float32)


def _double(weights: Sequence[float], parts: Sequence[Floats]) -> Floats:
    return np.asarray(sum(w * p for w, p in zip(weights, parts, strict=True)))


def _lerp(weights: Sequence[float], parts: Sequence[Floats]) -> Singles:
    a, b = (p.astype(np.float32) for p in parts)
    return np.asarray(b + np.float32(weights[0]) * (a - b), np.float32)


ARITHMETICS: dict[str, Callable[[Sequence[float], Sequence[Floats]], NDArray[np.floating]]] = {
    "fp32": _sum,
    "fp64": _double,
    "lerp": _lerp,
}


def blend(weights: Sequence[float], parts: Sequence[Weights], arithmetic: str = "fp32") -> Weights:
    """The weighted sum before it is stored."""
    rule = ARITHMETICS[arithmetic]
    return each_tensor(lambda *values: np.asarray(rule(weights, values), np.float64), *parts)


def merged(
    weights: Sequence[float], models: Sequence[Model], dtype: DType, arithmetic: str = "fp32"
) -> Model:
    """A merge of stored models, stored in ``dtype``."""
    return stored(blend(weights, [values_of(m) for m in models], arithmetic), dtype)


def truncated(values: Weights, dtype: DType) -> Model:
    """Stored by dropping the low bits: rounding towards zero."""
    model = {}
    for name, value in values.items():
        bits = round_to(value.ravel(), dtype)
        over = np.abs(rounded(value, dtype)).ravel() > np.abs(value).ravel()
        model[name] = StoredTensor(dtype, value.shape, np.where(over, bits - 1, bits).astype(bits.dtype))
    return model


def _dithered(rng: np.random.Generator, values: Weights, dtype: DType) -> Model:
    """Stored by stochastic rounding."""
    below = truncated(values, dtype)
    model = {}
    for name, value in values.items():
        low = below[name].bits
        high = (low + 1).astype(low.dtype)
        ends = [
            np.abs(values_of({name: StoredTensor(dtype, value.shape, bits)})[name]).ravel()
            for bits in (low, high)
        ]
        share = (np.abs(value).ravel() - ends[0]) / (ends[1] - ends[0])
        up = rng.random(value.size) < share
        model[name] = StoredTensor(dtype, value.shape, np.where(up, high, low))
    return model


# Each takes (rng, α, A, B, 16-bit dtype), the parents as exact values, and returns what is stored.
Foreign = Callable[[np.random.Generator, float, Weights, Weights, DType], Model]


def _merge_of_merge(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    first = float(rng.choice([0.25, 0.5, 0.7]))
    middle = each_tensor(lambda x: rounded(x, d), blend((first, 1 - first), (a, b)))
    return stored(blend((t, 1 - t), (a, middle)), d)


def _repeated_lerp(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    """Four small steps towards A, each stored."""
    step = 1.0 - (1.0 - t) ** 0.25
    now = b
    for _ in range(4):
        now = each_tensor(lambda x: rounded(x, d), blend((step, 1 - step), (a, now)))
    return stored(now, d)


def _other_half(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    """Stored in the other 16-bit format first."""
    other = DType.F16 if d is DType.BF16 else DType.BF16
    return stored(values_of(stored(blend((t, 1 - t), (a, b)), other)), d)


def _narrow_lerp(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    def rule(x: Floats, y: Floats) -> Floats:
        return y + rounded(np.float32(t) * rounded(x - y, d).astype(np.float32), d)

    return stored(each_tensor(rule, a, b), d)


def _half_rounded(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    """The first product is rounded, the second is not."""

    def rule(x: Floats, y: Floats) -> Floats:
        return rounded(np.float32(t) * x.astype(np.float32), d) + np.float32(1 - t) * y

    return stored(each_tensor(rule, a, b), d)


def _scaled_last(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    """Whole weights, a 16-bit sum, one division: r(r(3A + 2B) / 5)."""
    total = int(rng.choice([4, 5, 10]))
    k = min(total - 1, max(1, round(t * total)))
    return stored(each_tensor(lambda x, y: rounded(k * x + (total - k) * y, d) / total, a, b), d)


def _task_scaled(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    """16-bit task arithmetic with a weight and a scale, each step rounded."""
    scale = float(rng.choice([0.5, 0.8, 1.25]))

    def rule(x: Floats, y: Floats) -> Floats:
        delta = rounded(rounded(np.array([t / scale]), d) * rounded(x - y, d), d)
        return y + rounded(rounded(np.array([scale]), d) * delta, d)

    return stored(each_tensor(rule, a, b), d)


def _narrow_weights(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    """16-bit weights in float32 products: they no longer sum to one."""
    first, second = (float(rounded(np.array([w]), d)[0]) for w in (t, 1 - t))
    return stored(blend((first, second), (a, b)), d)


def _by_tensor(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    """A weight of its own for each tensor."""

    def rule(x: Floats, y: Floats) -> Floats:
        own = round(float(rng.uniform(max(0.05, t - 0.3), min(0.95, t + 0.3))), 2)
        return np.asarray(_sum((own, 1 - own), (x, y)), np.float64)

    return stored(each_tensor(rule, a, b), d)


def _from_int8(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    """The first parent was read back from an int8 copy (one scale a row)."""

    def rule(x: Floats) -> Floats:
        if x.ndim == 1:
            return x
        scale = np.abs(x).max(axis=1, keepdims=True) / 127
        return rounded(np.rint(x / np.where(scale > 0, scale, 1.0)) * scale, d)

    return stored(blend((t, 1 - t), (each_tensor(rule, a), b)), d)


def _from_fp8(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    """The first parent was read back from an fp8 copy (one scale a tensor)."""

    def rule(x: Floats) -> Floats:
        scale = np.abs(x).max() / 448
        return rounded(rounded(x / scale, DType.F8_E4M3) * scale, d)

    return stored(blend((t, 1 - t), (each_tensor(rule, a), b)), d)


def _truncating(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    return truncated(blend((t, 1 - t), (a, b)), d)


def _stochastic(rng: np.random.Generator, t: float, a: Weights, b: Weights, d: DType) -> Model:
    return _dithered(rng, blend((t, 1 - t), (a, b)), d)


FOREIGN: dict[str, Foreign] = {
    "merge-of-merge": _merge_of_merge,
    "repeated-lerp": _repeated_lerp,
    "other-16-bit-first": _other_half,
    "16-bit-lerp": _narrow_lerp,
    "one-product-rounded": _half_rounded,
    "divided-last": _scaled_last,
    "scaled-task-16": _task_scaled,
    "16-bit-weights": _narrow_weights,
    "weight-by-tensor": _by_tensor,
    "from-int8": _from_int8,
    "from-fp8": _from_fp8,
    "truncated": _truncating,
    "stochastic-rounding": _stochastic,
}
