"""Three small models, C a stored blend of A and O, to be damaged by a test before they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.methods.linear import arithmetic
from parentage.numerics.storage.formats import quantize, round_to, to_float64
from parentage.records.dtypes import DType

__all__ = ["MATRIX", "Damage", "Model", "blend", "matrices", "stored", "write_family"]

Model = dict[str, "NDArray[np.float64] | StoredTensor"]
Damage = Callable[[Model, Model, Model], None]
SHAPE, LAYERS = (64, 64), 4
WEIGHTS = (0.6, 0.4)
MATRIX = "model.layers.0.self_attn.q_proj.weight"


def stored(values: NDArray[np.float64], dtype: DType) -> StoredTensor:
    """Values as a file holds them; whole numbers and truth values are made from their signs."""
    if dtype.is_float:
        return StoredTensor(dtype, values.shape, round_to(values.ravel(), dtype))
    signs = (values.ravel() > 0).astype(f"<u{dtype.itemsize}")
    return StoredTensor(dtype, values.shape, signs)


def matrices(dtype: DType = DType.BF16, seed: int = 0) -> tuple[Model, Model, Model]:
    """O, A (a fine-tune of it by 6 % of its weights' spread), and C = round(0.6 A + 0.4 O)."""
    rng = np.random.default_rng(seed)
    o: Model = {}
    a: Model = {}
    c: Model = {}
    for k in range(LAYERS):
        name = MATRIX.replace(".0.", f".{k}.")
        base = quantize((rng.normal(size=SHAPE) * 0.05).ravel(), dtype)
        moved = quantize(base + rng.normal(size=base.size) * 0.003, dtype)
        for model, values in ((o, base), (a, moved), (c, blend(moved, base, dtype))):
            model[name] = values.reshape(SHAPE)
    return o, a, c


def blend(first: NDArray[np.float64], second: NDArray[np.float64], dtype: DType) -> NDArray[np.float64]:
    """0.6 of the first and 0.4 of the second [n] as a merger computes and stores it."""
    rule = arithmetic("fp64" if dtype is DType.F64 else "fp32-fma")
    return to_float64(rule.apply(WEIGHTS, [first, second], out_dtype=dtype), dtype)


def write_family(
    folder: Path, damage: Damage | None = None, dtype: DType = DType.BF16
) -> Mapping[str, Path]:
    """Write O, A and C under ``folder``; returns their folders by name."""
    models = dict(zip("OAC", matrices(dtype), strict=True))
    if damage is not None:
        damage(models["O"], models["A"], models["C"])
    for name, tensors in models.items():
        made = {n: v if isinstance(v, StoredTensor) else stored(v, dtype) for n, v in tensors.items()}
        write_safetensors(folder / name / "model.safetensors", made)
    return {name: folder / name for name in models}
