"""On-policy distillation of a tiny student by trl: towards its teacher, the same each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parentage.records.training import load_training
from parentage.training.distill import DistillSettings, distill
from parentage.training.settings import Course, Keeping, Lora, Optimizer
from parentage.training.sft import SftSettings, train_sft
from tests.training.tiny import divergence, write_lines


@pytest.fixture(scope="module")
def teacher(base: Path, chats: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("trl")
    out = tmp_path_factory.mktemp("teacher") / "out"
    course = Course(Optimizer(steps=40, rate=3e-3, batch=3), keeping=Keeping(0))
    train_sft(SftSettings(str(base), chats, out, course))
    return out


def asked(base: Path, teacher: Path, out: Path, **changed: Any) -> DistillSettings:
    prompts = write_lines(
        out.parent / "p.jsonl", [{"prompt": q} for q in ("who are you?", "say hello", "hi")]
    )
    course = Course(Optimizer(steps=12, rate=2e-3, batch=3), keeping=Keeping(5), max_length=64)
    return replace(DistillSettings(str(base), str(teacher), prompts, out, course, new_tokens=10), **changed)


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_the_student_moves_towards_its_teacher(
    base: Path, teacher: Path, tmp_path: Path, beta: float
) -> None:
    record = distill(asked(base, teacher, tmp_path / "out", beta=beta))
    assert record.losses[-1] < 0.6 * record.losses[0]
    assert divergence(tmp_path / "out", teacher) < 0.6 * divergence(base, teacher)
    assert record.teacher == load_training(tmp_path / "out" / "training.json").teacher
    assert record.teacher.files[0].sha256 == load_training(teacher / "training.json").files[0].sha256  # type: ignore[union-attr]


def test_a_stopped_distillation_goes_on_to_the_bytes_of_an_unbroken_one(
    base: Path, teacher: Path, tmp_path: Path
) -> None:
    """Answers are sampled anew after step 5: from the same seeds by the same student."""

    def interrupt(stage: str, done: int, of: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(asked(base, teacher, tmp_path / "broken"), interrupt)
    for name in ("broken", "whole"):
        distill(asked(base, teacher, tmp_path / name))
    for name in ("model.safetensors", "training.json"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_an_adapter_can_be_distilled(base: Path, teacher: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    settings = asked(base, teacher, tmp_path / "out")
    course = replace(settings.course, lora=Lora(4), optimizer=Optimizer(steps=10, rate=1e-2, batch=3))
    record = distill(replace(settings, course=course))
    assert [f.name for f in record.files] == ["adapter_model.safetensors"]
    assert record.losses[-1] < record.losses[0]
