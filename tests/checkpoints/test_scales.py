"""Weights are read through their scales, whatever tool laid them out, and no scale counts as a weight."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.dtypes import DType

RNG = np.random.default_rng(11)
Tensors = dict[str, StoredTensor]


def stored(array: NDArray[np.generic], dtype: DType) -> StoredTensor:
    bits = np.ascontiguousarray(array).reshape(-1)
    if bits.dtype.kind == "f":
        bits = round_to(bits, dtype)
    return StoredTensor(dtype, array.shape, bits.view(dtype.storage))


def floats(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(0, 0.02, shape).astype(np.float32)


def scales(*shape: int) -> NDArray[np.float32]:
    return RNG.uniform(0.5, 2.0, shape).astype(np.float32)


def check(folder: Path, tensors: Tensors, name: str, expected: NDArray[np.float32]) -> None:
    """The whole and odd slices of ``name``, and nothing but weights listed."""
    write_safetensors(folder / "model.safetensors", tensors)
    with open_checkpoint(folder) as checkpoint:
        ref = checkpoint.tensors[name]
        assert (ref.dtype, ref.shape) == (DType.F32, expected.shape)
        flat = expected.reshape(-1)
        for start, count in ((0, flat.size), (1, 5), (flat.size // 3, flat.size // 2), (flat.size - 1, 1)):
            found = checkpoint.read(ref, start, count).view(np.float32)
            assert np.array_equal(found, flat[start : start + count]), (start, count)
        assert checkpoint.read(ref, 3, 0).size == 0
        assert list(checkpoint.tensors) == [name, "norm"]
        assert set(checkpoint.parts) == set(tensors) - {name, "norm"}
        assert len(checkpoint.oddities) == 1
        assert "through their scales" in checkpoint.oddities[0]


NORM = {"norm": stored(floats(7), DType.BF16)}


@pytest.mark.parametrize("shape", [(300, 200), (128, 128), (2, 150, 130)])
def test_tiles_of_eight_bit_floats(shape: tuple[int, ...], tmp_path: Path) -> None:
    codes = round_to(RNG.normal(0, 50, shape).astype(np.float32).reshape(-1), DType.F8_E4M3)
    tiles = (*shape[:-2], -(-shape[-2] // 128), -(-shape[-1] // 128))
    scale = scales(*tiles)
    spread = np.repeat(np.repeat(scale, 128, -2), 128, -1)[..., : shape[-2], : shape[-1]]
    expected = to_float32(codes, DType.F8_E4M3).reshape(shape) * spread
    tensors = {
        "a.weight": StoredTensor(DType.F8_E4M3, shape, codes),
        "a.weight_scale_inv": stored(scale, DType.F32),
        **NORM,
    }
    check(tmp_path, tensors, "a.weight", expected)


def test_the_config_says_how_large_tiles_are(tmp_path: Path) -> None:
    codes = round_to(RNG.normal(0, 50, 64 * 96).astype(np.float32), DType.F8_E4M3)
    scale = scales(2, 6)
    config = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [32, 16]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    expected = to_float32(codes, DType.F8_E4M3).reshape(64, 96) * scale.repeat(32, 0).repeat(16, 1)
    tensors = {
        "a.weight": StoredTensor(DType.F8_E4M3, (64, 96), codes),
        "a.weight_scale_inv": stored(scale, DType.F32),
        **NORM,
    }
    check(tmp_path, tensors, "a.weight", expected)


@pytest.mark.parametrize(
    ("extents", "scale_dtype"),
    [((1,), DType.F32), ((), DType.BF16), ((48,), DType.F32), ((48, 1), DType.BF16), ((48, 5), DType.F16)],
)
@pytest.mark.parametrize("dtype", [DType.I8, DType.F8_E5M2])
def test_a_scale_in_all_a_row_or_a_group(
    extents: tuple[int, ...], scale_dtype: DType, dtype: DType, tmp_path: Path
) -> None:
    if dtype is DType.I8:
        raw = RNG.integers(-127, 128, (48, 40)).astype(np.int8)
        codes, numbers = raw.reshape(-1).view(np.uint8), raw.astype(np.float32)
    else:
        codes = round_to(RNG.normal(0, 50, 48 * 40).astype(np.float32), dtype)
        numbers = to_float32(codes, dtype).reshape(48, 40)
    kept = stored(scales(*extents), scale_dtype)
    scale = to_float32(kept.bits, scale_dtype).reshape(extents)
    if extents in ((1,), ()):
        expected = numbers * scale.reshape(())
    else:
        wide = scale.reshape(48, -1)
        expected = numbers * wide.repeat(40 // wide.shape[1], axis=1)
    tensors = {"a.weight": StoredTensor(dtype, (48, 40), codes), "a.weight_scale": kept, **NORM}
    check(tmp_path, tensors, "a.weight", expected)


def packed(codes: NDArray[np.int8], bits: int) -> NDArray[np.int32]:
    """As compressed-tensors packs: unsigned, the first code lowest, rows padded."""
    each = 32 // bits
    rows, columns = codes.shape
    words = -(-columns // each)
    wide = np.zeros((rows, words * each), np.uint32)
    wide[:, :columns] = codes.astype(np.int64) + 2 ** (bits - 1)
    found = np.zeros((rows, words), np.uint32)
    for k in range(each):
        found |= wide[:, k::each] << np.uint32(bits * k)
    return found.view(np.int32)


@pytest.mark.parametrize(("bits", "columns", "groups"), [(4, 96, 3), (4, 45, 1), (8, 64, 4), (8, 33, 1)])
def test_packed_integers(bits: int, columns: int, groups: int, tmp_path: Path) -> None:
    top = 2 ** (bits - 1)
    codes = RNG.integers(-top, top, (20, columns)).astype(np.int8)
    scale = scales(20, groups)
    expected = codes.astype(np.float32) * scale.repeat(columns // groups, axis=1)
    tensors = {
        "a.weight_packed": stored(packed(codes, bits), DType.I32),
        "a.weight_scale": stored(scale, DType.F32),
        "a.weight_shape": stored(np.array([20, columns], np.int64), DType.I64),
        **NORM,
    }
    check(tmp_path, tensors, "a.weight", expected)


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, 20 * 45 - 1), count=st.integers(0, 200))
def test_any_slice_of_packed_integers_is_that_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, start: int, count: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "packed"
    if not folder.exists():
        folder.mkdir()
        codes = RNG.integers(-8, 8, (20, 45)).astype(np.int8)
        tensors = {
            "a.weight_packed": stored(packed(codes, 4), DType.I32),
            "a.weight_scale": stored(scales(20, 9), DType.F32),
            "a.weight_shape": stored(np.array([20, 45], np.int64), DType.I64),
        }
        write_safetensors(folder / "model.safetensors", tensors)
    count = min(count, 900 - start)
    with open_checkpoint(folder) as checkpoint:
        whole = checkpoint.read("a.weight", 0, 900)
        assert np.array_equal(checkpoint.read("a.weight", start, count), whole[start : start + count])


def test_zero_points_that_are_packed_are_told_and_nothing_is_guessed(tmp_path: Path) -> None:
    codes = RNG.integers(-8, 8, (16, 64)).astype(np.int8)
    tensors = {
        "a.weight_packed": stored(packed(codes, 4), DType.I32),
        "a.weight_scale": stored(scales(16, 2), DType.F32),
        "a.weight_zero_point": stored(packed(codes[:, :2], 4), DType.I32),
        "a.weight_shape": stored(np.array([16, 64], np.int64), DType.I64),
    }
    write_safetensors(tmp_path / "model.safetensors", tensors)
    with open_checkpoint(tmp_path) as checkpoint:
        assert set(checkpoint.tensors) == set(tensors)
        assert "are not read" in checkpoint.oddities[0]


@pytest.mark.parametrize(
    "shape", [(2, 3), (5,), (48, 7), (0,), (48, 0)], ids=lambda shape: "x".join(map(str, shape))
)
def test_scales_that_do_not_fit_are_left_alone(shape: tuple[int, ...], tmp_path: Path) -> None:
    tensors = {
        "a.weight": StoredTensor(DType.I8, (48, 40), np.zeros(48 * 40, np.uint8)),
        "a.weight_scale": stored(scales(*shape), DType.F32),
    }
    write_safetensors(tmp_path / "model.safetensors", tensors)
    with open_checkpoint(tmp_path) as checkpoint:
        assert set(checkpoint.tensors) == set(tensors)
        assert not checkpoint.parts


@pytest.mark.parametrize("told", [(-1, 64), (2**62, 64), (16, 2**39), (15, 64), (16, 0)])
def test_a_shape_that_lies_is_not_believed(told: tuple[int, int], tmp_path: Path) -> None:
    tensors = {
        "a.weight_packed": stored(packed(np.zeros((16, 64), np.int8), 4), DType.I32),
        "a.weight_scale": stored(scales(16, 1), DType.F32),
        "a.weight_shape": stored(np.array(told, np.int64), DType.I64),
    }
    write_safetensors(tmp_path / "model.safetensors", tensors)
    with open_checkpoint(tmp_path) as checkpoint:
        assert "a.weight" not in checkpoint.tensors


def test_inspect_names_the_codes_and_hashes_the_scales(tmp_path: Path) -> None:
    tensors = {
        "a.weight": StoredTensor(DType.I8, (48, 40), RNG.integers(0, 255, 48 * 40).astype(np.uint8)),
        "a.weight_scale": stored(scales(48), DType.F32),
    }
    write_safetensors(tmp_path / "model.safetensors", tensors)
    seen = api.inspect(str(tmp_path), digests=True)
    assert [(t.name, t.dtype, t.size) for t in seen.tensors] == [("a.weight", "I8 with scales", 1920)]
