"""Weight files by name: which endings a folder is searched for, in which order, and what is no weight.

What a file is told apart by is its first bytes (``headers.py``); names only say which files are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ENDINGS", "FORMATS", "GGUF", "WeightFormat", "format_among", "is_weight_name"]

GGUF = "GGUF"
# What a trainer leaves beside the weights, in the same format.
_NO_WEIGHTS = re.compile(r"(training_args|optimizer|scheduler|rng_state|random_states|scaler)[._-].*")

_SHARD = re.compile(r"-\d{4,}-of-\d{4,}\.")


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """``usual``: names that a model's only file has, likeliest first."""

    name: str
    endings: tuple[str, ...]
    usual: tuple[str, ...]

    def weights(self, names: Sequence[str]) -> list[str]:
        """The weight files among names."""
        found = [n for n in names if n.endswith(self.endings)]
        return [
            n for n in found if self.name == "safetensors" or not _NO_WEIGHTS.match(n.rsplit("/", 1)[-1])
        ]

    def indexes(self, names: Sequence[str]) -> list[str]:
        """Indexes of shards, the usual one first."""
        found = [n for n in names if n.endswith(tuple(f"{e}.index.json" for e in self.endings))]
        usual = [f"{n}.index.json" for n in self.usual]
        return sorted(found, key=lambda n: (n not in usual, n))

    def certain(self, names: Sequence[str]) -> bool:
        """Whether names say that a model is in this format: many things are called ``.bin``."""
        weights = self.weights(names)
        told = any(n in self.usual or _SHARD.search(n) for n in weights)
        return bool(self.indexes(names)) or told or bool(weights and ".bin" not in self.endings)

    def single(self, weights: Sequence[str]) -> tuple[str, ...]:
        """The usual file where it is there, else all."""
        return next(((n,) for n in self.usual if n in weights), tuple(weights))


FORMATS = (
    WeightFormat("safetensors", (".safetensors",), ("model.safetensors",)),
    WeightFormat(GGUF, (".gguf",), ()),
    WeightFormat(
        "PyTorch", (".bin", ".pt", ".pth", ".ckpt"), ("pytorch_model.bin", "model.pt", "model.pth")
    ),
    WeightFormat("ONNX", (".onnx",), ("model.onnx",)),
)
# A locator that ends so names a file; whether it is read is seen by its first bytes.
ENDINGS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".onnx", ".ckpt", ".h5", ".msgpack")


def is_weight_name(name: str) -> bool:
    """By its ending, in a format of weights, read or not."""
    return name.endswith(ENDINGS)


def format_among(names: Sequence[str]) -> WeightFormat | None:
    """The first format of which there is an index or a weight file; one without doubt first."""
    certain = next((f for f in FORMATS if f.certain(names)), None)
    return certain or next((f for f in FORMATS if f.weights(names)), None)
