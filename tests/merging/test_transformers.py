"""Merges made here load in transformers, give what their weights say, and generate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from tests.merging.models import recipe_file
from tests.merging.test_merge import linear

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.slow
FAMILY = os.environ.get("PARENTAGE_FAMILY", "")


def tiny_llama(folder: Path, seed: int) -> Any:
    """A Llama of two layers in bfloat16, as transformers itself saves it."""
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=False,
    )
    model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder, safe_serialization=True)
    return model


def merged(folder: Path, a: Path, b: Path, **more: Any) -> Path:
    """.6 of one and .4 of the other, in several files."""
    path = recipe_file(folder, linear((a, 0.6), (b, 0.4), **more))
    api.merge(path, folder / "out", api.MergeOptions(shard_bytes=20_000))
    return folder / "out"


def blend(first: Any, second: Any) -> Any:
    """What the recipe says of one tensor, worked out by torch."""
    sum_ = first.float() * torch.tensor(0.6) + second.float() * torch.tensor(0.4)
    return sum_.to(first.dtype)


def test_a_merge_of_two_llamas_loads_and_generates_what_its_weights_say(tmp_path: Path) -> None:
    models = [tiny_llama(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 2))]
    out = merged(tmp_path, tmp_path / "a", tmp_path / "b")
    assert len(list(out.glob("*.safetensors"))) > 1
    loaded, told = transformers.AutoModelForCausalLM.from_pretrained(
        out, dtype=torch.bfloat16, output_loading_info=True
    )
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    states = [m.state_dict() for m in (*models, loaded)]
    for name, tensor in states[2].items():
        assert torch.equal(tensor, blend(states[0][name], states[1][name])), name
    # The same network with weights that torch itself blended writes the same tokens.
    ours = {name: blend(states[0][name], states[1][name]) for name in states[0]}
    models[0].load_state_dict(ours)
    prompt = torch.tensor([[1, 5, 9, 12]])
    options = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0}
    written = [m.eval().generate(prompt, **options) for m in (models[0], loaded)]
    assert torch.equal(written[0], written[1])
    assert written[1].shape[1] > prompt.shape[1]


def test_a_stack_of_layers_loads_as_the_deeper_model_that_it_is(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        tiny_llama(tmp_path / name, seed)
    parts = [(tmp_path / "a", [0, 2]), (tmp_path / "b", [1, 2])]
    slices = [{"sources": [{"model": str(m), "layer_range": r}]} for m, r in parts]
    path = recipe_file(tmp_path, {"merge_method": "passthrough", "slices": slices})
    api.merge(path, tmp_path / "out")
    loaded, told = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "out", dtype=torch.bfloat16, output_loading_info=True
    )
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert loaded.config.num_hidden_layers == 3
    assert loaded.generate(torch.tensor([[1, 2]]), max_new_tokens=4, pad_token_id=0).shape[1] > 2


@pytest.mark.real
@pytest.mark.skipif(not FAMILY, reason="PARENTAGE_FAMILY names the MiniLM family")
def test_a_merge_of_the_minilm_family_loads_and_embeds_as_its_weights_say(tmp_path: Path) -> None:
    places = [Path(FAMILY) / name for name in ("A", "O")]
    config = transformers.BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    out = merged(tmp_path, *places, name="Two MiniLMs")
    if not (out / "config.json").exists():
        config.save_pretrained(out)
    loaded, told = transformers.BertModel.from_pretrained(out, output_loading_info=True)
    assert not told["missing_keys"]
    from safetensors.torch import load_file

    parents = [load_file(p / "model.safetensors") for p in places]
    state = loaded.state_dict()
    for name, first in parents[0].items():
        if name in state and first.dtype == torch.float32:
            assert torch.equal(state[name], blend(first, parents[1][name])), name
    ids = torch.tensor([[101, 7592, 2088, 102]])
    with torch.no_grad():
        hidden = loaded.eval()(ids).last_hidden_state
        for parent in parents:
            loaded.load_state_dict(parent, strict=False)
            cosine = torch.cosine_similarity(loaded(ids).last_hidden_state.mean(1), hidden.mean(1))
            # Between its parents: near both, equal to none.
            assert 0.5 < float(cosine) < 1
