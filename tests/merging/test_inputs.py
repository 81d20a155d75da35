"""Parents are hashed while the merge is planned; what is written goes to the disk while more is made."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from parentage import api
from parentage.errors import PlanError
from parentage.merging import flushing
from parentage.merging.flushing import Flusher
from parentage.merging.inputs import InputDigests, MergeOptions, open_models
from parentage.merging.recipe_reading import read_recipe
from tests.merging.models import llama, recipe_file, write_model


def world(tmp_path: Path, vocabulary: int = 12) -> Path:
    """A recipe of two models, whose vocabularies may differ."""
    write_model(tmp_path / "a", llama(1), shards=2)
    write_model(tmp_path / "b", llama(2, vocabulary=vocabulary))
    entries = [{"model": str(tmp_path / n), "parameters": {"weight": 0.5}} for n in "ab"]
    return recipe_file(tmp_path, {"merge_method": "linear", "models": entries})


def test_no_compiler_is_loaded_before_the_parents_are_hashed() -> None:
    modules = "parentage.merging.merge, parentage.merging.recipe_reading"
    code = f"import sys, {modules}; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("workers", [1, 3])
def test_every_file_has_its_own_digest_in_order(workers: int, tmp_path: Path) -> None:
    with (
        open_models(read_recipe(world(tmp_path))) as opened,
        InputDigests(opened, MergeOptions(workers=workers)) as digests,
    ):
        found = digests.result(lambda *_: None)
    files = [(model.model, file.name, file.sha256) for model, each in found.items() for file in each]
    paths = [*sorted((tmp_path / "a").glob("*.safetensors")), tmp_path / "b" / "model.safetensors"]
    wanted = [(str(p.parent), p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in paths]
    assert files == wanted


def test_a_plan_that_fails_leaves_no_thread_that_reads_and_the_interpreter_as_it_was(
    tmp_path: Path,
) -> None:
    before = sys.getswitchinterval()
    with pytest.raises(PlanError) as caught:
        api.merge(world(tmp_path, vocabulary=13), tmp_path / "out")
    assert caught.value.code == "plan-vocabulary"
    assert not [t for t in threading.enumerate() if t.name.startswith("parentage-digests")]
    assert sys.getswitchinterval() == before
    assert not list(tmp_path.glob("out*"))


def test_what_the_disk_refuses_is_raised_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "STEP", 8)
    # A pipe cannot be flushed to a disk.
    reading, writing = os.pipe()
    try:
        flusher = Flusher(writing)
        flusher.wrote(7)
        flusher.wrote(1)
        end = time.monotonic() + 60
        while not flusher.failed and time.monotonic() < end:
            time.sleep(0.002)
        with pytest.raises(OSError, match="Invalid argument"):
            flusher.close()
    finally:
        os.close(reading)
        os.close(writing)


def test_a_file_flushed_on_the_way_is_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = world(tmp_path)
    whole = api.merge(recipe, tmp_path / "whole")
    monkeypatch.setattr(flushing, "STEP", 100)
    flushed = api.merge(recipe, tmp_path / "flushed")
    assert [f.sha256 for f in flushed.files] == [f.sha256 for f in whole.files]
    for file in flushed.files:
        assert hashlib.sha256((tmp_path / "flushed" / file.name).read_bytes()).hexdigest() == file.sha256
