"""A merge that is killed goes on where it was; one that fails leaves nothing that looks finished."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from parentage import api
from parentage.errors import UsageError
from tests.merging.models import recipe_file, write_model

PROGRAM = "from parentage.cli.main import main; main()"
TENSORS = 8


def world(tmp_path: Path) -> Path:
    """A recipe over two models of eight tensors of 8 MiB each."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        weights = {f"w{k}": rng.normal(0, 0.02, (1024, 2048)).astype(np.float32) for k in range(TENSORS)}
        write_model(tmp_path / name, weights)
    entries = [{"model": str(tmp_path / n), "parameters": {"weight": 1}} for n in ("a", "b")]
    return recipe_file(tmp_path, {"merge_method": "linear", "models": entries})


def command(recipe: Path, out: Path) -> list[str]:
    """One file a tensor."""
    return [sys.executable, "-c", PROGRAM, "merge", str(recipe), str(out), "--shard-size", "0.005"]


def wait_for(done: int, partial: Path, process: subprocess.Popen[bytes]) -> None:
    """Until so many shards are finished."""
    end = time.monotonic() + 120
    while len(list(partial.glob("*.safetensors"))) < done:
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_stopped_merge_goes_on_with_the_same_command(how: signal.Signals, tmp_path: Path) -> None:
    recipe, out = world(tmp_path), tmp_path / "out"
    partial = tmp_path / "out.partial"
    process = subprocess.Popen(command(recipe, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(2, partial, process)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if how is signal.SIGKILL else 130)
    assert not out.exists()
    noted = json.loads((partial / "state.json").read_text())["shards"]
    left = {name: (partial / name).stat().st_mtime_ns for name in noted}
    assert 1 <= len(left) < TENSORS
    if how is signal.SIGINT:
        assert not list(partial.glob("*.safetensors.partial"))
    subprocess.run(command(recipe, out), check=True, capture_output=True, timeout=120)
    assert not partial.exists()
    # What was finished was not made again.
    known = {p.name: p.stat().st_mtime_ns for p in out.glob("*.safetensors")}
    assert left.items() <= known.items()
    record = api.merge(recipe, tmp_path / "whole", api.MergeOptions(shard_bytes=5 * 10**6))
    for file in record.files:
        assert (out / file.name).read_bytes() == (tmp_path / "whole" / file.name).read_bytes()


def test_what_another_recipe_left_is_not_gone_on_with(tmp_path: Path) -> None:
    recipe, out = world(tmp_path), tmp_path / "out"
    process = subprocess.Popen(command(recipe, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(1, tmp_path / "out.partial", process)
    process.kill()
    process.communicate(timeout=60)
    text = recipe.read_text().replace("weight: 1", "weight: 2", 1)
    recipe.write_text(text)
    with pytest.raises(UsageError) as raised:
        api.merge(recipe, out)
    assert raised.value.code == "merge-other-run"


def limit_files() -> None:
    """No file may grow beyond 1 MB, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    recipe, out = world(tmp_path), tmp_path / "out"
    done = subprocess.run(
        command(recipe, out),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit_files,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error[output-no-space]")
    assert not out.exists()
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_one_clear_error(tmp_path: Path) -> None:
    recipe = world(tmp_path)
    (tmp_path / "closed").mkdir(mode=0o500)
    done = subprocess.run(
        command(recipe, tmp_path / "closed" / "out"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error[output-not-written]")
