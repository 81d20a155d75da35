"""The files of a model as a hub would hold them: shards with their headers, index, config, card.

Which tensor lies in which of the 94 published files is not known here. The count leaves little choice: a
layer's gates fill a file of their own (8.59 GB), two layers' down projections another, and what is left
fills four. So it is laid out here, largest first, each in the fullest file that has room.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from .architecture import FULL, Architecture, Tensor, tensors_of

__all__ = ["File", "Model", "Placed", "Shard", "files_of"]

# A file of the published size; a miniature's are as many times smaller as it is.
LARGEST = 8_600_000_000


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor, and the first byte of its data counted from the end of the header."""

    tensor: Tensor
    begin: int


@dataclass(frozen=True)
class Shard:
    """A weight file: its header's bytes (with their length before them) and the tensors behind it."""

    name: str
    header: bytes
    tensors: tuple[Placed, ...]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        last = self.tensors[-1]
        return len(self.header) + last.begin + last.tensor.nbytes

    def parts(self, start: int, stop: int) -> Iterator[bytes | tuple[Tensor, int, int]]:
        """What makes bytes [start, stop): bytes of the header, then (tensor, first byte, end) of data."""
        if start < len(self.header):
            yield self.header[start:stop]
        start, stop = (max(x - len(self.header), 0) for x in (start, stop))
        first = max(bisect_right(self.tensors, start, key=lambda p: p.begin) - 1, 0)
        for placed in self.tensors[first:]:
            if placed.begin >= stop:
                return
            low, high = max(start - placed.begin, 0), min(stop - placed.begin, placed.tensor.nbytes)
            if low < high:
                yield placed.tensor, low, high


@dataclass(frozen=True, slots=True)
class File:
    """A small file."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Model:
    """What one repository holds besides its numbers."""

    shards: dict[str, Shard]
    side_files: dict[str, File]


def files_of(size: Architecture, card: str) -> Model:
    """Lay the tensors out in shards; the same for every model of an architecture."""
    tensors = tensors_of(size)
    packed = _packed(tensors, size)
    shards = {}
    for k, members in enumerate(packed, 1):
        name = f"model.safetensors-{k:05d}-of-{len(packed):05d}.safetensors"
        shards[name] = _shard(name, members)
    side = {
        "README.md": card.encode(),
        "config.json": _json(_config(size)),
        "model.safetensors.index.json": _json(_index(shards)),
    }
    return Model(shards, {name: File(name, data) for name, data in side.items()})


def _packed(tensors: tuple[Tensor, ...], size: Architecture) -> list[list[Tensor]]:
    total = sum(t.nbytes for t in tensors)
    room = LARGEST if size == FULL else max(-(-total // size.shards), *(t.nbytes for t in tensors))
    bins: list[list[Tensor]] = []
    held: list[int] = []
    for tensor in sorted(tensors, key=lambda t: -t.nbytes):
        fits = [k for k, n in enumerate(held) if n + tensor.nbytes <= room]
        if not fits:
            bins.append([])
            held.append(0)
            fits = [len(bins) - 1]
        chosen = max(fits, key=lambda k: held[k])
        bins[chosen].append(tensor)
        held[chosen] += tensor.nbytes
    return bins


def _shard(name: str, members: list[Tensor]) -> Shard:
    """Larger numbers first and then by name, as safetensors writes them."""
    ordered = sorted(members, key=lambda t: (-t.itemsize, t.name))
    placed, at = [], 0
    table: dict[str, object] = {"__metadata__": {"format": "pt"}}
    for tensor in ordered:
        placed.append(Placed(tensor, at))
        table[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    raw = json.dumps(table, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return Shard(name, len(raw).to_bytes(8, "little") + raw, tuple(placed))


def _index(shards: dict[str, Shard]) -> dict[str, object]:
    placed = [(p.tensor, shard.name) for shard in shards.values() for p in shard.tensors]
    return {
        "metadata": {"total_size": sum(t.nbytes for t, _ in placed)},
        "weight_map": {t.name: name for t, name in sorted(placed, key=lambda x: x[0].name)},
    }


def _config(size: Architecture) -> dict[str, object]:
    text = {
        "model_type": "qwen3_5_moe_text",
        "hidden_size": size.hidden,
        "num_hidden_layers": size.layers,
        "num_experts": size.experts,
        "moe_intermediate_size": size.intermediate,
        "vocab_size": size.vocabulary,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.key_value_heads,
        "head_dim": size.head_size,
        "full_attention_interval": 4,
        "tie_word_embeddings": False,
        "dtype": "bfloat16",
    }
    return {
        "architectures": ["Qwen3_5MoeForConditionalGeneration"],
        "model_type": "qwen3_5_moe",
        "text_config": text,
        "vision_config": {"depth": size.vision_layers, "hidden_size": size.vision_hidden},
    }


def _json(table: dict[str, object]) -> bytes:
    return json.dumps(table, indent=2).encode()
