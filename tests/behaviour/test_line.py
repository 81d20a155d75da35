"""A blend's place between its parents is read from its next tokens."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from parentage.behaviour.distributions import neutral_prompts
from parentage.behaviour.line.placing import WEIGHTS, closest
from tests.behaviour.conftest import Serve
from tests.behaviour.servers import Persona
from tests.behaviour.templates import CHATML_RIO
from tests.behaviour.tiny_llama import save_tiny
from tests.cli.running import Run

has_torch = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs the extra transformers"
)

has_llama = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="needs the extra llama"
)


@pytest.mark.parametrize("truth", [0.0, 0.23, 0.6, 1.0])
def test_the_weight_of_least_divergence_is_found_between_steps(truth: float) -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, 48)
    table = np.array([[(w - truth - e) ** 2 for e in noise] for w in WEIGHTS])
    found = closest(table)
    assert found.estimate == pytest.approx(truth, abs=0.02)
    assert found.low <= truth <= found.high


def test_intervals_cover_the_truth_as_often_as_they_say_or_more() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(40):
        noise = rng.normal(0, 0.3, 48)
        table = np.array([[(w - 0.6 - e) ** 2 for e in noise] for w in WEIGHTS])
        found = closest(table)
        covered += found.low <= 0.6 <= found.high
    assert covered >= 34


def test_a_suspect_that_tells_no_tokens_has_no_place(run: Run, serve: Serve, tmp_path: Path) -> None:
    line = ("--samples", "1", "--condition", "shipped", "--language", "en", "--json", "-")
    done = run("interview", serve(Persona()).url, "--line", "a", "b", "--out", tmp_path, *line)
    assert "tells no next tokens" in json.loads(done.out)["line"]["absent"]


@pytest.mark.parametrize(
    "more",
    [("--line", "a", "b", "--line-served", "panel-1", "panel-2"), ("--line-served", "panel-1", "panel-1")],
)
def test_parents_that_are_not_of_the_panel_are_refused_before_anybody_is_asked(
    run: Run, serve: Serve, tmp_path: Path, more: tuple[str, ...]
) -> None:
    suspect = serve(Persona())
    done = run("interview", suspect.url, "--panel", suspect.url, *more, "--out", tmp_path)
    assert (done.code, done.error) == (2, "line-served")
    assert suspect.persona.asked == []


@pytest.mark.slow
@has_torch
def test_a_merge_of_two_tiny_models_is_placed_where_it_was_made(run: Run, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for name, seed in (("a", 1), ("b", 2)):
        save_tiny(tmp_path / name, CHATML_RIO, seed)
    shutil.copytree(tmp_path / "a", tmp_path / "merge")
    a, b = (load_file(tmp_path / n / "model.safetensors") for n in ("a", "b"))
    save_file(
        {k: 0.6 * a[k] + 0.4 * b[k] for k in a}, tmp_path / "merge" / "model.safetensors", {"format": "pt"}
    )
    line = ("--samples", "1", "--max-tokens", "2", "--language", "en", "--condition", "raw", "--json", "-")
    done = run(
        "interview",
        tmp_path / "merge",
        "--line",
        tmp_path / "a",
        tmp_path / "b",
        "--out",
        tmp_path / "o",
        *line,
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)["line"]
    assert found["weight"]["estimate"] == pytest.approx(0.6, abs=0.02)
    by_weight = {p["weight"]: p for p in found["points"]}
    assert by_weight[0.6]["divergence"] < 1e-4 < min(by_weight[w]["divergence"] for w in (0.0, 1.0))
    assert all(p["loss"] > 0 for p in found["points"])


@pytest.mark.slow
@has_torch
@has_llama
def test_a_merge_in_eight_bits_is_placed_on_copies_of_its_own_file(run: Run, tmp_path: Path) -> None:
    """By llama.cpp, whose every point is the suspect's file with other numbers; losses by transformers."""
    import torch
    from examples.affair.tiny_base import TEMPLATE, tokenizer_for
    from safetensors.torch import load_file, save_file
    from scripts.cases.tiny_gguf import write_gguf
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tokenizer_for([text for _, text in neutral_prompts()])
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=tokenizer.eos_token_id, pad_token_id=0, initializer_range=0.2,
    )  # fmt: skip
    for name, seed in (("a", 1), ("b", 2)):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        with torch.no_grad():
            # Parts of letters, of which llama.cpp's server tells nothing, are never the likeliest.
            for k in (k for k in range(len(tokenizer)) if "\ufffd" in tokenizer.decode([k])):
                model.model.embed_tokens.weight[k] = 0
        model.to(torch.bfloat16).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    shutil.copytree(tmp_path / "b", tmp_path / "merge")
    a, b = (load_file(tmp_path / n / "model.safetensors") for n in ("a", "b"))
    made = {k: (0.35 * a[k].float() + 0.65 * b[k].float()).bfloat16() for k in a}
    save_file(made, tmp_path / "merge" / "model.safetensors", {"format": "pt"})
    write_gguf(tmp_path / "merge", tmp_path / "merge.gguf")
    (tmp_path / "t.jinja").write_text(TEMPLATE)
    line = ("--samples", "1", "--max-tokens", "2", "--language", "en", "--condition", "raw", "--json", "-")
    parents = ("--template", tmp_path / "t.jinja", "--line", tmp_path / "a", tmp_path / "b")
    done = run("interview", tmp_path / "merge.gguf", *parents, "--out", tmp_path / "o", *line)
    assert done.code == 0, done.err
    found = json.loads(done.out)["line"]
    assert "absent" not in found, found
    assert found["alike"]
    assert "copies of the suspect's file (F32, Q8_0), run by llama.cpp" in found["how"]
    assert found["weight"]["low"] <= 0.35 <= found["weight"]["high"]
    assert found["off"] < 0.005
    assert all(p["loss"] > 0 for p in found["points"])


@pytest.mark.slow
@has_torch
def test_models_of_other_shapes_have_no_line(run: Run, serve: Serve, tmp_path: Path) -> None:
    save_tiny(tmp_path / "a", CHATML_RIO, 1)
    save_tiny(tmp_path / "b", CHATML_RIO, 1, layers=2)
    suspect = serve(Persona(top=lambda prompt: {" a": -0.1}))
    line = ("--samples", "1", "--condition", "shipped", "--language", "en")
    done = run(
        "interview", suspect.url, "--line", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "o", *line
    )
    assert (done.code, done.error) == (2, "line-not-one")
