"""Writes archives as torch.save does, for arrays of numpy: what is read is proven on torch's own files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np

from tests.hostile.torch_files import pickled, storage, tensor, text

__all__ = ["convert", "save"]

KINDS = {"F64": "Double", "F32": "Float", "F16": "Half", "BF16": "BFloat16", "I64": "Long"}
Stored = Mapping[str, tuple[str, np.ndarray]]


def save(path: Path, tensors: Stored, *, turned: bool = False) -> None:
    """Tensors as (dtype, bits). ``turned``: matrices lie in memory as their transposes do."""
    pairs, out = [], io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for key, (name, (dtype, bits)) in enumerate(tensors.items()):
            flip = turned and bits.ndim == 2
            strides = tuple(prod(bits.shape[k + 1 :]) for k in range(bits.ndim))
            made.writestr(f"{path.stem}/data/{key}", (bits.T if flip else bits).tobytes())
            place = storage(str(key), bits.size, f"{KINDS[dtype]}Storage")
            view = tensor(bits.shape, (1, bits.shape[0]) if flip else strides, 0, place)
            pairs.append(text(name) + view)
        made.writestr(f"{path.stem}/data.pkl", pickled(b"}(" + b"".join(pairs) + b"u"))
        made.writestr(f"{path.stem}/byteorder", b"little")
    path.write_bytes(out.getvalue())


def convert(source: Path, target: Path, *, turned: bool = False) -> Path:
    """A safetensors file as one of PyTorch."""
    from parentage.checkpoints.opening import open_checkpoint

    with open_checkpoint(source) as checkpoint:
        found = {
            name: (ref.dtype.value, checkpoint.read(ref, 0, ref.elements).reshape(ref.shape))
            for name, ref in checkpoint.tensors.items()
        }
    save(target, found, turned=turned)
    return target
