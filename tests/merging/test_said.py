"""What a merge says before, while and after it is made: the plan, the progress, every shard's metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import parentage
from parentage import api
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.merging.recipe_reading import read_recipe
from parentage.merging.recipe_writing import recipe_digest
from parentage.reports.wording import bytes_text
from tests.cli.running import Run
from tests.merging.models import recipe_file, write_model
from tests.merging.test_merge import linear, two


def header(path: Path) -> dict[str, Any]:
    """A weight file's own metadata."""
    raw = path.read_bytes()
    found: dict[str, Any] = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    return found


def test_every_shard_says_recipe_profile_version_and_parents(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    path = recipe_file(tmp_path, linear((a, 0.6), (b, 0.4)))
    options = api.MergeOptions(shard_bytes=1500, profile="mergekit-0.1.5", seed=7)
    record = api.merge(path, tmp_path / "out", options)
    shards = sorted((tmp_path / "out").glob("*.safetensors"))
    assert len(shards) == len(record.files) > 1
    for said in map(header, shards):
        assert said["parentage.version"] == parentage.__version__
        assert said["parentage.profile"] == "mergekit-0.1.5"
        assert said["parentage.method"] == "linear"
        assert said["parentage.seed"] == "7"
        assert said["parentage.recipe_sha256"] == record.recipe_sha256
        parents = json.loads(said["parentage.parents"])
        assert [p["name"] for p in parents] == [p.name for p in record.parents]
        assert [p["sha256"] for p in parents] == [
            {f.name: f.sha256 for f in p.files} for p in record.parents
        ]


def test_the_card_holds_the_recipe_that_made_it(tmp_path: Path) -> None:
    a, b = two(tmp_path)
    path = recipe_file(tmp_path, linear((a, 0.6), (b, 0.4)))
    record = api.merge(path, tmp_path / "out")
    _, block, _ = (tmp_path / "out" / "README.md").read_text().split("```")
    told = tmp_path / "told.yaml"
    told.write_text(block.removeprefix("yaml\n"))
    assert yaml.safe_load(told.read_text()) == yaml.safe_load(path.read_text())
    assert recipe_digest(read_recipe(told)) == record.recipe_sha256


def test_a_plan_reads_no_weight_and_says_bytes_memory_time_and_places(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = two(tmp_path)
    path = recipe_file(tmp_path, linear((a, 0.6), (b, 0.4)))

    def read(*_: object) -> None:
        raise AssertionError("a weight was read")

    for name in ("read", "read_into", "blocks"):
        monkeypatch.setattr(Checkpoint, name, read)
    done = run("merge", path, tmp_path / "out", "--dry-run", "--shard-size", "0.001", "--limit", "0")
    assert done.code == 0
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob("*.partial"))
    plan = api.plan_merge(path)
    assert isinstance(plan.bytes_read, int)
    read_in, written = bytes_text(plan.bytes_read), bytes_text(plan.bytes_written)
    sizes = f"reads {read_in} of weights once or more, writes {written};"
    for said in (sizes, " s from a local disk", "of memory"):
        assert said in done.out
    for one in plan.placed:
        assert f"{one.file}: {one.name} {one.dtype} {list(one.shape)}: {one.how}" in done.out
    with pytest.raises(AssertionError, match="a weight was read"):
        api.merge(path, tmp_path / "out")


def test_progress_tells_of_hashing_and_merging_and_never_goes_back(tmp_path: Path) -> None:
    weights = {f"w{k}": np.full((1024, 1024), k, np.float32) for k in range(4)}
    a, b = (write_model(tmp_path / name, weights) for name in "ab")
    path = recipe_file(tmp_path, linear((a, 0.6), (b, 0.4)))
    heard: list[tuple[str, int, int]] = []
    api.merge(path, tmp_path / "out", progress=lambda *said: heard.append(said))
    phases = list(dict.fromkeys(what for what, _, _ in heard))
    assert [p.split(" ")[0] for p in phases] == ["hashing", "merging"]
    for phase, mebibytes in zip(phases, (16, 8), strict=True):
        done = [d for what, d, _ in heard if what == phase]
        assert done == sorted(done)
        assert len(set(done)) > 1
        assert {total for what, _, total in heard if what == phase} == {mebibytes}
        assert done[-1] == mebibytes
