"""The model that a run begins with: its weight files, what lies beside them, and outputs in their form."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.licence_names import is_licence_file
from parentage.checkpoints.locators import PlaceKind, place_kind
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import CheckpointError
from parentage.records.dtypes import DType
from parentage.records.json_files import write_bytes
from parentage.records.tensors import TensorRef
from parentage.records.training import ModelUsed, WeightFile

__all__ = ["Base", "digests_in", "open_base"]

# A tokenizer of a vocabulary of 256,000 tokens has 33 MB.
MAX_SIDE: Final = 256 * 2**20
FLOATS: Final = (DType.F64, DType.F32, DType.F16, DType.BF16)
# What the folder of an adapter does not hold, nor a licence: the weights lie elsewhere.
OF_THE_MODEL: Final = ("config.json", "generation_config.json")
# A card or a recipe tells of the base, and not of what was made of it.
NOT_TAKEN: Final = ("README.md", "mergekit_config.yml", "adapter_config.json")
INDEX: Final = "model.safetensors.index.json"
Numbers = Callable[[str, DType], NDArray[np.unsignedinteger] | None]
"""Storage bits of a tensor by the base's name and dtype; None where the base's own stay."""


class Base:
    """An opened folder of safetensors, hashed."""

    def __init__(self, checkpoint: Checkpoint, locator: str) -> None:
        self.checkpoint = checkpoint
        self.locator = locator
        self.used = ModelUsed(locator, tuple(_hashed(checkpoint)))
        self.tensors: Mapping[str, TensorRef] = checkpoint.tensors

    def digest(self) -> str:
        """SHA-256 over the weight files and all that lies beside them and is taken over."""
        whole = hashlib.sha256()
        for file in self.used.files:
            whole.update(f"{file.name}\0{file.sha256}\n".encode())
        for name in self._beside():
            whole.update(f"{name}\0".encode())
            whole.update(hashlib.sha256(self.checkpoint.folder.read_side_file(name, MAX_SIDE)).digest())
        return whole.hexdigest()

    def _beside(self) -> list[str]:
        return sorted(n for n in self.checkpoint.side_files if n not in NOT_TAKEN)

    def write(self, folder: Path, numbers: Numbers) -> tuple[WeightFile, ...]:
        """A model of the same files, names, shapes and dtypes; tensors without new numbers are copied.

        Raises ``OutputError``. One file is in memory at a time.
        """
        for shard in self.checkpoint.shards:
            inside = [t for t in self.tensors.values() if t.shard == shard.name]
            write_safetensors(
                folder / shard.name, {t.name: self._stored(t, numbers) for t in inside}, {"format": "pt"}
            )
        self.write_beside(folder, tokenizer_only=False)
        return digests_in(folder)

    def _stored(self, tensor: TensorRef, numbers: Numbers) -> StoredTensor:
        bits = numbers(tensor.name, tensor.dtype)
        if bits is None:
            bits = self.checkpoint.read(tensor, 0, tensor.elements)
        return StoredTensor(tensor.dtype, tensor.shape, bits)

    def write_beside(self, folder: Path, *, tokenizer_only: bool) -> None:
        """Config, tokenizer and chat template, byte for byte; ``tokenizer_only``: what an adapter needs."""
        names = self._beside()
        if not tokenizer_only and len(self.checkpoint.shards) > 1:
            names.append(INDEX)
        for name in names:
            if tokenizer_only and (name in OF_THE_MODEL or is_licence_file(name)):
                continue
            write_bytes(folder / name, self.checkpoint.folder.read_side_file(name, MAX_SIDE))

    def close(self) -> None:
        """Let go of the files."""
        self.checkpoint.close()


def open_base(locator: str) -> Base:
    """Open and hash. Raises ``CheckpointError`` (``training-format``) and what opening a model raises."""
    if place_kind(locator) is not PlaceKind.LOCAL or not Path(locator).is_dir():
        raise _format(locator, "a run begins with a folder on this machine")
    checkpoint = open_checkpoint(locator)
    try:
        _check_format(checkpoint, locator)
        return Base(checkpoint, locator)
    except BaseException:
        checkpoint.close()
        raise


def _check_format(checkpoint: Checkpoint, locator: str) -> None:
    if not all(s.name.endswith(".safetensors") for s in checkpoint.shards):
        raise _format(locator, "its weights are not safetensors")
    for tensor in checkpoint.tensors.values():
        plain = not tensor.encoding and tensor.scaled is None and tensor.dequantised is None
        if (
            not plain
            or tensor.pieces
            or tensor.packed
            or (tensor.dtype.is_float and tensor.dtype not in FLOATS)
        ):
            raise _format(locator, f"{tensor.name} is quantised ({tensor.stored_as})")
    if checkpoint.config is None:
        raise _format(locator, "there is no config.json")


def _format(locator: str, why: str) -> CheckpointError:
    return CheckpointError(
        f"it cannot be trained here: {why}",
        code="training-format",
        where=locator,
        hint="name a folder with config.json, a tokenizer and unquantised safetensors",
    )


def _hashed(checkpoint: Checkpoint) -> Iterator[WeightFile]:
    for shard in checkpoint.shards:
        whole, size = hashlib.sha256(), 0
        for _, block in checkpoint.blocks(shard):
            whole.update(block)
            size += len(block)
        yield WeightFile(shard.name, size, whole.hexdigest())


def digests_in(folder: Path) -> tuple[WeightFile, ...]:
    """Every file of weights that lies in a folder, in the order of names."""
    found = []
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as stream:
            digest: Any = hashlib.file_digest(stream, "sha256")
        found.append(WeightFile(path.name, path.stat().st_size, digest.hexdigest()))
    return tuple(found)
