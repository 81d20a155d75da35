"""A run that is killed goes on to the bytes of one that was not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from parentage.training.settings import Course, Keeping, Lora, Optimizer
from parentage.training.sft import SftSettings, train_sft

SCRIPT = """
import os, signal, sys
from pathlib import Path
from tests.training.test_resuming import settings
from parentage.training.sft import train_sft

def killed(stage, done, of):
    if done == 13:
        os.kill(os.getpid(), signal.SIGKILL)

train_sft(settings(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])), killed)
"""


def settings(base: Path, data: Path, out: Path, rank: int) -> SftSettings:
    optimizer = Optimizer(steps=20, rate=2e-3, batch=2, accumulation=2, warmup=3, weight_decay=0.01)
    keeping = Keeping(save_every=5, steps=(4, 12), ema=0.9)
    lora = Lora(4, dropout=0.1, merge=True) if rank else None
    return SftSettings(str(base), data, out, Course(optimizer, lora, keeping))


def files(folder: Path) -> dict[str, bytes]:
    found = (p for p in folder.rglob("*") if p.is_file() and p.name != "times.json")
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


@pytest.mark.parametrize("rank", [0, 4])
def test_a_killed_run_goes_on_to_the_bytes_of_an_unbroken_one(
    base: Path, chats: Path, tmp_path: Path, rank: int
) -> None:
    """After step 13, past a kept checkpoint and a state: whole weights, and dropout in an adapter."""
    if rank:
        pytest.importorskip("peft")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(base), str(chats), str(tmp_path / "broken"), str(rank)],
        capture_output=True, check=False, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    assert not (tmp_path / "broken").exists()
    steps: list[int] = []
    train_sft(settings(base, chats, tmp_path / "broken", rank), lambda stage, done, of: steps.append(done))
    assert steps == list(range(11, 21))
    train_sft(settings(base, chats, tmp_path / "whole", rank))
    broken, whole = files(tmp_path / "broken"), files(tmp_path / "whole")
    assert sorted(broken) == sorted(whole)
    assert [name for name in whole if whole[name] != broken[name]] == []
