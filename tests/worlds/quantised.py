"""Planted models in coarse formats, written by the formats' own library or by rules as tools state them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter, quants
from numpy.typing import NDArray

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.numerics.storage.formats import round_to
from parentage.records.dtypes import DType

__all__ = ["FORMATS", "Floats32", "Planted", "family", "write_plain", "write_quantised"]

Floats32 = NDArray[np.float32]
Planted = dict[str, Floats32]
NORM = "model.norm.weight"
BLOCKS = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1")
FORMATS = (*BLOCKS, "int8-channel", "int8-tensor", "int4-group", "fp8-tile")


def family(
    seed: int, *, deltas: Mapping[str, float], rows: int = 128, columns: int = 256
) -> dict[str, Planted]:
    """A base O and fine-tunes of it, each a change of so many standard deviations away; float32."""
    rng = np.random.default_rng(seed)
    names = [f"model.layers.{k}.mlp.up_proj.weight" for k in range(4)]
    base: Planted = {n: rng.normal(0, 0.02, (rows, columns)).astype(np.float32) for n in names}
    base[NORM] = rng.normal(1, 0.05, columns).astype(np.float32)
    models = {"O": base}
    for name, delta in deltas.items():
        own = np.random.default_rng([seed, *name.encode()])
        models[name] = {
            n: (w + own.normal(0, delta * float(np.std(w)), w.shape)).astype(np.float32)
            for n, w in base.items()
        }
    return models


def write_plain(folder: Path, model: Planted, dtype: DType = DType.F32) -> str:
    """As safetensors, rounded once."""
    stored = {n: StoredTensor(dtype, w.shape, round_to(w.reshape(-1), dtype)) for n, w in model.items()}
    write_safetensors(folder / "model.safetensors", stored)
    return str(folder)


def write_quantised(folder: Path, model: Planted, format_: str) -> str:
    """Matrices as codes, vectors in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    if format_ in BLOCKS:
        return _gguf(folder / "model.gguf", model, format_)
    tensors: dict[str, StoredTensor] = {}
    for name, weight in model.items():
        if weight.ndim < 2:
            tensors[name] = StoredTensor(DType.F32, weight.shape, weight.view(np.uint32))
        else:
            tensors |= _SCALED[format_](name, weight)
    write_safetensors(folder / "model.safetensors", tensors)
    return str(folder)


def _gguf(path: Path, model: Planted, format_: str) -> str:
    writer = GGUFWriter(path, "llama")
    for name, weight in model.items():
        if weight.ndim < 2:
            writer.add_tensor(name, weight)
        else:
            writer.add_tensor(name, quants.quantize(weight, Kind[format_]), raw_dtype=Kind[format_])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(path)


def _f32(array: Floats32) -> StoredTensor:
    return StoredTensor(DType.F32, array.shape, np.ascontiguousarray(array).reshape(-1).view(np.uint32))


def _int8(name: str, weight: Floats32, scale: Floats32) -> dict[str, StoredTensor]:
    codes = np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)
    bits = codes.reshape(-1).view(np.uint8)
    return {name: StoredTensor(DType.I8, weight.shape, bits), f"{name}_scale": _f32(scale)}


def _channel(name: str, weight: Floats32) -> dict[str, StoredTensor]:
    return _int8(name, weight, np.abs(weight).max(axis=1, keepdims=True) / np.float32(127))


def _tensor(name: str, weight: Floats32) -> dict[str, StoredTensor]:
    return _int8(name, weight, np.abs(weight).max().reshape(1) / np.float32(127))


def _group(name: str, weight: Floats32) -> dict[str, StoredTensor]:
    """compressed-tensors' packed int4 in groups of 64: absmax / 7.5, clipped to -8 ... 7."""
    rows, columns = weight.shape
    grouped = weight.reshape(rows, -1, 64)
    scale = np.abs(grouped).max(axis=2) / np.float32(7.5)
    codes = np.clip(np.rint(grouped / scale[:, :, None]), -8, 7).reshape(rows, columns)
    unsigned = (codes.astype(np.int64) + 8).astype(np.uint32).reshape(rows, -1, 8)
    words = np.bitwise_or.reduce(unsigned << np.arange(0, 32, 4, dtype=np.uint32), axis=2).astype(np.uint32)
    shape = np.array([rows, columns], np.int64)
    return {
        f"{name}_packed": StoredTensor(DType.I32, words.shape, words.reshape(-1)),
        f"{name}_scale": _f32(scale),
        f"{name}_shape": StoredTensor(DType.I64, (2,), shape.view(np.uint64)),
    }


def _tile(name: str, weight: Floats32) -> dict[str, StoredTensor]:
    """DeepSeek's: tiles of 128 x 128, absmax / 448, E4M3."""
    rows, columns = weight.shape
    tiles = np.abs(weight).reshape(rows // 128, 128, columns // 128, 128).max(axis=(1, 3))
    scale = (tiles / np.float32(448)).astype(np.float32)
    quotient = weight / scale.repeat(128, 0).repeat(128, 1)
    bits = round_to(np.clip(quotient, -448, 448).reshape(-1), DType.F8_E4M3)
    return {
        name: StoredTensor(DType.F8_E4M3, weight.shape, bits),
        f"{name}_scale_inv": _f32(scale),
    }


_SCALED: Mapping[str, Callable[[str, Floats32], dict[str, StoredTensor]]] = {
    "int8-channel": _channel,
    "int8-tensor": _tensor,
    "int4-group": _group,
    "fp8-tile": _tile,
}
