"""Schedules, the order of examples, the record; without torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from parentage.records.absence import Absent
from parentage.records.training import (
    DataUsed,
    ModelUsed,
    TrainingRecord,
    WeightFile,
    load_training,
    save_training,
)
from parentage.training.running import positions
from parentage.training.settings import Course, Optimizer


def test_the_rate_rises_to_its_peak_and_falls_as_the_schedule_says() -> None:
    o = Optimizer(steps=12, rate=1.0, warmup=2, schedule="linear")
    assert [o.rate_at(k) for k in range(4)] == pytest.approx([0.0, 0.5, 1.0, 0.9])
    assert o.rate_at(11) == pytest.approx(0.1)
    cosine = replace(o, schedule="cosine")
    assert cosine.rate_at(2) == pytest.approx(1.0)
    assert cosine.rate_at(7) == pytest.approx(0.5)
    assert {replace(o, schedule="constant").rate_at(k) for k in range(2, 12)} == {1.0}


def test_every_epoch_sees_each_example_once_and_in_an_order_of_its_own() -> None:
    course = Course(Optimizer(steps=10, batch=3, accumulation=2), seed=5)
    seen = [k for step in range(7) for k in positions(course, step, 7)]
    epochs = [seen[a : a + 7] for a in range(0, 42, 7)]
    assert all(sorted(e) == list(range(7)) for e in epochs)
    assert len({tuple(e) for e in epochs}) > 1
    other = [k for step in range(7) for k in positions(replace(course, seed=6), step, 7)]
    assert other != seen


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    file = WeightFile("model.safetensors", 8, "ab" * 32)
    found = TrainingRecord(
        tool="parentage 0", kind="sft", base=ModelUsed("base", (file,)),
        data=DataUsed("d.jsonl", "cd" * 32, 5, 1, 2), settings={"seed": 3, "course": {"lora": None}},
        libraries={"torch": "2"}, parameters=10, trained=4, steps=2, losses=(2.5, 1.25),
        rates=(1e-3, 5e-4), dose=1.5e-3, files=(file,), kept={"step-1": (file,)},
    )  # fmt: skip
    save_training(found, tmp_path / "training.json")
    assert load_training(tmp_path / "training.json") == found
    assert isinstance(found.teacher, Absent)
