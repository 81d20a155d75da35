"""Small sharded checkpoints as files in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from tests.checkpoints.remote.servers import index_of

__all__ = ["INDEX", "arrays", "files_of"]

INDEX = "model.safetensors.index.json"
CONFIG = b'{"architectures": ["Tiny"]}'


def arrays(shards: int = 4, rows: int = 300, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Two float32 tensors a shard: [rows, 64] and [64]."""
    rng = np.random.default_rng(seed)
    found: dict[str, NDArray[Any]] = {}
    for k in range(shards):
        found[f"layers.{k}.w"] = rng.normal(size=(rows, 64)).astype(np.float32)
        found[f"layers.{k}.n"] = rng.normal(size=64).astype(np.float32)
    return found


def files_of(tensors: dict[str, NDArray[Any]], shards: int = 4) -> dict[str, bytes]:
    """Shards with an index, a config and a card."""
    names = [f"model-{k + 1:05}-of-{shards:05}.safetensors" for k in range(shards)]
    parts = {
        n: {t: a for t, a in tensors.items() if int(t.split(".")[1]) == k} for k, n in enumerate(names)
    }
    mapping = {t: n for n, part in parts.items() for t in part}
    weights = {n: save(part) for n, part in parts.items()}
    side = {INDEX: index_of(mapping), "config.json": CONFIG, "README.md": b"---\nbase_model: a/b\n---\n"}
    return {**weights, **side}
