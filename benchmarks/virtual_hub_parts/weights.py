"""The numbers of every model of the hub, for any stretch of any tensor.

base      normal around the tensor's centre, stored
tuned     base + Δ, stored: what the published fine-tune is to the published base
other-a   base + another Δ, stored, and other-b likewise: fine-tunes that nobody merged
merged    4/7 · tuned + 3/7 · base in float32, rounded once
trained   merged, and then 1 % of the trunk's experts changed and stored again
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture, Tensor
from .counters import bfloat16_bits, from_bfloat16, key_of, normal, uniform
from .deltas import scale_of

__all__ = ["ALPHA", "MODELS", "data_of", "trained_experts", "values_of"]

MODELS = ("base", "tuned", "merged", "trained", "other-a", "other-b")
ALPHA = 4 / 7
OTHER = 3 / 7
TRAINED_SHARE = 0.01
# Over the standard deviation of the weights: two of five elements of an expert take another value, about
# what on-policy distillation left (docs/cases/rio.md).
TRAINED_SIZE = 2e-3
Floats32 = NDArray[np.float32]


def data_of(model: str, tensor: Tensor, size: Architecture, low: int, high: int) -> bytes:
    """Bytes [low, high) of the tensor's data, little-endian."""
    width = tensor.itemsize
    first, last = low // width, -(-high // width)
    values = values_of(model, tensor, size, first, last - first)
    bits = values.view(np.uint32) if width == 4 else bfloat16_bits(values)
    raw = bits.astype(bits.dtype.newbyteorder("<")).tobytes()
    return raw[low - first * width : high - first * width]


def values_of(model: str, tensor: Tensor, size: Architecture, start: int, count: int) -> Floats32:
    """Elements [start, start + count) as they are stored, float32."""
    if model in ("merged", "trained"):
        tuned, base = (values_of(m, tensor, size, start, count) for m in ("tuned", "base"))
        blend = _stored(np.float32(ALPHA) * tuned + np.float32(OTHER) * base, tensor)
        return _later(blend, tensor, size, start) if model == "trained" else blend
    base = _base(tensor, size, start, count)
    return base if model == "base" else _tuned(model, base, tensor, size, start)


def _stored(values: NDArray[np.floating], tensor: Tensor) -> Floats32:
    single = values.astype(np.float32)
    return single if tensor.dtype == "F32" else from_bfloat16(bfloat16_bits(single))


def _base(tensor: Tensor, size: Architecture, start: int, count: int) -> Floats32:
    scale = scale_of(tensor.name, size.layers)
    drawn = normal(key_of("base", tensor.name), start, count)
    return _stored(scale.centre + scale.spread * drawn, tensor)


def _tuned(model: str, base: Floats32, tensor: Tensor, size: Architecture, start: int) -> Floats32:
    scale = scale_of(tensor.name, size.layers)
    moved = scale.delta * (scale.centre or scale.spread) * np.sqrt(3.0)
    # The fine-tunes that nobody merged moved as far, in directions of their own.
    return _stored(base + moved * uniform(key_of(model, tensor.name), start, base.size), tensor)


@cache
def trained_experts(size: Architecture) -> frozenset[tuple[int, int]]:
    """(layer, expert) of the trunk's experts that were trained on: one in a hundred, at least one."""
    rng = np.random.Generator(np.random.Philox(key=key_of("trained experts")))
    total = size.layers * size.experts
    chosen = rng.choice(total, max(1, round(total * TRAINED_SHARE)), replace=False)
    return frozenset((int(x) // size.experts, int(x) % size.experts) for x in chosen)


def _later(blend: Floats32, tensor: Tensor, size: Architecture, start: int) -> Floats32:
    if len(tensor.shape) != 3 or ".experts." not in tensor.name:
        return blend
    layer = int(tensor.name.split(".layers.")[1].split(".")[0])
    each = tensor.elements // tensor.shape[0]
    experts = range(start // each, (start + blend.size - 1) // each + 1)
    out = blend.copy()
    for expert in experts:
        if (layer, expert) in trained_experts(size):
            low, high = max(expert * each - start, 0), min((expert + 1) * each - start, blend.size)
            change = normal(key_of("trained", tensor.name), start + low, high - low)
            spread = scale_of(tensor.name, size.layers).spread * TRAINED_SIZE
            out[low:high] = _stored(blend[low:high] + spread * change, tensor)
    return out
