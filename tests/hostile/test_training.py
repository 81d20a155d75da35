"""Training data, settings and folders that lie; without torch."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.errors import ParentageError
from parentage.records.dtypes import DType
from parentage.training.data import MOST_LINE, read_examples, read_prompts
from tests.cli.running import Run
from tests.training.tiny import CHATS, write_lines

has_torch = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs the extra training"
)
GOOD = json.dumps(CHATS[0])


def turns(*roles: str) -> str:
    return json.dumps({"messages": [{"role": r, "content": "x"} for r in roles]})


@pytest.mark.parametrize(
    ("lines", "code", "line"),
    [
        ("", "data-empty", 0),
        ("\n \n", "data-empty", 0),
        (f"{GOOD}\nnot json\n", "data-not-json", 2),
        ("[1]\n", "data-not-json", 1),
        ('{"text": "a", "text": "b"}\n', "data-not-json", 1),
        ("[" * 100_000 + "\n", "data-not-json", 1),
        ('{"text": "a", "label": 1}\n', "data-keys", 1),
        ('{"text": 7}\n', "data-keys", 1),
        ('{"text": "\\ud800"}\n', "data-keys", 1),
        ('{"prompt": "a"}\n', "data-keys", 1),
        ("{}\n", "data-keys", 1),
        ('{"messages": []}\n', "data-roles", 1),
        ('{"messages": "hi"}\n', "data-roles", 1),
        ('{"messages": [{"role": "user"}]}\n', "data-roles", 1),
        (turns("user", "user", "assistant") + "\n", "data-roles", 1),
        (turns("assistant") + "\n", "data-roles", 1),
        (f"{GOOD}\n\n{turns('user', 'tool')}\n", "data-roles", 3),
        (turns("user", "system", "assistant") + "\n", "data-roles", 1),
        (turns("user") + "\n", "data-no-answer", 1),
        (turns("system") + "\n", "data-no-answer", 1),
        ('{"text": ""}\n', "data-no-answer", 1),
        ('{"prompt": "a", "completion": ""}\n', "data-no-answer", 1),
    ],
)
def test_each_fault_of_the_data_has_its_code_and_its_line(
    tmp_path: Path, lines: str, code: str, line: int
) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(lines)
    with pytest.raises(ParentageError) as caught:
        read_examples(path)
    assert caught.value.code == code
    assert caught.value.where == (f"{path}, line {line}" if line else str(path))


def test_bytes_that_are_no_text_are_not_json(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_bytes(b'{"text": "\xff"}\n')
    with pytest.raises(ParentageError) as caught:
        read_examples(tmp_path / "d.jsonl")
    assert caught.value.code == "data-not-json"


def test_a_huge_line_is_refused_without_reading_it(tmp_path: Path) -> None:
    """The file claims a terabyte and holds none of it."""
    path = tmp_path / "d.jsonl"
    with path.open("wb") as stream:
        stream.write(GOOD.encode() + b"\n" + b'{"text": "')
        stream.truncate(2**40)
    with pytest.raises(ParentageError) as caught:
        read_examples(path)
    assert caught.value.code == "data-line-too-long"
    assert caught.value.where.endswith("line 2")


def test_a_file_of_more_than_a_gibibyte_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parentage.training.data.MOST_FILE", 3 * MOST_LINE)
    (tmp_path / "d.jsonl").write_text((json.dumps({"text": "x" * 1_000_000}) + "\n") * 4)
    with pytest.raises(ParentageError) as caught:
        read_examples(tmp_path / "d.jsonl")
    assert caught.value.code == "data-too-large"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (turns("user", "assistant", "user", "user"), "data-roles"),
        (turns("system"), "data-roles"),
        ('{"prompt": ""}', "data-roles"),
        ('{"prompt": ["a"]}', "data-keys"),
        ('{"text": "a"}', "data-keys"),
    ],
)
def test_prompts_without_a_question_are_refused(tmp_path: Path, line: str, code: str) -> None:
    (tmp_path / "p.jsonl").write_text(line + "\n")
    with pytest.raises(ParentageError) as caught:
        read_prompts(tmp_path / "p.jsonl")
    assert caught.value.code == code


@pytest.mark.parametrize(
    "options",
    [
        ["--steps", "0"],
        ["--rate", "nan"],
        ["--rate", "-1"],
        ["--beta2", "1"],
        ["--epsilon", "0"],
        ["--warmup", "200"],
        ["--schedule", "step"],
        ["--batch", "0"],
        ["--keep-steps", "101"],
        ["--keep-steps", "1,x"],
        ["--ema", "1"],
        ["--merge"],
        ["--lora-rank", "4", "--lora-dropout", "1"],
        ["--device", "tpu"],
        ["--threads", "0"],
        ["--precision", "fp8"],
        ["--max-length", "1"],
        ["--seed", "-1"],
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything_is_read(
    run: Run, tmp_path: Path, options: list[str]
) -> None:
    done = run(
        "train", "sft", tmp_path / "none", tmp_path / "none.jsonl", "--out", tmp_path / "o", *options
    )
    assert (done.code, done.error) == (2, "training-settings")


def test_an_output_that_holds_something_or_lies_in_an_input_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    data = write_lines(tmp_path / "d.jsonl")
    for out in (tmp_path / "model" / "out", tmp_path / "model", tmp_path, data):
        done = run("train", "sft", tmp_path / "model", data, "--out", out)
        assert (done.code, done.error) == (2, "training-output")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.jsonl", "model"]


def model(folder: Path, config: str | None = '{"model_type": "llama"}', dtype: DType = DType.F32) -> Path:
    folder.mkdir()
    import numpy as np

    bits = np.zeros(4, dtype.storage)
    write_safetensors(folder / "model.safetensors", {"w": StoredTensor(dtype, (2, 2), bits)})
    if config is not None:
        (folder / "config.json").write_text(config)
    return folder


def test_what_cannot_be_trained_is_refused(run: Run, tmp_path: Path) -> None:
    data = write_lines(tmp_path / "d.jsonl")
    places = [
        model(tmp_path / "no-config", None),
        model(tmp_path / "float8", dtype=DType.F8_E4M3),
        model(tmp_path / "file") / "model.safetensors",
        tmp_path / "nothing",
        "hf://acme/base",
    ]
    for place in places:
        done = run("train", "sft", place, data, "--out", tmp_path / "out")
        assert (done.code, done.error) == (3, "training-format"), place


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="the extra is installed")
def test_without_the_extra_the_one_error_says_what_to_install(run: Run, tmp_path: Path) -> None:
    data = write_lines(tmp_path / "d.jsonl")
    done = run("train", "sft", model(tmp_path / "m"), data, "--out", tmp_path / "out")
    assert (done.code, done.error) == (2, "training-missing")
    assert "parentage[training]" in done.err


@has_torch
def test_a_model_that_cannot_be_loaded_is_refused(run: Run, tmp_path: Path) -> None:
    data = write_lines(tmp_path / "d.jsonl")
    done = run("train", "sft", model(tmp_path / "m"), data, "--out", tmp_path / "out")
    assert (done.code, done.error) == (3, "training-load")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["distill", "m", "p.jsonl", "--teacher", "t", "--beta", "2"],
        ["distill", "m", "p.jsonl", "--teacher", "t", "--new-tokens", "1024"],
        ["distill", "m", "p.jsonl", "--teacher", "t", "--temperature", "0"],
        ["rl", "m", "--task", "arithmetic", "--group", "1"],
        ["rl", "m", "--task", "arithmetic", "--items", "0"],
        ["rl", "m", "--task", "arithmetic", "--kl", "-1"],
        ["rl", "m", "--task", "arithmetic", "--max-length", "2"],
    ],
)
def test_what_distillation_and_policies_cannot_do_is_refused_first(
    run: Run, tmp_path: Path, options: list[str]
) -> None:
    done = run("train", *options, "--out", tmp_path / "out")
    assert (done.code, done.error) == (2, "training-settings")


def test_an_output_inside_a_teacher_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    prompts = write_lines(tmp_path / "p.jsonl", [{"prompt": "hi"}])
    out = tmp_path / "t" / "out"
    done = run("train", "distill", tmp_path / "m", prompts, "--teacher", tmp_path / "t", "--out", out)
    assert (done.code, done.error) == (2, "training-output")
