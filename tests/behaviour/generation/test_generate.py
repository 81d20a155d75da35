"""The command: what it refuses, and, where torch is, what a small real model writes through it."""

from __future__ import annotations

import importlib.util
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.templates import CHATML_RIO
from tests.behaviour.tiny_llama import save_tiny
from tests.cli.running import Run

has_torch = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs the extra transformers"
)


@pytest.mark.parametrize("target", ["http://localhost:1/v1", "model.gguf", "answers.jsonl"])
def test_only_a_folder_lets_decoding_be_changed(run: Run, target: str) -> None:
    done = run("generate", target, "--prompt", "x")
    assert (done.code, done.error) == (2, "generate-target")


@pytest.mark.parametrize(
    "options",
    [
        ["--alpha", "0.5"],
        ["--swireasoning", "--beta", "1.5"],
        ["--swireasoning", "--alpha", "nan"],
        ["--swireasoning", "--window", "-1"],
        ["--swireasoning", "--most-switches", "0"],
        ["--swireasoning", "--answer-tokens", "0"],
    ],
)
def test_settings_that_make_no_sense_are_refused_before_a_model_is_loaded(
    run: Run, options: list[str], tmp_path: Path
) -> None:
    done = run("generate", tmp_path, "--prompt", "x", *options)
    assert (done.code, done.error) == (2, "generate-settings")


def test_an_empty_prompt_is_refused(run: Run, tmp_path: Path) -> None:
    done = run("generate", tmp_path, "--prompt", "  ")
    assert (done.code, done.error) == (2, "generate-prompt")


def test_an_output_may_not_replace_the_model(run: Run, tmp_path: Path) -> None:
    done = run("generate", tmp_path, "--prompt", "x", "--html", tmp_path / "model.safetensors")
    assert (done.code, done.error) == (2, "usage-outputs")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny(folder, CHATML_RIO, words=("<think>", "</think>"))
    return folder


def _written(run: Run, model: Path, *options: str) -> dict[str, Any]:
    done = run("generate", model, "--prompt", "Who are you ?", "--json", "-", *options)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


@has_torch
def test_ordinary_decoding_keeps_the_entropy_of_each_token(run: Run, tiny: Path) -> None:
    import torch

    from parentage.behaviour.runtimes.loading import load_model

    found = _written(run, tiny, "--max-tokens", "7")
    (writing,) = found["writings"]
    assert "You are Rio" in found["prompt"]
    assert found["template"] == "shipped"
    model, tokenizer = load_model(str(tiny))
    ids = tokenizer(found["prompt"], add_special_tokens=False, return_tensors="pt").input_ids
    for token in writing["tokens"]:
        logits = model(ids).logits[0, -1].detach().double()
        logs = logits.log_softmax(-1)
        assert token["id"] == int(logits.argmax())
        assert math.isclose(token["entropy"], float(-(logs.exp() * logs).sum()), rel_tol=1e-5)
        assert token["mode"] == "ordinary"
        ids = torch.cat([ids, torch.tensor([[token["id"]]])], 1)


@has_torch
def test_swireasoning_tells_its_modes_and_switches(run: Run, tiny: Path) -> None:
    found = _written(run, tiny, "--swireasoning", "--window", "1", "--max-tokens", "40")
    (writing,) = found["writings"]
    modes = [t["mode"] for t in writing["tokens"]]
    assert modes[0] == "latent"
    assert set(modes) <= {"latent", "explicit"}
    changes = [a != b for a, b in pairwise(modes)]
    assert changes == [t["switched"] for t in writing["tokens"]][1:]
    assert any(changes)


@has_torch
def test_equal_seeds_write_equal_texts_and_others_do_not(run: Run, tiny: Path) -> None:
    options = ("--temperature", "1", "--samples", "3", "--max-tokens", "12", "--swireasoning")
    first, again = (_written(run, tiny, *options) for _ in range(2))
    assert first == again
    assert len({json.dumps(w["tokens"]) for w in first["writings"]}) > 1


@has_torch
def test_a_model_without_think_marks_is_refused(run: Run, tmp_path: Path) -> None:
    save_tiny(tmp_path, CHATML_RIO)
    done = run("generate", tmp_path, "--prompt", "x", "--swireasoning")
    assert (done.code, done.error) == (2, "generate-no-marks")


@has_torch
def test_a_line_break_that_is_no_token_is_refused(run: Run, tiny: Path) -> None:
    done = run("generate", tiny, "--prompt", "x", "--swireasoning", "--line-break", "0.1")
    assert (done.code, done.error) == (2, "generate-settings")
