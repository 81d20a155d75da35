"""Training runs that cannot begin or go on; with torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parentage.errors import ParentageError
from parentage.training.distill import DistillSettings, distill
from parentage.training.rl import RlSettings, reinforce
from parentage.training.settings import Course, Keeping, Lora, Machine, Optimizer
from parentage.training.sft import SftSettings, train_sft
from tests.training.tiny import CHATS, save_tiny, write_lines


def refusal(base: Path, data: Path, out: Path, **changed: Any) -> ParentageError:
    course = Course(
        **{"optimizer": Optimizer(steps=4, batch=2, rate=1e-3), "keeping": Keeping(1), **changed}
    )
    with pytest.raises(ParentageError) as caught:
        train_sft(SftSettings(str(base), data, out, course))
    assert not out.exists()
    return caught.value


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_good_model(
    base: Path, chats: Path, tmp_path: Path
) -> None:
    """Without memory of the square, a row whose token is gone moves by its mean over epsilon."""
    from safetensors.torch import load_file

    wild = Optimizer(steps=40, rate=1e-2, batch=1, betas=(0.9, 0.0), epsilon=1e-37, clip=0.0)
    assert refusal(base, chats, tmp_path / "out", optimizer=wild).code == "training-not-finite"
    left = load_file(str(tmp_path / "out.partial" / "checkpoints" / "last-good" / "model.safetensors"))
    assert all(bool(t.isfinite().all()) for t in left.values())


QUESTIONS = [f"say {word}" for word in "bcdefghijklmnopqrstuvwxyz"]


def wild_distillation(base: Path, course: Course, out: Path) -> None:
    save_tiny(out.parent / "teacher", seed=3)
    prompts = write_lines(out.parent / "p.jsonl", [{"prompt": q} for q in QUESTIONS])
    models = (str(base), str(out.parent / "teacher"))
    distill(DistillSettings(*models, prompts, out, course, new_tokens=10))


def wild_policy(base: Path, course: Course, out: Path) -> None:
    task = write_lines(out.parent / "t.jsonl", [{"prompt": q, "answer": "7"} for q in QUESTIONS])
    reinforce(RlSettings(str(base), f"{task}:number", out, course, items=4, group=8, new_tokens=6))


@pytest.mark.slow
@pytest.mark.parametrize("wild", [wild_distillation, wild_policy])
def test_numbers_that_are_not_finite_stop_an_on_policy_run_too(
    base: Path, tmp_path: Path, wild: Callable[[Path, Course, Path], None]
) -> None:
    """There they may be met while the model speaks, before there is a loss."""
    from safetensors.torch import load_file

    pytest.importorskip("trl")
    optimizer = Optimizer(steps=40, rate=1e-2, batch=3, betas=(0.9, 0.0), epsilon=1e-37, clip=0.0)
    with pytest.raises(ParentageError) as caught:
        wild(base, Course(optimizer, keeping=Keeping(1), max_length=64), tmp_path / "out")
    assert caught.value.code == "training-not-finite"
    assert not (tmp_path / "out").exists()
    left = load_file(str(tmp_path / "out.partial" / "checkpoints" / "last-good" / "model.safetensors"))
    assert all(bool(t.isfinite().all()) for t in left.values())


def test_no_code_of_the_model_is_run(base: Path, chats: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    shutil.copytree(base, evil)
    config = json.loads((evil / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}}
    (evil / "config.json").write_text(json.dumps(config))
    (evil / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert refusal(evil, chats, tmp_path / "out").code == "training-load"
    assert not (tmp_path / "ran").exists()


def test_a_model_with_tensors_missing_is_not_filled_with_random_numbers(
    base: Path, chats: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short"
    shutil.copytree(base, short)
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    found = refusal(short, chats, tmp_path / "out")
    assert (found.code, "layers.2" in found.message) == ("training-load", True)


def test_an_architecture_that_is_loaded_in_another_form_is_refused_before_training(
    base: Path, chats: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, MixtralConfig, MixtralForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(base)
    experts = MixtralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, num_local_experts=2,
    )  # fmt: skip
    MixtralForCausalLM(experts).save_pretrained(tmp_path / "experts")
    tokenizer.save_pretrained(tmp_path / "experts")
    assert refusal(tmp_path / "experts", chats, tmp_path / "out").code == "training-tensors"


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{{ raise_exception('never') }}", "data-template"),
        ("{% for m in messages %}{{ m['content'] | upper }}{% endfor %}?", "data-template"),
        ("{{ ''.__class__.__mro__ }}", "data-template"),
        ("{% for m in %}", "template-syntax"),
    ],
)
def test_a_template_that_hides_what_the_assistant_wrote_is_refused(
    base: Path, chats: Path, tmp_path: Path, template: str, code: str
) -> None:
    other = tmp_path / "other"
    shutil.copytree(base, other)
    (other / "chat_template.jinja").write_text(template)
    assert refusal(other, chats, tmp_path / "out").code == code


def test_data_of_which_nothing_is_left_to_learn_is_refused(base: Path, chats: Path, tmp_path: Path) -> None:
    assert refusal(base, chats, tmp_path / "out", max_length=3).code == "data-nothing-left"


def test_modules_that_are_not_there_are_refused(base: Path, chats: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    lora = Lora(4, targets=("q_proj_of_another",))
    assert refusal(base, chats, tmp_path / "out", lora=lora).code == "training-targets"


def test_a_device_that_is_not_there_is_refused(base: Path, chats: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is such a device")
    assert refusal(base, chats, tmp_path / "out", machine=Machine("cuda")).code == "training-device"


@pytest.mark.slow
def test_a_run_that_needs_more_memory_than_there_is_ends_with_one_error(base: Path, tmp_path: Path) -> None:
    """In a process that may take 300 MB more than it has once the model is loaded."""
    data = write_lines(tmp_path / "d.jsonl", [{"text": "a b c " * 40}] * 5_000)
    script = f"""
import resource, sys
import torch, transformers, peft, scipy.stats
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 300 * 2**20,) * 2)
from parentage.cli.main import main
sys.argv = ["parentage", "train", "sft", {str(base)!r}, {str(data)!r}, "--out", {str(tmp_path / "out")!r},
            "--batch", "5000", "--steps", "1"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, text=True, timeout=300
    )
    told = done.stderr.partition("error[")[2].partition("]")[0]
    assert (done.returncode, told) == (4, "training-no-memory"), done.stderr
    assert "Traceback" not in done.stderr


def stopped(base: Path, data: Path, out: Path, **changed: Any) -> None:
    """A run that ends after step 3 of 4, as by Ctrl-C."""

    def interrupt(stage: str, done: int, of: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    course = Course(
        **{"optimizer": Optimizer(steps=4, batch=2, rate=1e-3), "keeping": Keeping(1), **changed}
    )
    with pytest.raises(KeyboardInterrupt):
        train_sft(SftSettings(str(base), data, out, course), interrupt)


def test_what_another_run_left_is_never_gone_on_with(base: Path, chats: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stopped(base, chats, out)
    found = refusal(base, chats, out, seed=1)
    assert (found.code, "seed" in found.message) == ("training-other-run", True)
    other = write_lines(tmp_path / "other.jsonl", CHATS[:2])
    assert "data" in refusal(base, other, out).message
    changed = tmp_path / "changed"
    shutil.copytree(base, changed)
    (changed / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    assert "weights" in refusal(changed, chats, out).message
    (out.with_name("out.partial") / "run.json").write_text("{}")
    assert refusal(base, chats, out).code == "training-other-run"


@pytest.mark.parametrize("damage", ["cut", "emptied", "renamed"])
def test_a_damaged_state_is_not_gone_on_from(base: Path, chats: Path, tmp_path: Path, damage: str) -> None:
    stopped(base, chats, tmp_path / "out")
    (state,) = (tmp_path / "out.partial").glob("state-*")
    if damage == "cut":
        data = (state / "weights.safetensors").read_bytes()
        (state / "weights.safetensors").write_bytes(data[: len(data) // 2])
    elif damage == "emptied":
        (state / "state.json").write_text('{"schema": "parentage.training-state", "version": 1}')
    else:
        state.rename(state.with_name("state-00000002"))
    assert refusal(base, chats, tmp_path / "out").code == "training-state"


def test_a_teacher_with_other_tokens_is_refused(base: Path, tmp_path: Path) -> None:
    """Two tokens have changed places: every size agrees, and every score would be wrong."""
    pytest.importorskip("trl")
    teacher = tmp_path / "teacher"
    shutil.copytree(base, teacher)
    table = json.loads((teacher / "tokenizer.json").read_text())
    words = table["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]
    (teacher / "tokenizer.json").write_text(json.dumps(table))
    prompts = write_lines(tmp_path / "p.jsonl", [{"prompt": "hi"}])
    with pytest.raises(ParentageError) as caught:
        distill(DistillSettings(str(base), str(teacher), prompts, tmp_path / "out"))
    assert caught.value.code == "training-other-tokenizer"


def test_prompts_that_leave_no_room_for_an_answer_are_refused(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("trl")
    prompts = write_lines(tmp_path / "p.jsonl", [{"prompt": "hi" * 40}])
    course = Course(max_length=70)
    with pytest.raises(ParentageError) as caught:
        distill(DistillSettings(str(base), str(base), prompts, tmp_path / "out", course))
    assert caught.value.code == "data-nothing-left"
