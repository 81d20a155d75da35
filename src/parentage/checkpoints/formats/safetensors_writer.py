"""Write one safetensors file, atomically: it is whole under its name, or it is not there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
from numpy.typing import NDArray

from parentage.errors import OutputError
from parentage.records.dtypes import DType

__all__ = ["StoredTensor", "write_safetensors"]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Storage bits of one tensor, row-major, with its dtype and shape."""

    dtype: DType
    shape: tuple[int, ...]
    bits: NDArray[np.unsignedinteger]


def write_safetensors(
    path: Path, tensors: Mapping[str, StoredTensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors in the order of their names (safetensors format, huggingface/safetensors README).

    Raises :class:`OutputError` when the file cannot be written; nothing half-written is left.
    """
    header, position = dict[str, object](), 0
    if metadata:
        header["__metadata__"] = dict(metadata)
    for name in sorted(tensors):
        tensor = tensors[name]
        size = tensor.bits.size * tensor.dtype.itemsize
        header[name] = {
            "dtype": tensor.dtype.value,
            "shape": list(tensor.shape),
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    try:
        _write(path, text, tensors)
    except OSError as error:
        raise OutputError(
            f"cannot write the checkpoint: {error.strerror}", code="output-write", where=str(path)
        ) from error


def _write(path: Path, header: bytes, tensors: Mapping[str, StoredTensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as partial:
        try:
            partial.write(len(header).to_bytes(8, "little") + header)
            for name in sorted(tensors):
                partial.write(np.ascontiguousarray(tensors[name].bits).tobytes())
            partial.flush()
            os.fsync(partial.fileno())
            os.chmod(partial.name, 0o644)
            os.replace(partial.name, path)
        except BaseException:
            os.unlink(partial.name)
            raise
