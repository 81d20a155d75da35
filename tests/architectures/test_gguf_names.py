"""GGUF files, laid out and named as llama.cpp's converter does, meet the models that they came from."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.dtypes import DType
from tests.architectures.layouts import Aligned, Arrays, random_model, shapes_of, write

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "mixtral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "qwen3_moe": gguf.MODEL_ARCH.QWEN3MOE,
    "gemma": gguf.MODEL_ARCH.GEMMA,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gemma3": gguf.MODEL_ARCH.GEMMA3,
    "phi": gguf.MODEL_ARCH.PHI2,
    "phi3": gguf.MODEL_ARCH.PHI3,
    "gpt2": gguf.MODEL_ARCH.GPT2,
    "bert": gguf.MODEL_ARCH.BERT,
}
TURNED_HEADS = {"llama", "mistral", "mixtral"}
W = NDArray[np.float32]


def in_pairs(weights: W, heads: int) -> W:
    """The converter's order of a head's rows: two halves become pairs."""
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)


def converted(family: str, model: Arrays) -> Arrays:
    """Names, stacked experts, turned maps and heads, as the converter writes them."""
    layers = 2
    names = gguf.get_tensor_name_map(ARCHITECTURES[family], layers)
    found: Arrays = {}
    for name, value in _stacked(model).items():
        plain = name.removeprefix("bert.")
        target = names.get_name(plain, try_suffixes=(".weight", ".bias"))
        if target is None:
            continue
        found[target] = _stored(family, name, value)
    return found


def _stored(family: str, name: str, value: W) -> W:
    if family in TURNED_HEADS and ("q_proj" in name or "k_proj" in name):
        return in_pairs(value, 4 if "q_proj" in name else 2)
    if family == "gpt2" and value.ndim == 2 and ".h." in name:
        return value.T
    if family.startswith("gemma") and "norm.weight" in name:
        return value + np.float32(1)
    return value


def _stacked(model: Arrays) -> Arrays:
    found = {n: v for n, v in model.items() if ".experts." not in n}
    for name in [n for n in model if ".experts.0." in n]:
        each = [model[name.replace(".experts.0.", f".experts.{e}.")] for e in range(4)]
        found[name.replace(".experts.0.", ".experts.")] = np.stack(each)
    return found


def write_gguf(path: Path, family: str, model: Arrays) -> Path:
    """A file of float32 with the heads' numbers, by the library that llama.cpp's converter uses."""
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[ARCHITECTURES[family]])
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    for name, value in model.items():
        writer.add_tensor(name, np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("back", [False, True], ids=["gguf-first", "gguf-second"])
@pytest.mark.parametrize("family", ARCHITECTURES)
def test_every_tensor_of_a_converted_model_meets_its_own(family: str, back: bool, tmp_path: Path) -> None:
    model = random_model(family)
    if family.startswith("gemma"):
        # As such models are stored: 1 + w in float32 then loses nothing of w.
        model = {n: _as_bf16(v) if "norm" in n else v for n, v in model.items()}
    named = converted(family, model)
    file = write_gguf(tmp_path / "model.gguf", family, named)
    _, config = shapes_of(family)
    saved = write(tmp_path / "saved", model, config)
    with ExitStack() as stack:
        aligned = Aligned(stack, *((saved, file) if back else (file, saved)))
        equal = aligned.equal()
    assert [n for n, same in equal.items() if not same] == []
    # Each expert of a layer meets its part of the stacked tensor.
    assert set(equal) == (set(model) - _not_converted(family) if back else set(named))


def _as_bf16(values: W) -> W:
    return to_float32(round_to(values.reshape(-1), DType.BF16), DType.BF16).reshape(values.shape)


def _plus_one(values: W, dtype: DType) -> W:
    """In float16 what is stored so, all else in float32."""
    if dtype is DType.F16:
        return (values.astype(np.float16) + np.float16(1)).astype(np.float32)
    return values + np.float32(1)


@pytest.mark.parametrize("dtype", [DType.F32, DType.F16, DType.BF16])
def test_one_is_added_as_the_converter_adds_it(dtype: DType, tmp_path: Path) -> None:
    """Small numbers are rounded away by the addition, and must be so here."""
    rng = np.random.default_rng(2)
    stored, named = {}, {}
    target = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA, 2)
    model = random_model("gemma")
    names = [n for n in model if "norm" in n]
    for name, value in model.items():
        kind = dtype if name in names else DType.F32
        small = (value * 10.0 ** rng.uniform(-7, 1, value.shape)).astype(np.float32)
        bits = round_to((small if name in names else value).reshape(-1), kind)
        stored[name] = StoredTensor(kind, value.shape, bits)
        numbers = to_float32(bits, kind).reshape(value.shape)
        own = str(target.get_name(name, try_suffixes=(".weight",)))
        named[own] = _plus_one(numbers, dtype) if name in names else numbers
    file = write_gguf(tmp_path / "model.gguf", "gemma", named)
    write_safetensors(tmp_path / "saved" / "model.safetensors", stored)
    (tmp_path / "saved" / "config.json").write_text(json.dumps(shapes_of("gemma")[1]))
    with ExitStack() as stack:
        aligned = Aligned(stack, file, tmp_path / "saved")
        equal = aligned.equal()
        how = [p.how for p in aligned.found.presented if "norm" in p.tensor]
    assert all(equal.values())
    assert set(how) == {"1 added, as the converter adds it"}
    assert len(how) == len(names)


def _not_converted(family: str) -> set[str]:
    """What the converter leaves out: BERT's head for masked words."""
    return {n for n in shapes_of(family)[0] if n.startswith("cls.")}


def test_heads_whose_number_nothing_says_are_refused(tmp_path: Path) -> None:
    model = random_model("llama")
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    for name, value in converted("llama", model).items():
        writer.add_tensor(name, np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with ExitStack() as stack:
        aligned = Aligned(stack, tmp_path / "m.gguf", write(tmp_path / "saved", model))
        reason = aligned.unmatched(1)["blk.0.attn_q.weight"]
    assert reason.endswith("nothing says how many heads there are")
