"""Where planted worlds start: drawn weights of realistic scale, and crops of real models."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from parentage.checkpoints.opening import open_checkpoint
from parentage.numerics.storage.formats import to_float64
from tests.worlds.fixtures import FOLDER
from tests.worlds.planted import Floats, Weights

__all__ = ["FAMILY_MEMBERS", "RUN_FOLDER", "family_folder", "family_pieces", "run_pieces", "synthetic_base"]

FAMILY_MEMBERS = ("O", "A", "B")
RUN_FOLDER = FOLDER / "training-run"
# Sizes of a matrix in elements, and how often a world has large ones. The likelihoods look at 8,192
# of them and cost the more the more they see: most worlds are small so that thousands can be audited.
SMALLEST, SMALL, LARGE = 1_200, 3_600, 16_000
LARGE_SHARE = 0.1
ROLES = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)
LAYER_TENSORS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


def synthetic_base(
    rng: np.random.Generator, *, count: int | None = None, size: int | None = None
) -> Weights:
    """Matrices of spread about .02, different by tensor and row, an embedding, norms near 1.

    ``count`` matrices (drawn when None) of about ``size`` elements each.
    """
    wanted = int(rng.integers(4, 6)) if count is None else count
    width = int(rng.choice([64, 96, 128]))
    sizes = _sizes(rng, wanted, size)
    base: Weights = {}
    for k in range(wanted):
        layer, role = divmod(k, len(ROLES))
        name = "model.embed_tokens" if k == 0 else f"model.layers.{layer}.{ROLES[role]}"
        base[f"{name}.weight"] = _matrix(rng, max(16, sizes[k] // width), width)
    for layer in range((wanted - 1) // len(ROLES) + 1):
        base[f"model.layers.{layer}.input_layernorm.weight"] = rng.normal(
            1.0, rng.uniform(0.05, 0.3), width
        )
    base["model.norm.weight"] = rng.normal(1.0, 0.15, width)
    return base


def _sizes(rng: np.random.Generator, count: int, size: int | None) -> list[int]:
    """Elements of each matrix: about ``size``, or drawn for the world as a whole."""
    if size is not None:
        return [size] * count
    largest = LARGE if rng.random() < LARGE_SHARE else SMALL
    return [int(n) for n in np.exp(rng.uniform(np.log(SMALLEST), np.log(largest), count))]


def _matrix(rng: np.random.Generator, rows: int, width: int) -> Floats:
    """Gaussian, its rows of different spread, a few columns larger (outlier channels)."""
    spread = 0.02 * rng.lognormal(0.0, 0.4)
    values = rng.normal(0.0, spread, (rows, width)) * rng.lognormal(0.0, 0.2, (rows, 1))
    if rng.random() < 0.5:
        values[:, rng.integers(0, width, 2)] *= rng.uniform(2.0, 8.0)
    return values


def family_folder() -> Path:
    """Where O/, A/ and B/ of the real family lie."""
    return Path(os.environ.get("PARENTAGE_FAMILY", "build/family"))


def family_pieces(
    rng: np.random.Generator, *, count: int | None = None, size: int | None = None, elsewhere: bool = False
) -> dict[str, Weights]:
    """The same corners of O, A and B (float32 as published), four or five matrices and a norm.

    ``count`` matrices (drawn when None) of about ``size`` elements each. ``elsewhere``: also an
    ``other``, cut from A at other layers and places under the same names.
    """
    wanted = int(rng.integers(4, 6)) if count is None else count
    layers = rng.permutation(6)
    sizes = _sizes(rng, wanted, size)
    names = [
        f"encoder.layer.{layers[k // len(LAYER_TENSORS)]}.{LAYER_TENSORS[k % len(LAYER_TENSORS)]}.weight"
        for k in rng.permutation(2 * len(LAYER_TENSORS))[: wanted - 1]
    ]
    names.append("embeddings.word_embeddings.weight")
    cuts = {n: _cut(rng, _shape(n), k) for n, k in zip(names, sizes, strict=True)}
    norm = f"encoder.layer.{layers[0]}.output.LayerNorm.weight"
    cuts[norm] = (slice(0, 384), slice(0, 0))
    pieces = {m: {n: _piece(m, n, cut) for n, cut in cuts.items()} for m in FAMILY_MEMBERS}
    if elsewhere:
        pieces["other"] = {n: _elsewhere(rng, n, v.shape) for n, v in pieces["O"].items()}
    return pieces


def _cut(rng: np.random.Generator, shape: tuple[int, ...], size: int) -> tuple[slice, slice]:
    width = int(rng.choice([64, 128, 192, 384]))
    rows = min(max(16, size // width), shape[0])
    top, left = (
        int(rng.integers(0, full - part + 1)) for full, part in zip(shape, (rows, width), strict=True)
    )
    return slice(top, top + rows), slice(left, left + width)


def _elsewhere(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Floats:
    if len(shape) == 1:
        return _piece(
            "A", "encoder.layer.3.attention.output.LayerNorm.weight", (slice(0, shape[0]), slice(0, 0))
        )
    while True:
        other = f"encoder.layer.{rng.integers(6)}.{LAYER_TENSORS[rng.integers(6)]}.weight"
        full = _shape(other)
        if other != name and full[0] >= shape[0] and full[1] >= shape[1]:
            top, left = (int(rng.integers(0, f - s + 1)) for f, s in zip(full, shape, strict=True))
            return _piece("A", other, (slice(top, top + shape[0]), slice(left, left + shape[1])))


@cache
def _shape(name: str) -> tuple[int, ...]:
    with _opened("O") as file:
        return tuple(file.get_slice(name).get_shape())


def _opened(member: str) -> safe_open:
    return safe_open(str(family_folder() / member / "model.safetensors"), framework="np")


def _piece(member: str, name: str, cut: tuple[slice, slice]) -> Floats:
    with _opened(member) as file:
        whole = file.get_slice(name)
        values = whole[cut[0]] if len(whole.get_shape()) == 1 else whole[cut[0], cut[1]]
    return np.asarray(values, dtype=np.float64)


@cache
def _run_model(name: str) -> dict[str, NDArray[np.float64]]:
    found = {}
    with open_checkpoint(str(RUN_FOLDER / f"{name}.safetensors")) as checkpoint:
        for key, tensor in checkpoint.tensors.items():
            bits = checkpoint.read(key, 0, tensor.elements)
            found[key] = to_float64(bits, tensor.dtype).reshape(tensor.shape)
    return found


def run_pieces(
    rng: np.random.Generator, names: tuple[str, ...], *, count: int | None = None
) -> dict[str, Weights]:
    """The same rows and columns of models of the real training run (bf16 values, exact)."""
    models = {name: _run_model(name) for name in names}
    first = models[names[0]]
    wanted = int(rng.integers(4, 6)) if count is None else count
    lowest, highest = (64, 128) if rng.random() < LARGE_SHARE else (32, 64)
    square = [n for n, v in first.items() if v.ndim == 2]
    chosen = [square[k] for k in rng.permutation(len(square))[:wanted]]
    cuts = {}
    for name in chosen:
        full = first[name].shape
        rows = np.sort(rng.permutation(full[0])[: int(rng.integers(lowest, highest + 1))])
        columns = np.sort(rng.permutation(full[1])[: int(rng.integers(lowest, highest + 1))])
        cuts[name] = np.ix_(rows, columns)
    pieces = {m: {n: v[n][cut] for n, cut in cuts.items()} for m, v in models.items()}
    for m, v in models.items():
        pieces[m] |= {n: w for n, w in v.items() if w.ndim == 1}
    return pieces
