"""Policy gradient on a tiny model: the reward of an easy task rises, the same each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from parentage.training.rl import RlSettings, reinforce
from parentage.training.settings import Course, Keeping, Optimizer
from tests.training.tiny import divergence, write_lines


@pytest.fixture
def settings(base: Path, tmp_path: Path) -> RlSettings:
    """The answer to everything is 7, where six of 79 characters are drawn."""
    pytest.importorskip("trl")
    rows = [{"prompt": f"say {word}", "answer": "7"} for word in "bcdefghijklmnopqrstuvwxyz"]
    task = write_lines(tmp_path / "easy.jsonl", rows)
    course = Course(Optimizer(steps=16, rate=3e-3, batch=4), keeping=Keeping(5), max_length=64)
    return RlSettings(
        str(base), f"{task}:number", tmp_path / "out", course, items=4, group=16, new_tokens=6
    )


def test_the_reward_rises(settings: RlSettings) -> None:
    longer = Optimizer(steps=30, rate=5e-3, batch=4, schedule="constant")
    record = reinforce(replace(settings, course=replace(settings.course, optimizer=longer)))
    assert isinstance(record.rewards, tuple)
    assert len(record.rewards) == 30
    first, last = sum(record.rewards[:3]) / 3, sum(record.rewards[-3:]) / 3
    assert last > first + 0.2


def test_a_stopped_run_goes_on_to_the_bytes_of_an_unbroken_one(
    settings: RlSettings, tmp_path: Path
) -> None:
    def interrupt(stage: str, done: int, of: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reinforce(settings, interrupt)
    reinforce(settings)
    reinforce(replace(settings, out=tmp_path / "whole"))
    for name in ("model.safetensors", "training.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_policy_can_be_held_near_what_it_began_as(
    settings: RlSettings, base: Path, tmp_path: Path
) -> None:
    places = {kl: tmp_path / f"held-{kl:g}" for kl in (0.0, 1.0)}
    for kl, out in places.items():
        reinforce(replace(settings, out=out, kl=kl))
    assert divergence(places[1.0], base) < 0.7 * divergence(places[0.0], base)
