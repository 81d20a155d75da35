"""Small models in folders of their own, and recipes that merge them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.numerics.storage.formats import round_to
from parentage.records.dtypes import DType

__all__ = ["LAYERS", "bits_of", "llama", "recipe_file", "write_model"]

LAYERS = 3
WIDTH = 8
VOCABULARY = 12
Weights = Mapping[str, tuple[DType, NDArray[Any]]]


def llama(seed: int, *, layers: int = LAYERS, vocabulary: int = VOCABULARY) -> dict[str, Any]:
    """Names and shapes of a small Llama with numbers of its own, float32."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, WIDTH)}
    for k in range(layers):
        shapes |= {
            f"model.layers.{k}.self_attn.q_proj.weight": (WIDTH, WIDTH),
            f"model.layers.{k}.mlp.down_proj.weight": (WIDTH, 2 * WIDTH),
            f"model.layers.{k}.input_layernorm.weight": (WIDTH,),
        }
    shapes |= {"model.norm.weight": (WIDTH,), "lm_head.weight": (vocabulary, WIDTH)}
    return {name: rng.normal(0, 0.02, shape).astype(np.float32) for name, shape in shapes.items()}


def write_model(
    folder: Path,
    weights: Mapping[str, NDArray[Any]],
    *,
    dtype: DType = DType.BF16,
    kept: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    shards: int = 1,
) -> Path:
    """A model folder; ``kept``: names that stay float32; integers stay what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    layers = len({n.split(".")[2] for n in weights if n.startswith("model.layers.")})
    table = {"model_type": "llama", "num_hidden_layers": layers, "torch_dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps({**table, **(config or {})}))
    stored = {name: _stored(value, DType.F32 if name in kept else dtype) for name, value in weights.items()}
    names = sorted(stored)
    if shards == 1:
        write_safetensors(folder / "model.safetensors", stored)
        return folder
    parts = [names[k::shards] for k in range(shards)]
    files = [f"model-{k:05}-of-{shards:05}.safetensors" for k in range(1, shards + 1)]
    for file, part in zip(files, parts, strict=True):
        write_safetensors(folder / file, {n: stored[n] for n in part})
    mapping = {n: file for file, part in zip(files, parts, strict=True) for n in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": mapping}))
    return folder


def _stored(value: NDArray[Any], dtype: DType) -> StoredTensor:
    if value.dtype.kind == "i":
        return StoredTensor(DType.I64, value.shape, value.astype("<i8").view(np.uint64).reshape(-1))
    return StoredTensor(dtype, value.shape, round_to(value.reshape(-1), dtype))


def recipe_file(folder: Path, recipe: Mapping[str, Any]) -> Path:
    """The recipe in a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(dict(recipe), sort_keys=False))
    return path


def bits_of(place: Path) -> dict[str, tuple[DType, tuple[int, ...], bytes]]:
    """Every tensor of a model: dtype, shape, bytes."""
    with open_checkpoint(place) as opened:
        return {
            name: (ref.dtype, ref.shape, opened.read(ref, 0, ref.elements).tobytes())
            for name, ref in opened.tensors.items()
        }
