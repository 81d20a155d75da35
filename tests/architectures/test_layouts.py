"""The same numbers in other layouts: fused, split, turned, tied, padded. Every element meets its own."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from parentage.errors import AlignmentError
from tests.architectures.layouts import Aligned, Arrays, random_model, write

QKV = ("q_proj", "k_proj", "v_proj")


def split_phi3(model: Arrays) -> Arrays:
    """Phi-3's joined matrices apart, as Llama has them."""
    found = {}
    for name, value in model.items():
        if name.endswith("qkv_proj.weight"):
            for part, rows in zip(QKV, np.split(value, [32, 48]), strict=True):
                found[name.replace("qkv_proj", part)] = rows
        elif name.endswith("gate_up_proj.weight"):
            for part, rows in zip(("gate_proj", "up_proj"), np.split(value, 2), strict=True):
                found[name.replace("gate_up_proj", part)] = rows
        else:
            found[name] = value
    return found


def fuse_experts(model: Arrays) -> Arrays:
    """Experts of a layer in two tensors, [E, 2I, H] and [E, H, I]."""
    found = {n: v for n, v in model.items() if ".experts." not in n or "mtp." in n}
    layers = sorted({n.split(".experts.")[0] for n in model if ".experts." in n and "mtp." not in n})
    for layer in layers:
        names = ("w1", "w3", "w2") if "sparse" in layer else ("gate_proj", "up_proj", "down_proj")
        gate, up, down = (
            np.stack([model[f"{layer}.experts.{e}.{n}.weight"] for e in range(4)]) for n in names
        )
        found[f"{layer}.experts.gate_up_proj"] = np.concatenate([gate, up], axis=1)
        found[f"{layer}.experts.down_proj"] = down
    return found


def plain_gpt2(model: Arrays) -> Arrays:
    """Linear maps as [out, in], queries, keys and values still in one."""
    return {n: v.T if v.ndim == 2 and ".h." in n else v for n, v in model.items()}


def split_gpt2(model: Arrays) -> Arrays:
    """The same with queries, keys and values apart."""
    found = {}
    for name, value in plain_gpt2(model).items():
        if "c_attn" in name:
            for part, rows in zip("qkv", np.split(value, 3), strict=True):
                found[name.replace("c_attn", part)] = rows
        else:
            found[name] = value
    return found


LAYOUTS = {
    "phi3": split_phi3,
    "mixtral": fuse_experts,
    "qwen3_moe": fuse_experts,
    "qwen3_5_moe": fuse_experts,
    "gpt2-plain": plain_gpt2,
    "gpt2-split": split_gpt2,
}


@pytest.mark.parametrize("back", [False, True], ids=["suspect-as-saved", "suspect-in-the-other-layout"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_element_meets_its_own_in_the_other_layout(layout: str, back: bool, tmp_path: Path) -> None:
    family = layout.split("-", maxsplit=1)[0]
    saved = random_model(family)
    other = LAYOUTS[layout](saved)
    assert set(other) != set(saved) or any(other[n].shape != saved[n].shape for n in saved)
    pair = [write(tmp_path / "saved", saved), write(tmp_path / "other", other)]
    with ExitStack() as stack:
        aligned = Aligned(stack, *(reversed(pair) if back else pair))
        equal = aligned.equal()
        assert aligned.found.unmatched == ()
        assert aligned.found.presented
    assert set(equal) == set(other if back else saved)
    assert [n for n, same in equal.items() if not same] == []


def test_a_part_that_was_exchanged_is_not_read_as_equal(tmp_path: Path) -> None:
    saved = random_model("phi3")
    split = split_phi3(saved)
    q, k = (f"model.layers.1.self_attn.{n}.weight" for n in ("k_proj", "v_proj"))
    split[q], split[k] = split[k], split[q]
    with ExitStack() as stack:
        equal = Aligned(stack, write(tmp_path / "s", saved), write(tmp_path / "o", split)).equal()
    assert [n for n, same in equal.items() if not same] == ["model.layers.1.self_attn.qkv_proj.weight"]


def test_an_expert_that_is_missing_is_a_stated_absence(tmp_path: Path) -> None:
    saved = random_model("mixtral")
    fused = fuse_experts(saved)
    few = {n: v for n, v in saved.items() if ".experts.3." not in n}
    with ExitStack() as stack:
        aligned = Aligned(stack, write(tmp_path / "s", fused), write(tmp_path / "o", few))
        reasons = aligned.unmatched(1)
    assert reasons["model.layers.0.block_sparse_moe.experts.down_proj"] == "it has no such tensor"


def test_parts_in_several_number_formats_are_refused(tmp_path: Path) -> None:
    saved = random_model("phi3")
    split = split_phi3(saved)
    name = "model.layers.0.self_attn.k_proj.weight"
    split[name] = split[name].astype(np.float16)
    with ExitStack() as stack:
        aligned = Aligned(stack, write(tmp_path / "s", saved), write(tmp_path / "o", split))
        reason = aligned.unmatched(1)["model.layers.0.self_attn.qkv_proj.weight"]
    assert reason == "its parts are stored in several number formats"


@pytest.mark.parametrize("said", [True, False])
def test_a_tied_embedding_stands_for_the_head_only_where_the_config_ties_them(
    said: bool, tmp_path: Path
) -> None:
    untied = random_model("llama")
    tied = {n: v for n, v in untied.items() if n != "lm_head.weight"}
    untied["lm_head.weight"] = untied["model.embed_tokens.weight"]
    config = {"model_type": "llama", "tie_word_embeddings": said}
    with ExitStack() as stack:
        aligned = Aligned(stack, write(tmp_path / "s", untied), write(tmp_path / "o", tied, config))
        assert aligned.equal().get("lm_head.weight") == (True if said else None)
        told = [p.how for p in aligned.found.presented if p.tensor == "lm_head.weight"]
    assert told == (["its token embedding stands for its head"] if said else [])


def test_an_untied_head_beside_a_tied_suspect_is_listed(tmp_path: Path) -> None:
    untied = random_model("llama")
    tied = {n: v for n, v in untied.items() if n != "lm_head.weight"}
    with ExitStack() as stack:
        aligned = Aligned(stack, write(tmp_path / "s", tied), write(tmp_path / "o", untied))
        assert aligned.unmatched(1) == {"lm_head.weight": "the suspect has no such tensor"}


def tokenizer(tokens: list[str]) -> str:
    return json.dumps({"model": {"vocab": {t: k for k, t in enumerate(tokens)}}, "added_tokens": []})


def test_rows_of_a_resized_vocabulary_meet_by_their_tokens(tmp_path: Path) -> None:
    model = random_model("llama")
    tokens = [f"t{k}" for k in range(64)]
    order = np.r_[3:60, 0:3]
    moved = {n: v[order] if v.shape[:1] == (64,) else v for n, v in model.items()}
    other = write(tmp_path / "o", moved, tokenizer_json=tokenizer([tokens[k] for k in order]))
    suspect = write(tmp_path / "s", model, tokenizer_json=tokenizer(tokens))
    with ExitStack() as stack:
        aligned = Aligned(stack, suspect, other)
        assert all(aligned.equal().values())
        sizes = {g.name: g.suspect.shape for g in aligned.found.groups}
        assert sizes["lm_head.weight"] == (60, 32)
        left = aligned.unmatched(0)["model.embed_tokens.weight"]
    assert left == "4 of its 64 rows have no counterpart in every model"


def test_without_tokenizers_rows_meet_by_number_and_it_is_said(tmp_path: Path) -> None:
    model = random_model("llama")
    padded = {n: np.concatenate([v, v[:8]]) if v.shape[:1] == (64,) else v for n, v in model.items()}
    with ExitStack() as stack:
        aligned = Aligned(stack, write(tmp_path / "s", padded), write(tmp_path / "o", model))
        assert all(aligned.equal().values())
        told = {p.tensor: p.how for p in aligned.found.presented}
    assert "no tokenizer lies beside" in told["lm_head.weight"]


def test_a_vocabulary_that_shares_little_is_not_aligned(tmp_path: Path) -> None:
    model = random_model("llama")
    few = {n: v[:20] if v.shape[:1] == (64,) else v for n, v in model.items()}
    with ExitStack() as stack:
        aligned = Aligned(stack, write(tmp_path / "s", model), write(tmp_path / "o", few))
        assert aligned.unmatched(1)["lm_head.weight"] == "its shape is [20, 32], the suspect's [64, 32]"


def test_square_matrices_turn_with_the_oblong_ones_of_their_model(tmp_path: Path) -> None:
    model = random_model("llama")
    turned = {n: v.T if v.ndim == 2 and "_proj" in n else v for n, v in model.items()}
    with ExitStack() as stack:
        aligned = Aligned(stack, write(tmp_path / "s", model), write(tmp_path / "o", turned))
        equal = aligned.equal()
    assert equal["model.layers.0.self_attn.q_proj.weight"]
    assert all(equal.values())


def test_factors_of_an_adapter_are_listed_with_what_they_are_for(tmp_path: Path) -> None:
    model = random_model("llama")
    target = "model.layers.0.self_attn.q_proj"
    factors = {
        f"base_model.model.{target}.lora_A.weight": np.ones((4, 32), np.float32),
        f"base_model.model.{target}.lora_B.weight": np.ones((32, 4), np.float32),
    }
    both = write(tmp_path / "o", model)
    with ExitStack() as stack:
        aligned = Aligned(stack, write(tmp_path / "s", model), both, write(tmp_path / "l", factors))
        reasons = set(aligned.unmatched(2).values())
    assert f"a factor of an adapter (rank 4) for {target}.weight, not a weight" in reasons


def test_two_of_stable_diffusions_namings_meet(tmp_path: Path) -> None:
    pairs = {
        "input_blocks.0.0.weight": "conv_in.weight",
        "input_blocks.1.0.in_layers.2.weight": "down_blocks.0.resnets.0.conv1.weight",
        "input_blocks.2.1.proj_in.weight": "down_blocks.0.attentions.1.proj_in.weight",
        "input_blocks.3.0.op.weight": "down_blocks.0.downsamplers.0.conv.weight",
        "input_blocks.4.0.skip_connection.weight": "down_blocks.1.resnets.0.conv_shortcut.weight",
        "middle_block.1.transformer_blocks.0.attn1.to_q.weight": (
            "mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight"
        ),
        "middle_block.2.out_layers.3.bias": "mid_block.resnets.1.conv2.bias",
        "output_blocks.2.1.conv.weight": "up_blocks.0.upsamplers.0.conv.weight",
        "output_blocks.5.2.conv.weight": "up_blocks.1.upsamplers.0.conv.weight",
        "output_blocks.3.0.in_layers.0.weight": "up_blocks.1.resnets.0.norm1.weight",
        "output_blocks.3.0.in_layers.2.weight": "up_blocks.1.resnets.0.conv1.weight",
        "time_embed.2.bias": "time_embedding.linear_2.bias",
        "out.2.weight": "conv_out.weight",
    }
    model = random_model("unet")
    old = {"model.diffusion_model." + a: model[b] for a, b in pairs.items() if b in model}
    # A convolution of width one is a linear map in later versions.
    name = "model.diffusion_model.input_blocks.2.1.proj_in.weight"
    old[name] = old[name].reshape(32, 32)
    assert len(old) >= 10
    with ExitStack() as stack:
        aligned = Aligned(stack, write(tmp_path / "s", old), write(tmp_path / "o", model))
        equal = aligned.equal()
    assert set(equal) == set(old)
    assert all(equal.values())


def test_an_adapter_alone_is_refused_with_what_to_do(tmp_path: Path) -> None:
    factor = {
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": np.ones((4, 32), np.float32)
    }
    suspect, base = write(tmp_path / "s", factor), write(tmp_path / "o", random_model("llama"))
    with ExitStack() as stack, pytest.raises(AlignmentError) as raised:
        Aligned(stack, suspect, base)
    assert raised.value.code == "nothing-aligned"
    assert "name it BASE+ADAPTER" in str(raised.value)
