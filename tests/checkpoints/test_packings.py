"""Packed codes of real tools read as the numbers that those tools make of them; lies are left alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from parentage import api
from parentage.checkpoints.formats.packed import read_packed
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.records.dtypes import DType
from parentage.records.tensors import Packed, TensorRef

MADE = Path(__file__).parents[1] / "fixtures" / "quantised"
EXPECTED: dict[str, dict[str, list[str]]] = json.loads((MADE / "expected.json").read_text())


@pytest.mark.parametrize("file", sorted(EXPECTED))
def test_weights_are_those_that_the_tool_itself_makes_of_its_codes(file: str) -> None:
    with open_checkpoint(MADE / file) as checkpoint:
        assert sorted(checkpoint.tensors) == sorted(EXPECTED[file])
        for name, (kind, digest) in EXPECTED[file].items():
            ref = checkpoint.tensors[name]
            assert (ref.dtype.value, ref.shape) == (kind, (32, 512))
            whole = checkpoint.read(ref, 0, ref.elements)
            above = whole.view(np.float32) + np.float32(0)
            assert hashlib.sha256(above.tobytes()).hexdigest() == digest
            for start, count in ((0, 1), (511, 2), (700, 300), (5000, 3000), (16383, 1)):
                assert np.array_equal(checkpoint.read(ref, start, count), whole[start : start + count])


def packed_by_hand(
    codes: NDArray[np.int64], bits: int, word: int, axis: int, order: tuple[int, ...]
) -> NDArray[np.unsignedinteger]:
    """Bit by bit, from the definition."""
    lines = codes if axis else codes.T
    each = word // bits
    length = -(-lines.shape[1] // each) if order else -(-lines.shape[1] * bits // word)
    found = np.zeros((lines.shape[0], length), np.uint64)
    for i, line in enumerate(lines.tolist()):
        for k, code in enumerate(line):
            place = k // each * word + order[k % each] * bits if order else k * bits
            for b in range(bits):
                at = place + b
                found[i, at // word] |= np.uint64((code >> b & 1) << (at % word))
    kept = found if axis else found.T
    return np.ascontiguousarray(kept).astype(np.uint32 if word == 32 else np.uint8)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_run_of_packed_numbers_is_that_of_the_whole(data: st.DataObject) -> None:
    bits, word, axis = (data.draw(st.sampled_from(c)) for c in ((1, 2, 3, 4, 5, 7, 8), (8, 32), (0, 1)))
    turned = data.draw(st.booleans())
    height, width = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 70))
    ordered = word % bits == 0 and data.draw(st.booleans())
    order = tuple(data.draw(st.permutations(range(word // bits)))) if ordered else ()
    codes = np.random.default_rng(data.draw(st.integers(0, 9))).integers(0, 2**bits, (height, width))
    words = packed_by_hand(codes, bits, word, axis, order)
    source = TensorRef("w", DType.I32 if word == 32 else DType.U8, words.shape, "f", 0, words.nbytes)
    logical = codes.T if turned else codes
    ref = TensorRef(
        "c", DType.U8, logical.shape, "", 0, 0, packed=Packed(source, bits, axis, order, turned)
    )
    flat = logical.reshape(-1)
    start = data.draw(st.integers(0, flat.size - 1))
    count = data.draw(st.integers(1, flat.size - start))
    stored = words.reshape(-1)
    found = read_packed(ref, start, count, lambda t, s, n: stored[s : s + n])
    assert found.tolist() == flat[start : start + count].tolist()


def gptq_parts() -> dict[str, StoredTensor]:
    with open_checkpoint(MADE / "gptq-4-reordered.safetensors") as checkpoint:
        stem = "model.layers.0.mlp.down_proj"
        refs = [t for n, t in checkpoint.parts.items() if n.startswith(f"{stem}.")]
        return {
            t.name: StoredTensor(t.dtype, t.shape, checkpoint.read(t.name, 0, t.elements)) for t in refs
        }


def altered(name: str, array: NDArray[np.generic], dtype: DType) -> dict[str, StoredTensor]:
    key = f"model.layers.0.mlp.down_proj.{name}"
    return {
        key: StoredTensor(dtype, array.shape, np.ascontiguousarray(array).reshape(-1).view(dtype.storage))
    }


LIES = {
    "a group that is not there": altered("g_idx", np.full(512, 4, np.int32), DType.I32),
    "a group below none": altered("g_idx", np.full(512, -1, np.int32), DType.I32),
    "groups of fewer inputs": altered("g_idx", np.zeros(511, np.int32), DType.I32),
    "groups that are no whole numbers": altered("g_idx", np.zeros(512, np.float32), DType.F32),
    "scales of other outputs": altered("scales", np.ones((4, 31), np.float32), DType.F32),
    "scales of more groups": altered("scales", np.ones((5, 32), np.float32), DType.F32),
    "scales in one dimension": altered("scales", np.ones(128, np.float32), DType.F32),
    "zero points of a bit and a half": altered("qzeros", np.zeros((4, 3), np.int32), DType.I32),
    "zero points of nine bits": altered("qzeros", np.zeros((4, 9), np.int32), DType.I32),
    "no zero points": altered("qzeros", np.zeros((0, 4), np.int32), DType.I32),
    "codes of other inputs": altered("qweight", np.zeros((63, 32), np.int32), DType.I32),
    "codes that are none": altered("qweight", np.zeros((64, 32), np.float32), DType.F32),
}


@pytest.mark.parametrize("lie", LIES)
def test_parts_that_do_not_fit_are_left_as_they_are_and_told(lie: str, tmp_path: Path) -> None:
    tensors = gptq_parts() | LIES[lie]
    write_safetensors(tmp_path / "model.safetensors", tensors)
    with open_checkpoint(tmp_path) as checkpoint:
        assert set(checkpoint.tensors) == set(tensors)
        assert any("are not read" in oddity for oddity in checkpoint.oddities)


def test_zero_points_of_the_second_format_are_stored_as_they_are(tmp_path: Path) -> None:
    tensors = gptq_parts()
    read = {}
    for folder, config in (("first", {}), ("second", {"checkpoint_format": "gptq_v2"})):
        write_safetensors(tmp_path / folder / "model.safetensors", tensors)
        (tmp_path / folder / "config.json").write_text(json.dumps({"quantization_config": config}))
        with open_checkpoint(tmp_path / folder) as checkpoint:
            (ref,) = checkpoint.tensors.values()
            read[folder] = checkpoint.read(ref, 0, ref.elements).view(np.float32)
            scales = checkpoint.read(ref.dequantised.scale, 0, 128) if ref.dequantised else None
    assert scales is not None
    steps = read["second"] - read["first"]
    assert np.unique(np.round(steps, 7)).size <= 128
    assert (steps > 0).all()


STATES = {
    "no JSON": b"{",
    "no object": b"[1, 2]",
    "a shape of exabytes": b'{"blocksize": 64, "shape": [1152921504606846976, 512]}',
    "a shape of other size": b'{"blocksize": 64, "shape": [32, 448]}',
    "a shape below zero": b'{"blocksize": 64, "shape": [-32, -512]}',
    "a shape of words": b'{"blocksize": 64, "shape": ["32", 512]}',
    "no blocks": b'{"blocksize": 0, "shape": [32, 512]}',
    "blocks across rows": b'{"blocksize": 96, "shape": [32, 512]}',
    "lists in lists": b'{"blocksize": 64, "shape": ' + b"[" * 9000 + b"]" * 9000 + b"}",
}


@pytest.mark.parametrize("state", STATES)
def test_a_state_of_four_bits_that_lies_is_not_believed(state: str, tmp_path: Path) -> None:
    name = "model.layers.0.mlp.down_proj.weight"
    with open_checkpoint(MADE / "nf4.safetensors") as checkpoint:
        refs = [t for n, t in checkpoint.parts.items() if n.startswith(name)]
        kept = {
            t.name: StoredTensor(t.dtype, t.shape, checkpoint.read(t.name, 0, t.elements)) for t in refs
        }
    codes = np.zeros(8192, np.uint8)
    kept[name] = StoredTensor(DType.U8, (8192, 1), codes)
    said = np.frombuffer(STATES[state], np.uint8)
    kept[f"{name}.quant_state.bitsandbytes__nf4"] = StoredTensor(DType.U8, said.shape, said)
    write_safetensors(tmp_path / "model.safetensors", kept)
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.tensors[name].shape == (8192, 1)
        assert any("are not read" in oddity for oddity in checkpoint.oddities)


UP = "model.layers.0.mlp.up_proj"
# As the tools write a matrix of 256 outputs and 512 inputs in groups of 128.
Parts = dict[str, tuple[tuple[int, ...], DType]]
UNREAD: dict[str, Parts] = {
    "marlin": {"B": ((32, 512), DType.I32), "s": ((4, 256), DType.F16), "workspace": ((32,), DType.I32)},
    "marlin-24": {
        "B_24": ((16, 512), DType.I32),
        "B_meta": ((256, 16), DType.I16),
        "s": ((4, 256), DType.F16),
    },
    "awq-gemv": {
        "qweight": ((256, 64), DType.I32),
        "qzeros": ((256, 1), DType.I32),
        "scales": ((256, 8), DType.F16),
    },
    "awq-gemv-fast": {
        "qweight": ((64, 512), DType.I16),
        "qzeros": ((8, 256), DType.F16),
        "scales": ((8, 256), DType.F16),
    },
}


@pytest.mark.parametrize("layout", UNREAD)
def test_layouts_of_single_kernels_are_told_and_never_taken_for_weights(
    layout: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    norm = StoredTensor(DType.F32, (512,), rng.standard_normal(512).astype(np.float32).view(np.uint32))
    codes = {}
    for leaf, (shape, dtype) in UNREAD[layout].items():
        bits = rng.integers(0, 2**15, int(np.prod(shape))).astype(dtype.storage)
        codes[f"{UP}.{leaf}"] = StoredTensor(dtype, shape, bits)
    write_safetensors(tmp_path / "s" / "model.safetensors", {**codes, "model.norm.weight": norm})
    plain = StoredTensor(DType.BF16, (256, 512), rng.integers(0, 2**15, 2**17).astype(np.uint16))
    write_safetensors(
        tmp_path / "p" / "model.safetensors", {f"{UP}.weight": plain, "model.norm.weight": norm}
    )
    with open_checkpoint(tmp_path / "s") as checkpoint:
        assert f"{UP}.weight" not in checkpoint.tensors
        assert any("tensors of packed codes are not read" in oddity for oddity in checkpoint.oddities)
    found = api.audit(str(tmp_path / "s"), parents=[str(tmp_path / "p")], digests=False).report
    assert found.verdict.status == "undetermined"
    left_out = {n.tensor for n in found.coverage.not_examined}
    assert {*codes, f"{UP}.weight"} <= left_out
