"""W + σ·ε, a piece at a time, from the base's own files: into a loaded model, or into a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.errors import CheckpointError
from parentage.merging.operands import pieces
from parentage.merging.shards import ShardFile
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.dtypes import DType
from parentage.records.json_files import write_bytes
from parentage.records.tensors import ShardRef, TensorRef
from parentage.training.models import Model
from parentage.training.noise import Noise

__all__ = ["Perturbation", "check_base", "digests_of", "load_into", "write_member"]

FLOATS: Final = (DType.F32, DType.F16, DType.BF16)
# A tokenizer of a vocabulary of 256,000 tokens has 33 MB.
MAX_SIDE: Final = 256 * 2**20
# A card or a recipe tells of the base, and not of what was made of it.
NOT_TAKEN: Final = ("README.md", "mergekit_config.yml", "adapter_config.json", "training.json")


@dataclass(frozen=True, slots=True)
class Perturbation:
    """The noise of one seed, times ``sigma``. ``sigma`` 0 is the base itself."""

    noise: Noise
    sigma: float

    def bits(self, checkpoint: Checkpoint, tensor: TensorRef) -> Iterator[tuple[int, NDArray[Any]]]:
        """(first element, storage bits) of the tensor's pieces, in order.

        float32(W + σ·ε) with one rounding, then one to the tensor's dtype. With torch's noise that is
        ``add_(noise, alpha=sigma)`` of torch 2.13 on a CPU, bit for bit but in the last elements where
        their number is no multiple of its vectors' 32, of which torch rounds the product too.
        """
        sigma = np.float64(self.noise.size(self.sigma, tensor.dtype))
        for start, count in pieces(tensor.elements, 1):
            stored = checkpoint.read(tensor, start, count)
            if tensor.dtype in FLOATS and self.sigma:
                noise = self.noise.values(tensor.elements, tensor.dtype, start, count)
                moved = to_float32(stored, tensor.dtype).astype(np.float64) + sigma * noise
                stored = round_to(moved.astype(np.float32), tensor.dtype)
            yield start, stored


def check_base(checkpoint: Checkpoint) -> None:
    """Raises ``CheckpointError`` (``perturb-format``) for what is no plain safetensors."""
    tensors = checkpoint.tensors.values()
    plain = all(
        not t.encoding and not t.pieces and t.scaled is None and t.dequantised is None for t in tensors
    )
    named = all(s.name.endswith(".safetensors") for s in checkpoint.shards)
    if not (plain and named) or any(t.dtype.is_float and t.dtype not in FLOATS for t in tensors):
        raise CheckpointError(
            "its weights are not float32, float16 or bfloat16 in safetensors files",
            code="perturb-format",
            where=checkpoint.locator,
            hint="name the folder of a model that is not quantised",
        )


def load_into(model: Model, checkpoint: Checkpoint, change: Perturbation) -> None:
    """Overwrite every floating-point tensor of the loaded model. One piece is in memory beside it."""
    for tensor in checkpoint.tensors.values():
        if tensor.dtype not in FLOATS:
            continue
        for start, bits in change.bits(checkpoint, tensor):
            model.put(tensor.name, start, to_float32(bits, tensor.dtype))


def write_member(folder: Path, checkpoint: Checkpoint, change: Perturbation) -> None:
    """The base's files again, names, shapes and dtypes, with the perturbed numbers. ``OutputError``."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in checkpoint.shards:
        _write_shard(folder, shard, checkpoint, change)
    for name in checkpoint.folder.side_files:
        if name not in NOT_TAKEN and "/" not in name:
            write_bytes(folder / name, checkpoint.folder.read_side_file(name, MAX_SIDE))
    if len(checkpoint.shards) > 1:
        names = {t.name: t.shard for t in checkpoint.tensors.values()}
        table = {"metadata": {}, "weight_map": dict(sorted(names.items()))}
        write_bytes(folder / "model.safetensors.index.json", (json.dumps(table, indent=2) + "\n").encode())


def _write_shard(folder: Path, shard: ShardRef, checkpoint: Checkpoint, change: Perturbation) -> None:
    inside = [t for t in checkpoint.tensors.values() if t.shard == shard.name]
    header, nbytes = _header(inside)
    with ShardFile(folder, shard.name, header, nbytes) as file:
        position = 0
        for tensor in inside:
            for _, bits in change.bits(checkpoint, tensor):
                data = np.ascontiguousarray(bits).view(np.uint8).data
                file.put(position, data)
                file.hashed(data)
                position += len(data)
        file.finish()


def _header(tensors: list[TensorRef]) -> tuple[bytes, int]:
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for tensor in tensors:
        size = tensor.elements * tensor.dtype.itemsize
        entries[tensor.name] = {
            "dtype": tensor.dtype.value,
            "shape": list(tensor.shape),
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, position


def digests_of(checkpoint: Checkpoint) -> dict[str, str]:
    """SHA-256 of every weight file, in hexadecimal, by name."""
    found = {}
    for shard in checkpoint.shards:
        whole = hashlib.sha256()
        for _, block in checkpoint.blocks(shard):
            whole.update(block)
        found[shard.name] = whole.hexdigest()
    return found
