"""A point of the line is a copy of a suspect's file: the file that a merge would have been made into."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from scripts.cases.tiny_gguf import write_gguf

from parentage.behaviour.line.gguf_blends import GgufBlends
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.absence import Absent
from parentage.records.dtypes import DType

WIDTH, INNER, WORDS = 64, 96, 40
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_attention_heads": 4,
    "num_key_value_heads": 2, "num_hidden_layers": 1, "hidden_size": WIDTH, "intermediate_size": INNER,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "vocab_size": WORDS, "bos_token_id": 0,
    "eos_token_id": 1, "tie_word_embeddings": True,
}  # fmt: skip
LAYER = "model.layers.0."
SHAPES = {
    "model.embed_tokens.weight": (WORDS, WIDTH),
    f"{LAYER}self_attn.q_proj.weight": (WIDTH, WIDTH),
    f"{LAYER}self_attn.k_proj.weight": (WIDTH // 2, WIDTH),
    f"{LAYER}self_attn.v_proj.weight": (WIDTH // 2, WIDTH),
    f"{LAYER}self_attn.o_proj.weight": (WIDTH, WIDTH),
    f"{LAYER}mlp.gate_proj.weight": (INNER, WIDTH),
    f"{LAYER}mlp.up_proj.weight": (INNER, WIDTH),
    f"{LAYER}mlp.down_proj.weight": (WIDTH, INNER),
    f"{LAYER}input_layernorm.weight": (WIDTH,),
    f"{LAYER}post_attention_layernorm.weight": (WIDTH,),
    "model.norm.weight": (WIDTH,),
}
Model = dict[str, np.ndarray]


def _model(seed: int, near: Model | None = None) -> Model:
    """Numbers of bfloat16; ``near``: a step or two from these."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, shape in SHAPES.items():
        own = rng.normal(0, 0.05, shape) if near is None else near[name] * (1 + rng.normal(0, 0.006, shape))
        made[name] = _stored(own)
    return made


def _stored(values: np.ndarray) -> np.ndarray:
    return to_float32(round_to(values.reshape(-1), DType.BF16), DType.BF16).reshape(values.shape)


def _blend(a: Model, b: Model, weight: float) -> Model:
    w, rest = np.float32(weight), np.float32(1 - weight)
    return {n: _stored(a[n] * w + b[n] * rest) for n in a}


def _write(folder: Path, model: Model) -> Path:
    folder.mkdir()
    stored = {
        n: StoredTensor(DType.BF16, v.shape, round_to(v.reshape(-1), DType.BF16)) for n, v in model.items()
    }
    write_safetensors(folder / "model.safetensors", stored, {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG))
    vocabulary = {f"w{k}": k for k in range(WORDS)}
    tokenizer = {"added_tokens": [], "model": {"vocab": vocabulary, "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


@pytest.fixture(scope="module")
def parents(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Model, Model]:
    place = tmp_path_factory.mktemp("parents")
    second = _model(1)
    first = _model(2, second)
    return _write(place / "a", first), _write(place / "b", second), first, second


def _written(suspect: Path, first: Path, second: Path, weights: tuple[float, ...]) -> list[bytes]:
    async def write() -> list[bytes]:
        blends = GgufBlends(str(suspect), str(first), str(second))
        assert await blends.open() is None
        found = []
        for weight in weights:
            blends._write(weight)
            found.append(blends._file.read_bytes())
        await blends.close()
        assert not blends._file.exists()
        return found

    return asyncio.run(write())


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "F16", "BF16", "F32"])
def test_the_blend_of_a_merge_s_own_weight_is_its_file_bit_for_bit(
    tmp_path: Path, parents: tuple[Path, Path, Model, Model], kind: str
) -> None:
    a, b, first, second = parents
    write_gguf(_write(tmp_path / "merge", _blend(first, second, 0.3)), tmp_path / "s.gguf", kind)
    before = (tmp_path / "s.gguf").read_bytes()
    own, other = _written(tmp_path / "s.gguf", a, b, (0.3, 0.7))
    assert own == before
    assert other != before
    assert len(other) == len(before)
    assert (tmp_path / "s.gguf").read_bytes() == before


def test_ends_of_the_line_are_the_parents_files(
    tmp_path: Path, parents: tuple[Path, Path, Model, Model]
) -> None:
    a, b, _, _ = parents
    for name, folder in (("a", a), ("b", b)):
        write_gguf(folder, tmp_path / f"{name}.gguf")
    ends = _written(tmp_path / "a.gguf", a, b, (1.0, 0.0))
    assert ends == [(tmp_path / f"{n}.gguf").read_bytes() for n in ("a", "b")]


def test_a_tensor_that_a_parent_lacks_is_said_and_nothing_is_copied(
    tmp_path: Path, parents: tuple[Path, Path, Model, Model]
) -> None:
    a, _, first, _ = parents
    write_gguf(a, tmp_path / "a.gguf")
    less = _write(tmp_path / "less", {n: v for n, v in first.items() if "up_proj" not in n})

    async def why(second: Path) -> Absent | None:
        blends = GgufBlends(str(tmp_path / "a.gguf"), str(a), str(second))
        try:
            return await blends.open()
        finally:
            await blends.close()

    assert "no counterpart" in getattr(asyncio.run(why(less)), "reason", "")
