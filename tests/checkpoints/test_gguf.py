"""GGUF files as the format's own library writes them are read in every element, in every block format."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter, quants
from numpy.typing import NDArray

from parentage import api
from parentage.checkpoints.formats.encodings import GGUF_BLOCKS, encoding_of
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import CheckpointError
from parentage.records.dtypes import DType

RNG = np.random.default_rng(7)
WRITTEN = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")


def weights(rows: int = 5, columns: int = 512) -> NDArray[np.float32]:
    return RNG.normal(0, 0.02, (rows, columns)).astype(np.float32)


def blocks(name: str, count: int) -> NDArray[np.uint8]:
    """Random blocks whose scales are small float16 numbers wherever a scale may lie."""
    nbytes = GGUF_BLOCKS[name][2]
    raw = RNG.integers(0, 60, (count, nbytes)).astype(np.uint8)
    return raw.reshape(-1)


def write(path: Path, tensors: dict[str, tuple[NDArray[np.generic], Kind | None]]) -> None:
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_embedding_length(512)
    writer.add_chat_template("{{ messages }}")
    writer.add_token_list(["a", "bé", "c"])
    for name, (array, kind) in tensors.items():
        writer.add_tensor(name, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_block_sizes_and_numbers_are_those_of_the_library() -> None:
    sizes = {k.name: (int(k), *gguf.GGML_QUANT_SIZES[k]) for k in Kind}
    assert {name: sizes[name] for name in GGUF_BLOCKS} == dict(GGUF_BLOCKS)


@pytest.mark.parametrize("name", sorted(GGUF_BLOCKS))
def test_every_block_format_decodes_as_in_the_library(name: str) -> None:
    raw = blocks(name, 6)
    encoding = encoding_of(name)
    expected = quants.dequantize(raw.reshape(6, -1), Kind[name]).reshape(-1)
    found = encoding.decode(raw)
    assert found.size == 6 * encoding.elements
    assert found.tobytes() == expected.astype(np.float32).tobytes()
    assert encoding.decode(raw[:0]).size == 0


@pytest.mark.parametrize("name", WRITTEN)
def test_any_slice_of_a_quantised_matrix_is_the_librarys(name: str, tmp_path: Path) -> None:
    values = weights()
    raw = quants.quantize(values, Kind[name])
    expected = quants.dequantize(raw, Kind[name]).reshape(-1)
    write(tmp_path / "m.gguf", {"a.weight": (raw, Kind[name])})
    with open_checkpoint(tmp_path) as checkpoint:
        ref = checkpoint.tensors["a.weight"]
        assert (ref.shape, ref.dtype, ref.encoding) == ((5, 512), DType.F32, name)
        for start, count in ((0, 2560), (1, 31), (31, 2), (33, 700), (2559, 1), (64, 64), (7, 0)):
            found = checkpoint.read(ref, start, count).view(np.float32)
            assert np.array_equal(found, expected[start : start + count])
        before = checkpoint.bytes_read
        checkpoint.read(ref, 40, 1)
        assert checkpoint.bytes_read - before == encoding_of(name).nbytes


def test_plain_tensors_keep_their_dtypes_and_the_usual_order_of_extents(tmp_path: Path) -> None:
    plain = {
        "f32": (weights(3, 4), None),
        "f16": (weights(3, 4).astype(np.float16), None),
        "f64": (weights(3, 4).astype(np.float64), None),
        "i32": (np.arange(6, dtype=np.int32).reshape(2, 3), None),
        "bf16": (quants.quantize(weights(2, 32), Kind.BF16), Kind.BF16),
    }
    write(tmp_path / "m.gguf", plain)
    with open_checkpoint(tmp_path / "m.gguf") as checkpoint:
        told = {n: (t.dtype.value, t.shape) for n, t in checkpoint.tensors.items()}
        assert told == {
            "f32": ("F32", (3, 4)),
            "f16": ("F16", (3, 4)),
            "f64": ("F64", (3, 4)),
            "i32": ("I32", (2, 3)),
            "bf16": ("BF16", (2, 32)),
        }
        for name, (array, _) in plain.items():
            ref = checkpoint.tensors[name]
            assert checkpoint.read(name, 0, ref.elements).tobytes() == array.tobytes()


def test_architecture_template_and_tokens_are_told(tmp_path: Path) -> None:
    write(tmp_path / "m.gguf", {"a": (weights(1, 4), None)})
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.config == {
            "model_type": "llama",
            "num_hidden_layers": 2,
            "hidden_size": 512,
            "vocab_size": 3,
        }
        assert checkpoint.metadata["general.architecture"] == "llama"
        assert checkpoint.read_text("chat_template.jinja") == "{{ messages }}"
        assert checkpoint.read_text("tokenizer.ggml.tokens.json") == '["a", "bé", "c"]'
        assert checkpoint.files == ("chat_template.jinja", "tokenizer.ggml.tokens.json")


def test_a_file_beside_the_weights_comes_before_the_one_inside(tmp_path: Path) -> None:
    write(tmp_path / "m.gguf", {"a": (weights(1, 4), None)})
    (tmp_path / "chat_template.jinja").write_text("outside")
    (tmp_path / "config.json").write_text('{"model_type": "other"}')
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.read_text("chat_template.jinja") == "outside"
        assert checkpoint.config == {"model_type": "other"}


def _split(folder: Path, count: int = 2) -> list[Path]:
    names = [folder / f"m-{k + 1:05d}-of-{count:05d}.gguf" for k in range(count)]
    for k, path in enumerate(names):
        write(path, {f"t{k}": (weights(2, 32), None)})
    return names


def test_the_parts_of_a_split_model_are_one(tmp_path: Path) -> None:
    first, _ = _split(tmp_path)
    for place in (tmp_path, first):
        with open_checkpoint(place) as checkpoint:
            assert list(checkpoint.tensors) == ["t0", "t1"]


def test_a_part_that_is_missing_and_a_second_model_are_refused(tmp_path: Path) -> None:
    first, second = _split(tmp_path)
    second.rename(tmp_path / "other.gguf")
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(tmp_path)
    assert caught.value.code == "gguf-several"
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(first)
    assert caught.value.code == "gguf-part-absent"
    with open_checkpoint(tmp_path / "other.gguf") as checkpoint:
        assert list(checkpoint.tensors) == ["t1"]


def test_safetensors_in_a_folder_come_before_gguf(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    write(tmp_path / "m.gguf", {"a": (weights(1, 4), None)})
    save_file({"b": weights(1, 4)}, tmp_path / "model.safetensors")
    with open_checkpoint(tmp_path) as checkpoint:
        assert list(checkpoint.tensors) == ["b"]


def test_inspect_and_diff_name_the_block_format(tmp_path: Path) -> None:
    values = weights(4, 512)
    for name in ("Q8_0", "Q4_1"):
        write(tmp_path / f"{name}.gguf", {"a.weight": (quants.quantize(values, Kind[name]), Kind[name])})
    seen = api.inspect(str(tmp_path / "Q8_0.gguf"), digests=True)
    assert [(t.dtype, t.size, t.numbers.effective_dtype) for t in seen.tensors] == [
        ("Q8_0", 4 * 544, "Q8_0")
    ]
    found = api.diff(str(tmp_path / "Q8_0.gguf"), str(tmp_path / "Q4_1.gguf"))
    assert [(t.first_dtype, t.second_dtype) for t in found.tensors] == [("Q8_0", "Q4_1")]
