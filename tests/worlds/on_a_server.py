"""A planted merge of two models, its tensors so large that a sample is a small part of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType

__all__ = ["merge_world", "packed"]

Bits = NDArray[np.uint16]
SHAPE = (512, 384)


def merge_world(
    layers: int = 4, weight: float = 0.6, seed: int = 5, change: float = 0.0
) -> dict[str, dict[str, Bits]]:
    """``suspect`` = bf16(weight · a + (1 - weight) · b) in float32, ``a`` and ``b``, and ``other``, one
    more fine-tune of ``b``: by name, bit patterns of bfloat16 by tensor. ``change``: noise on the stored
    suspect, in units of the weights."""
    rng = np.random.default_rng(seed)
    models: dict[str, dict[str, Bits]] = {name: {} for name in ("suspect", "a", "b", "other")}
    for layer in range(layers):
        for part in ("self_attn.q_proj", "mlp.up_proj"):
            name = f"model.layers.{layer}.{part}.weight"
            base = 0.02 * rng.standard_normal(SHAPE)
            models["b"][name] = _stored(base)
            for model in ("a", "other"):
                models[model][name] = _stored(base + 3e-4 * rng.standard_normal(SHAPE))
            a, b = (to_float64(models[m][name], DType.BF16).astype(np.float32) for m in ("a", "b"))
            blend = _stored(np.float32(weight) * a + np.float32(1 - weight) * b)
            if change:
                moved = to_float64(blend, DType.BF16) + change * rng.standard_normal(SHAPE)
                blend = _stored(moved)
            models["suspect"][name] = blend
    return models


def _stored(values: NDArray[np.floating]) -> Bits:
    return round_to(values.astype(np.float64), DType.BF16).astype(np.uint16)


def packed(tensors: dict[str, Bits]) -> bytes:
    """One safetensors file with the bits marked as bfloat16."""
    raw = save(tensors)
    length = int.from_bytes(raw[:8], "little")
    header = raw[8 : 8 + length].replace(b'"U16"', b'"BF16"').ljust(length)
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + raw[8 + length :]
